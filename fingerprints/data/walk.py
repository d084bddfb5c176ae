"""Walking through a folder of images: what is a file of the user, and what is litter of a system."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fingerprints.core.errors import FingerprintsError

# Names, in lower case, that file managers, servers and DICOM media make by themselves.
_LITTER = frozenset(
    (
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "dicomdir", "__macosx"),
        *("@eadir", "thumbs", "@recycle", "#recycle", "$recycle.bin", "lost+found"),
    )
)


class Found(NamedTuple):
    """A file below a folder.

    Attributes:
        path: Its path.
        name: Its path relative to the folder, POSIX style.
        kind: `file`, `dead` (a link that leads nowhere), or `other` (a socket, a pipe).
    """

    path: str
    name: str
    kind: str

    @property
    def suffix(self) -> str:
        """The ending of the name, in lower case."""
        return os.path.splitext(self.name)[1].lower()


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden, or made by a system; it is ignored without a word."""
    return name.startswith(".") or name.lower() in _LITTER


def printable(name: str) -> str:
    """A file name with characters that every terminal and file can hold."""
    return os.fsencode(name).decode(errors="replace")


def is_dead(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a link that leads nowhere."""
    return entry.is_symlink() and not os.path.exists(entry.path)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one.

    Raises:
        FingerprintsError: If it is a link that leads to itself.
    """
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise FingerprintsError(
            "This link leads to itself.", where=entry.path, fix="remove the link, or let it lead to a file"
        ) from error


def walk(folder: Path) -> Iterator[Found]:
    """All files below a folder that are not litter, in no order; every folder is entered only once.

    Raises:
        OSError: If a folder cannot be read.
        FingerprintsError: If a link leads to itself.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [(str(folder), "")]
    while waiting:
        path, below = waiting.pop()
        status = os.stat(path)
        if (status.st_dev, status.st_ino) in seen:  # a link to a folder above
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(path) as entries:
            for entry in entries:
                if is_litter(entry.name):
                    continue
                if is_folder(entry):
                    waiting.append((entry.path, f"{below}{entry.name}/"))
                else:
                    kind = "file" if entry.is_file() else "dead" if is_dead(entry) else "other"
                    yield Found(entry.path, below + entry.name, kind)


def cannot_be_read(error: OSError, folder: Path) -> FingerprintsError:
    """The error for a folder that cannot be read."""
    return FingerprintsError(
        f"The images cannot be read: {error.strerror or error}.",
        where=error.filename or folder,
        fix="change the permissions, or move it out of the folder",
    )
