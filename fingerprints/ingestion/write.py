"""Writing the output folder, which appears only when it is complete, and the key file.

Secrets (salt, key) are never inside the data folders, and nothing is overwritten.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.files import locked
from fingerprints.core.progress import Progress
from fingerprints.ingestion.anonymise import create_private
from fingerprints.ingestion.read import Picture
from fingerprints.ingestion.settings import IntakeSettings

_MARK = ".ingest"  # a file in a folder that is still being written


def check_places(settings: IntakeSettings) -> None:
    """Check all input and output paths before any file is opened.

    Raises:
        FingerprintsError: If the folder of images is missing, the output is inside it or already exists, a
            secret would be inside a data folder, or the output cannot be written.
    """
    images, out = settings.images, settings.out
    if not images.is_dir():
        raise FingerprintsError(
            "The folder of images does not exist." if not images.exists() else "This is not a folder.",
            where=images,
            fix="give a folder of images: images=DIR",
        )
    if _inside(out, images):
        raise FingerprintsError(
            "The output folder is inside the input folder.", where=out, fix="give out=DIR outside of images"
        )
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise FingerprintsError(
            "The output already exists, and nothing is overwritten.",
            where=out,
            fix="give a new folder: out=DIR",
        )
    for name, path in (("salt", settings.salt), ("key", settings.key)):
        if path is None:
            continue
        places = [out, _partial(out)] + ([images] if name == "salt" else [])
        if any(_inside(path, place) for place in places):
            raise FingerprintsError(
                f"The {name} must not be inside a data folder: with it, patients can be identified.",
                where=path,
                fix=f"give {name}=FILE outside of the data folders",
            )
    if settings.key is not None and (
        settings.key.exists()
        or (settings.salt is not None and settings.key.resolve() == settings.salt.resolve())
    ):
        raise _key_exists(settings.key)
    with writing(out):
        _existing(out.parent)


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _partial(out: Path) -> Path:
    out = out.resolve()
    return out.with_name(f"{out.name}.partial")


def _existing(folder: Path) -> None:
    """Check that files can be written to a folder, which may not exist yet.

    Raises:
        OSError: If not.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(0, "not a folder", str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(0, "permission denied", str(folder))


@contextlib.contextmanager
def writing(out: Path) -> Iterator[None]:
    """Errors of the system as errors that name the output.

    Raises:
        FingerprintsError: If the output cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise FingerprintsError(
            f"The output cannot be written: {error.strerror or error}.",
            where=error.filename or out,
            fix="give out=DIR in a folder that can be written, on a disk with free space",
        ) from error


def _key_exists(path: Path) -> FingerprintsError:
    return FingerprintsError(
        "The key file already exists, and nothing is overwritten.",
        where=path,
        fix="give a new file (key=FILE), or remove this one if an ingest that was killed left it",
    )


def write(
    settings: IntakeSettings,
    *,
    names: Sequence[str],
    pictures: Sequence[Picture],
    pairs: Sequence[tuple[int, int, float]],
    facts: dict[str, Any],
    progress: Progress | None,
) -> None:
    """Write the output folder and, if `key` is set, the key file; on failure, leave nothing behind.

    Args:
        settings: Output paths.
        names: Name of each picture, relative to the folder.
        pictures: The pictures, with hashed groups.
        pairs: Near-duplicates: row, row, correlation.
        facts: The content of `ingest.json`.
        progress: Called repeatedly.

    Raises:
        FingerprintsError: If something cannot be written, or another ingest is writing to the same folder.
    """
    groups = [picture.group for picture in pictures]
    source = settings.images.resolve()
    origins = ((name, source / one.source, one.frame) for name, one in zip(names, pictures, strict=True))
    key = key_file(settings.key, ("file", "source", "frame"), origins)
    with key, writing(settings.out), whole_folder(settings.out) as folder:
        (folder / "images").mkdir()
        shown = time.monotonic()
        for row, (name, picture) in enumerate(zip(names, pictures, strict=True), start=1):
            (folder / name).write_bytes(picture.png)
            if progress is not None and (row == len(names) or time.monotonic() - shown > 0.1):
                shown = time.monotonic()
                progress("writing images", row, len(names))
        with (folder / "groups.csv").open("w", encoding="utf-8", newline="") as handle:
            write_rows(handle, ("file", "group"), zip(names, groups, strict=True))
        with (folder / "near_duplicates.csv").open("w", encoding="utf-8", newline="") as handle:
            header = ("file_a", "file_b", "group_a", "group_b", "correlation")
            rows = ((names[i], names[j], groups[i], groups[j], f"{r:.4f}") for i, j, r in pairs)
            write_rows(handle, header, rows)
        (folder / "ingest.json").write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n")


def write_rows(handle: IO[str], header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV table with its header; lines end with a line feed."""
    writer = csv.writer(handle, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


@contextlib.contextmanager
def key_file(path: Path | None, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[None]:
    """Write the key before the block, because it cannot be restored later; remove it if the block fails.

    Args:
        path: The file, which only its owner can read; `None`: there is no key.
        header: Its columns.
        rows: Its rows.

    Raises:
        FingerprintsError: If it exists or cannot be written.
    """
    if path is None:
        yield
        return
    try:
        handle = create_private(path, "x", encoding="utf-8", errors="surrogateescape", newline="")
    except FileExistsError:
        raise _key_exists(path) from None
    except OSError as error:
        raise _no_key(path, error) from error
    try:
        try:
            with handle:
                write_rows(handle, header, rows)
        except OSError as error:
            raise _no_key(path, error) from error
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _no_key(path: Path, error: OSError) -> FingerprintsError:
    return FingerprintsError(
        f"The key file cannot be written: {error.strerror or error}.",
        where=path,
        fix="give key=FILE in a folder that can be written, on a disk with free space",
    )


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A temporary folder next to `out`, renamed to `out` when the block ends, removed if the block fails.

    Raises:
        FingerprintsError: If another process is writing there, or a foreign file has the temporary name.
        OSError: If it cannot be written.
    """
    part = _partial(out)
    mark = part / _MARK
    if part.exists():
        _remove_stale(part)
    part.parent.mkdir(parents=True, exist_ok=True)
    part.mkdir()
    try:
        with locked(mark):
            yield part
            mark.unlink()
            part.rename(out.resolve())  # replaces an empty folder
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _remove_stale(part: Path) -> None:
    """Remove the temporary folder of an ingest that was killed, but no other folder."""
    mark = part / _MARK
    if not mark.is_file():
        if part.is_dir() and not any(part.iterdir()):
            part.rmdir()
            return
        raise FingerprintsError(
            "The output needs this name for its temporary folder, but it exists and is not such a folder.",
            where=part,
            fix="move it away, or give another out=DIR",
        )
    try:
        with locked(mark, wait=False):
            shutil.rmtree(part)
    except BlockingIOError:
        raise FingerprintsError(
            "Another process is writing there.", where=part, fix="wait for it, or give another out=DIR"
        ) from None
