"""The true labels of a test part, and the answers of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fingerprints.comparison.tables import is_clustering
from fingerprints.core.errors import FingerprintsError
from fingerprints.data.groups import read_groups
from fingerprints.data.layout import ImageFile
from fingerprints.data.names import find
from fingerprints.data.parts import scan_parts, truth_file
from fingerprints.data.runfiles import LabelTable, read_labels
from fingerprints.data.settings import Source
from fingerprints.evidence.paired import match_clusters
from fingerprints.runs.folder import RUN_FILE, RunRecord


@dataclass(frozen=True)
class Truth:
    """The images of a test part with their true labels, groups and generators.

    Attributes:
        ids: `(n,)`, in the order of the truth file.
        labels: True labels, `(n,)`.
        groups: Group of each image, `(n,)`.
        generators: Generator of each image, `(n,)`; all `''` if figures are not by generator.
        classes: The names of the labels, sorted.
        grouped_by: Definition of a group, in words.
    """

    ids: tuple[str, ...]
    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    generators: NDArray[np.str_]
    classes: tuple[str, ...]
    grouped_by: str


def read_truth(record: RunRecord) -> Truth:
    """The truth that the run was scored against, read again from the data that its configuration names.

    Groups are those of `data.groups`, or `groups.csv` in the data folder; an image without an entry is its
    own group. Pseudo-groups of near-duplicates are not computed again, since that needs the pixels.

    Raises:
        FingerprintsError: If data or truth no longer exist, or do not belong together.
    """
    root, name = record.setting("data.root"), record.setting("data.truth")
    if root is None or name is None:
        raise FingerprintsError(
            "The run's configuration names no data.",
            where=record.folder,
            fix="train again to get paired comparisons",
        )
    folder, test_root, task = record.path(root), record.setting("data.test_root"), record.task
    test_root = None if test_root is None else record.path(test_root)
    levels = record.by_generator("test")
    by_generator = bool(levels) and "" not in levels
    sources = [
        Source(**source) for source in record.setting("data.sources") or [] if source["part"] == "test"
    ]
    files = scan_parts(folder, sources, test_root=test_root) if sources else []
    table, ids, places = _matched(record, truth_file(folder, test_root, name), files)
    names, generators = ids, [""] * len(ids)
    if places is not None:
        names = [files[at].name for at in places]
        if by_generator:
            generators = [files[at].generator for at in places]
    elif by_generator:
        raise FingerprintsError(
            "Images of the test part no longer exist, so that the generator of each image is unknown.",
            where=folder,
            fix="put the data back",
        )
    groups, grouped_by = _groups(record, folder, names)
    return Truth(
        ids=tuple(ids),
        labels=np.array(table.labels),
        groups=np.array(groups),
        generators=np.array(generators),
        classes=task.classes or tuple(sorted(set(table.labels))),
        grouped_by=grouped_by,
    )


def _matched(
    record: RunRecord, path: Path, files: Sequence[ImageFile]
) -> tuple[LabelTable, list[str], list[int] | None]:
    """The truth file, the id of the image of each of its rows, and the place of its file, if all are there.

    Without the files, the images are those of the run's own run file.
    """
    task = record.task
    known = [file.id for file in files]
    if not known and (record.folder / RUN_FILE).is_file():
        known = list(own_run_file(record).ids)
    table = read_labels(path, task, kind="truth file", images=known or None)
    found = [at for at in find(table.ids, known) if at is not None]
    if len(set(found)) < len(table.ids):
        return table, list(table.ids), None
    return table, [known[at] for at in found], found if files else None


def _groups(record: RunRecord, folder: Path, names: list[str]) -> tuple[list[str], str]:
    given = record.setting("data.groups")
    path = folder / "groups.csv" if given is None else record.path(given)
    if not path.is_file():
        alone = "each generated image is a group of its own"
        if record.task.unit == "real":
            alone = "no groups (patients) were given: each image is a group, so intervals are too narrow"
        return names, alone
    found = read_groups(path, names)
    if not any(group is not None for group in found.groups):
        return names, "each generated image is a group of its own"
    groups = [name if group is None else group for name, group in zip(names, found.groups, strict=True)]
    return groups, "; ".join([f"groups of {path.name}", *found._replace(unmatched=0).notes()])


def own_run_file(record: RunRecord) -> LabelTable:
    """The run file that a run has written; its configuration says whether that has a header.

    Raises:
        FingerprintsError: If the run file is missing or bad.
    """
    header = record.setting("data.run_file.header") not in (None, "none")
    return read_labels(record.folder / RUN_FILE, record.task, kind="run file", header=header)


def read_answers(record: RunRecord, truth: Truth) -> NDArray[np.str_]:
    """A run's answer for each image, as in its run file, `(n,)`.

    Raises:
        FingerprintsError: If the run file is missing or has other images.
    """
    return np.array(own_run_file(record).labels_of(truth.ids))


def matched_answers(record: RunRecord, truth: Truth) -> NDArray[np.str_]:
    """The answers, where clusters get the class names that the Hungarian method assigns, `(n,)`.

    Raises:
        FingerprintsError: As `read_answers`.
    """
    answers = read_answers(record, truth)
    if not is_clustering(record):
        return answers
    return np.array(match_clusters(truth=truth.labels, predicted=answers, classes=truth.classes))
