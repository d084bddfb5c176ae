"""Finding the images in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.layout import IMAGE_SUFFIXES, is_folder, is_hidden
from fingerprints.ingestion.dicom import SUFFIXES, is_dicom


class SourceFile(NamedTuple):
    """A file that is an image.

    Attributes:
        path: Its path.
        name: Its path relative to the input folder, POSIX style.
        dicom: Whether it is a DICOM file, by suffix or by the DICOM mark in the file.
    """

    path: str
    name: str
    dicom: bool


def scan(folder: Path) -> tuple[list[SourceFile], int]:
    """Find the images in a folder and all folders in it.

    Returns:
        Files that are images by their suffix or the DICOM mark, sorted by name, and the number of all other
        files. Files and folders that are hidden or made by file servers, and DICOMDIR files, are not counted.

    Raises:
        FingerprintsError: If a folder cannot be read.
    """
    files: list[SourceFile] = []
    others = 0
    try:
        for entry, name in _entries(folder):
            suffix = Path(entry.name).suffix.lower()
            dicom = suffix in SUFFIXES or _marked(entry)
            # A broken link is included here, so that reading the file reports the error.
            regular = entry.is_file() or entry.is_symlink()
            if regular and (dicom or suffix in IMAGE_SUFFIXES):
                files.append(SourceFile(entry.path, name, dicom))
            else:
                others += 1
    except OSError as error:
        raise FingerprintsError(
            f"The images cannot be read: {error.strerror or error}.",
            where=error.filename or folder,
            fix="change the permissions, or move it out of the folder",
        ) from error
    return sorted(files, key=lambda file: file.name), others


def _entries(folder: Path) -> Iterator[tuple[os.DirEntry[str], str]]:
    """All files below a folder, with their relative names; every folder is entered only once."""
    seen: set[tuple[int, int]] = set()
    waiting = [(str(folder), "")]
    while waiting:
        path, below = waiting.pop()
        status = Path(path).stat()
        if (status.st_dev, status.st_ino) in seen:  # a link to a folder above
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(path) as entries:
            for entry in entries:
                if is_hidden(entry.name) or entry.name.upper() == "DICOMDIR":
                    continue
                if is_folder(entry):
                    waiting.append((entry.path, f"{below}{entry.name}/"))
                else:
                    yield entry, below + entry.name


def _marked(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file() and is_dicom(entry.path)
    except OSError:  # if it has an image suffix, reading the file reports the error
        return False
