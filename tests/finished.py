"""Finished runs for tests that only need one: each is made once for all workers of a session, and copied."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.compose import settings

EVALUATED = ["evidence.permutations=19"]


@dataclass(frozen=True)
class Finished:
    """A finished run.

    Attributes:
        folder: The test's own copy.
        root: The data it was trained on, which all tests share and none changes.
        words: What the command line would be told for the same run, but for its folder.
    """

    folder: Path
    root: Path
    words: list[str]


def finished(shared: Path, folder: Path, root: Callable[[], Path], experiment: str, *words: str) -> Finished:
    """Copy the run of an experiment to `folder`; make it first if nobody has.

    Args:
        shared: Folder of all workers.
        folder: Where the copy goes.
        root: Makes the data.
        experiment: The experiment's name.
        words: What else the command line is told.
    """
    name = hashlib.blake2b("\0".join([experiment, *words]).encode(), digest_size=6).hexdigest()
    place = shared / f"{experiment}-{name}"
    told = [f"experiment={experiment}", f"data.root={place / 'data'}", "data.size=48", "trainer=cpu"]
    told += [*EVALUATED, f"paths.outputs={place / 'outputs'}", *words]
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "run" / "metrics.json").exists():
            for left in ("data", "run"):  # by one that failed
                shutil.rmtree(place / left, ignore_errors=True)
            _make(place, root, told)
    shutil.copytree(place / "run", folder)
    return Finished(folder, place / "data", told)


def _make(place: Path, root: Callable[[], Path], told: list[str]) -> None:
    from fingerprints.reporting import drawing
    from fingerprints.train import train

    shutil.copytree(root(), place / "data")
    with pytest.MonkeyPatch.context() as patch:  # whoever is first, the pages are the same
        patch.setattr(drawing, "_saved", lambda figure, **_: b'<svg xmlns="http://www.w3.org/2000/svg"/>')
        train(settings(*told), place / "run", overrides=told)
