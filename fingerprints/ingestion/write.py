"""The finished folder: complete or absent, and the key beside it.

Secrets (salt, key) never lie with the data, and nothing is overwritten.
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

_MARK = ".ingest"  # in a folder that is being written


def check_places(settings: IntakeSettings) -> None:
    """Check the places that are read and written, before any file is opened.

    Raises:
        FingerprintsError: If there is no folder of images, the output lies among them or is there already,
            a secret would lie with the data, or the output cannot be written.
    """
    images, out = settings.images, settings.out
    if not images.is_dir():
        raise FingerprintsError(
            "The folder of images does not exist." if not images.exists() else "It is no folder.",
            where=images,
            fix="images=DIR with a folder of images",
        )
    if _inside(out, images):
        raise FingerprintsError(
            "The output would lie among the images that are read.", where=out, fix="out=DIR elsewhere"
        )
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise FingerprintsError(
            "The output is there already, and nothing is overwritten.",
            where=out,
            fix="out=DIR of another name",
        )
    for name, path in (("salt", settings.salt), ("key", settings.key)):
        if path is None:
            continue
        places = [out, _partial(out)] + ([images] if name == "salt" else [])
        if any(_inside(path, place) for place in places):
            raise FingerprintsError(
                f"The {name} must not lie with the data: it leads back to the patients.",
                where=path,
                fix=f"{name}=FILE elsewhere",
            )
    if settings.key is not None and (
        settings.key.exists()
        or (settings.salt is not None and settings.key.resolve() == settings.salt.resolve())
    ):
        raise _key_exists(settings.key)
    with _writing(out):
        _existing(out.parent)


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _partial(out: Path) -> Path:
    out = out.resolve()
    return out.with_name(f"{out.name}.partial")


def _existing(folder: Path) -> None:
    """Whether files could be made in a folder that may not be there yet.

    Raises:
        OSError: If not.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(0, "it is no folder", str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(0, "permission denied", str(folder))


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FingerprintsError(
            f"The output cannot be written: {error.strerror or error}.",
            where=error.filename or out,
            fix="out=DIR in a folder that can be written and has room",
        ) from error


def _key_exists(path: Path) -> FingerprintsError:
    return FingerprintsError(
        "The key file is there already, and nothing is overwritten.",
        where=path,
        fix="key=FILE of another name, or remove it if it is of an ingest that was killed",
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
    """Write the folder, and the key if one is asked for: all of it or nothing.

    Args:
        settings: Where everything goes.
        names: Name of each picture, relative to the folder.
        pictures: The pictures, with hashed groups.
        pairs: Near-duplicates: row, row, correlation.
        facts: What `ingest.json` holds.
        progress: Called now and then.

    Raises:
        FingerprintsError: If something cannot be written, or another ingest is writing there.
    """
    groups = [picture.group for picture in pictures]
    with _key_file(settings, names, pictures), _writing(settings.out), _whole(settings.out) as folder:
        (folder / "images").mkdir()
        shown = time.monotonic()
        for row, (name, picture) in enumerate(zip(names, pictures, strict=True), start=1):
            (folder / name).write_bytes(picture.png)
            if progress is not None and (row == len(names) or time.monotonic() - shown > 0.1):
                shown = time.monotonic()
                progress("writing images", row, len(names))
        with (folder / "groups.csv").open("w", encoding="utf-8", newline="") as handle:
            _write_rows(handle, ("file", "group"), zip(names, groups, strict=True))
        with (folder / "near_duplicates.csv").open("w", encoding="utf-8", newline="") as handle:
            header = ("file_a", "file_b", "group_a", "group_b", "correlation")
            rows = ((names[i], names[j], groups[i], groups[j], f"{r:.4f}") for i, j, r in pairs)
            _write_rows(handle, header, rows)
        (folder / "ingest.json").write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n")


def _write_rows(handle: IO[str], header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    writer = csv.writer(handle, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


@contextlib.contextmanager
def _key_file(settings: IntakeSettings, names: Sequence[str], pictures: Sequence[Picture]) -> Iterator[None]:
    """Write the key before the block, as nothing could make it again; remove it if the block fails."""
    path = settings.key
    if path is None:
        yield
        return
    images = settings.images.resolve()
    try:
        handle = create_private(path, "x", encoding="utf-8", errors="surrogateescape", newline="")
    except FileExistsError:
        raise _key_exists(path) from None
    except OSError as error:
        raise _no_key(path, error) from error
    try:
        try:
            with handle:
                rows = zip(names, pictures, strict=True)
                _write_rows(
                    handle,
                    ("file", "source", "frame"),
                    ((name, images / picture.source, picture.frame) for name, picture in rows),
                )
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
        fix="key=FILE in a folder that can be written and has room",
    )


@contextlib.contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A folder beside `out` that gets its name when the block ends, and is removed if it fails.

    Raises:
        FingerprintsError: If another ingest is writing there, or something else is in the way.
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
            part.rename(out.resolve())  # an empty folder gives way
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _remove_stale(part: Path) -> None:
    """Remove what a killed ingest left; nothing else, and not under one that is still at it."""
    mark = part / _MARK
    if not mark.is_file():
        if part.is_dir() and not any(part.iterdir()):
            part.rmdir()
            return
        raise FingerprintsError(
            "This is in the way, and no ingest left it there.",
            where=part,
            fix="move it away, or another out=DIR",
        )
    try:
        with locked(mark, wait=False):
            shutil.rmtree(part)
    except BlockingIOError:
        raise FingerprintsError(
            "Another ingest is writing there.", where=part, fix="wait for it, or another out=DIR"
        ) from None
