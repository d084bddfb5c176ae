"""Where the parts of a data set are: a folder, a folder in a folder, or two downloads.

Archives unpack to a folder in a folder, and the training part and the test part are separate archives. A part
is therefore searched for at any depth: in the one folder in which all its sources have images.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import get_args

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.data.layout import ImageFile, LayoutMismatch, alternatives, contents, has_images, scan
from fingerprints.data.leftovers import left_out
from fingerprints.data.settings import PartName, Source
from fingerprints.data.walk import cannot_be_read, walk

TEST = "test/"
"""The folder of the test part in the data root; `data.test_root` takes its place."""


def scan_parts(root: Path, sources: Sequence[Source], *, test_root: Path | None = None) -> list[ImageFile]:
    """All image files of a data set, sorted by part, source and name.

    Args:
        root: The data root.
        sources: Patterns relative to the data root, or to one folder below it in which they fit.
        test_root: The folder of the test part, in place of `test/` in the data root.

    Raises:
        LayoutMismatch: If the folder does not hold the training part, or `test_root` not the test part, or
            if several folders hold the same part.
        FingerprintsError: As `scan`.
    """
    if test_root is not None:
        _check(test_root, sources)
    files: list[ImageFile] = []
    for part in get_args(PartName):
        base, below, own = _base(root, test_root, part, [source for source in sources if source.part == part])
        inside = _folder_in(base, own) if own and base.is_dir() else ""
        found = scan(base / inside, own, below=below + inside)
        if own and not found and base == test_root:
            raise LayoutMismatch(
                f"No {own[0].domain} images match '{own[0].pattern}'.",
                where=test_root,
                fix=f"check data.test_root; the folder holds: {contents(base)}",
            )
        files += found
    return files


def left_out_of(root: Path, test_root: Path | None, files: Sequence[ImageFile]) -> list[str]:
    """Notes on what a scan of a data set left out; arguments as `scan_parts`, and the files that it found."""
    roots = {root: ""} if test_root is None else {root: "", test_root: "test part: "}
    if test_root is not None and _holds(root, test_root):
        roots = {root: ""}
    elif test_root is not None and _holds(test_root, root):
        roots = {test_root: ""}
    notes = []
    for folder, mark in roots.items():
        taken = [os.path.relpath(file.path, folder) for file in files]
        notes += [mark + note for note in left_out(folder, taken).notes()]
    return notes


def truth_file(root: Path, test_root: Path | None, name: str) -> Path:
    """The truth file: the one in `test_root`, if there is one, else the one in the data root."""
    beside = root if test_root is None else test_root
    return beside / name if (beside / name).is_file() else root / name


def _check(test_root: Path, sources: Sequence[Source]) -> None:
    exists = test_root.is_dir()
    if not exists or not any(source.part == "test" for source in sources):
        raise FingerprintsError(
            "The layout has no test part." if exists else "The folder of the test part does not exist.",
            where=f"data.test_root={test_root}",
            fix="give the folder of the test part, or leave data.test_root out",
        )


def _holds(folder: Path, other: Path) -> bool:
    return other.resolve().is_relative_to(folder.resolve())


def _base(
    root: Path, test_root: Path | None, part: PartName, sources: Sequence[Source]
) -> tuple[Path, str, Sequence[Source]]:
    """Where a part is searched for, what the names of its files start with, and its sources there."""
    if part != "test":
        return root, "", sources
    inside = [
        replace(source, pattern=" | ".join(p.removeprefix(TEST) for p in alternatives(source.pattern)))
        for source in sources
    ]
    if test_root is not None:
        return test_root, TEST, inside
    folder = root / TEST
    if folder.is_dir() and all(p.startswith(TEST) for s in sources for p in alternatives(s.pattern)):
        return folder, TEST, inside
    return root, "", sources


def _folder_in(base: Path, sources: Sequence[Source]) -> str:
    """The folder in which all sources have images, relative to `base`: `base` itself, or the one below it.

    If there is none, the one in which most of them have images, which is then the place of the error.
    """
    try:
        fitting = {"": sum(has_images(base, source) for source in sources)}
        if fitting[""] < len(sources):
            names = {PurePosixPath(file.name).parent for file in walk(base)}
            for folder in sorted({above for name in names for above in (name, *name.parents)}):
                if folder.parts:
                    count = sum(has_images(base / folder, source) for source in sources)
                    fitting[f"{folder}/"] = count
    except OSError as error:
        raise cannot_be_read(error, base) from error
    whole: list[str] = []
    for name, count in fitting.items():
        if count == len(sources) and not name.startswith(tuple(whole)):
            whole.append(name)
    if len(whole) > 1:
        raise LayoutMismatch(
            f"{len(whole)} folders hold the {sources[0].part} part of this layout:\n{listing(whole)}",
            where=base,
            fix=f"give one of them: {'data.root' if sources[0].part == 'train' else 'data.test_root'}=DIR",
        )
    return whole[0] if whole else max(fitting, key=fitting.__getitem__)
