"""Which files of a folder are images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.layout import IMAGE_SUFFIXES
from fingerprints.ingestion.dicom import SUFFIXES, is_dicom


class SourceFile(NamedTuple):
    """A file that is an image.

    Attributes:
        path: Where it is.
        name: Its path relative to the folder that is read, POSIX style.
        dicom: Whether it is a DICOM file, by suffix or mark.
    """

    path: str
    name: str
    dicom: bool


def scan(folder: Path) -> tuple[list[SourceFile], int]:
    """Find the images in a folder and all folders in it.

    Returns:
        Files that are images by their suffix or DICOM's mark, sorted by name, and the number of all others.
        Hidden files and DICOM's tables of contents do not count.

    Raises:
        FingerprintsError: If a folder cannot be read.
    """
    files: list[SourceFile] = []
    others = 0
    try:
        for entry, name in _entries(folder):
            suffix = Path(entry.name).suffix.lower()
            dicom = suffix in SUFFIXES or _marked(entry)
            # A link that leads nowhere counts here: the error comes where the file is read.
            regular = entry.is_file() or entry.is_symlink()
            if regular and (dicom or suffix in IMAGE_SUFFIXES):
                files.append(SourceFile(entry.path, name, dicom))
            else:
                others += 1
    except OSError as error:
        raise FingerprintsError(
            f"The images cannot be read: {error.strerror or error}.",
            where=error.filename or folder,
            fix="see to the rights, or leave it out",
        ) from error
    return sorted(files, key=lambda file: file.name), others


def _entries(folder: Path) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Everything below a folder that is no folder, with its relative name; every folder is entered once."""
    seen: set[tuple[int, int]] = set()
    waiting = [(str(folder), "")]
    while waiting:
        path, below = waiting.pop()
        status = Path(path).stat()
        if (status.st_dev, status.st_ino) in seen:  # a link back up
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.upper() == "DICOMDIR":
                    continue
                if entry.is_dir():
                    waiting.append((entry.path, f"{below}{entry.name}/"))
                else:
                    yield entry, below + entry.name


def _marked(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file() and is_dicom(entry.path)
    except OSError:  # if its suffix is an image's, the error comes where the file is read
        return False
