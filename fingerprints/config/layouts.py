"""Which shipped layout fits a folder, for the error about one that does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fingerprints.config.schema import options, written
from fingerprints.core.errors import FingerprintsError
from fingerprints.data.parts import scan_parts
from fingerprints.data.settings import Source

FIRST: Mapping[str, str] = {
    "subset": "siamese_subtask2",
    "usage": "siamese_subtask1",
    "model": "features_models",
}
"""The experiment to begin with, by task."""


def suggestion(root: Path, *, layout: str, task: str) -> str | None:
    """What a folder looks like, and the words of the command line that fit it.

    The layout in whose training part the most images have a place is taken. Layouts of a task end with its
    name.

    Args:
        root: The data root.
        layout: The layout that does not fit.
        task: Its task.

    Returns:
        A part of a sentence; `None` if no other layout fits, or layouts of two tasks fit equally well.
    """
    if _images(root, layout):
        return None  # the error is about the test part
    found = {name: count for name in options("data") if name != layout and (count := _images(root, name))}
    best = [name for name, count in found.items() if count == max(found.values())]
    tasks = {name.rpartition("_")[2] for name in best}
    if len(tasks) != 1:
        return None
    (of_task,) = tasks
    if of_task == task:
        return f"the folder looks like another edition: data={best[-1]}"
    own = [entry.get("override /data") for entry in written("experiment", FIRST[of_task])["defaults"]]
    word = "" if set(own) & set(best) else f" data={best[-1]}"
    return f"the folder looks like `{of_task}`: experiment={FIRST[of_task]}{word}"


def _images(root: Path, layout: str) -> int:
    """Images of the training part of a layout; 0 if it does not fit."""
    sources = [Source(**source) for source in written("data", layout).get("sources", ())]
    training = [source for source in sources if source.part == "train"]
    try:
        return len(scan_parts(root, training))
    except FingerprintsError:
        return 0
