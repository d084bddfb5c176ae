"""Finding the images in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from fingerprints.data.layout import IMAGE_SUFFIXES
from fingerprints.data.leftovers import LeftOut, sort_out
from fingerprints.data.walk import Found, cannot_be_read, walk
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


def scan(folder: Path) -> tuple[list[SourceFile], LeftOut]:
    """Find the images in a folder and all folders in it.

    Returns:
        Files that are images by their suffix or the DICOM mark, sorted by name, and all other files but
        hidden ones, DICOMDIR files and other litter.

    Raises:
        FingerprintsError: If a folder cannot be read.
    """
    files: list[SourceFile] = []
    others: list[Found] = []
    try:
        for found in walk(folder):
            dicom = found.suffix in SUFFIXES or _marked(found)
            # A broken link is included here, so that reading the file reports the error.
            if found.kind in ("file", "dead") and (dicom or found.suffix in IMAGE_SUFFIXES):
                files.append(SourceFile(found.path, found.name, dicom))
            else:
                others.append(found)
    except OSError as error:
        raise cannot_be_read(error, folder) from error
    return sorted(files, key=lambda file: file.name), sort_out(others)


def _marked(found: Found) -> bool:
    try:
        return found.kind == "file" and is_dicom(found.path)
    except OSError:  # if it has an image suffix, reading the file reports the error
        return False
