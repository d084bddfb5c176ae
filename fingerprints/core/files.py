"""Files that are complete or absent, their digests, and folders that hold nothing."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` under the name `path`, or leave what was there: never a part of it.

    The part file lies beside it (a rename is atomic within a file system only) and is on the disk before
    it gets its name, so that a loss of power cannot leave an empty file.

    Raises:
        OSError: If the disk is full or the folder cannot be written; the part file is removed.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        part.replace(path)
    except BaseException:  # a second signal, too
        part.unlink(missing_ok=True)
        raise


def digest(path: Path) -> str:
    """Digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]


def remove_if_empty(folder: Path, experiment: str | None) -> None:
    """Leave no empty run folder behind, nor an empty one of its experiment above it."""
    if folder.resolve() == Path.cwd():
        return
    above = [folder.parent] if folder.parent.name == experiment else []
    with contextlib.suppress(OSError):
        for candidate in (folder, *above):
            candidate.rmdir()
