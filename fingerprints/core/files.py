"""Writing files atomically, digests of files, and removing empty folders."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path`; on failure, the file that was there stays as it was.

    The content is first written to a part file in the same folder (a rename is atomic only within one file
    system) and flushed to the disk; then the part file is renamed. So a power failure cannot leave an empty
    file.

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
    except BaseException:  # also a second signal
        part.unlink(missing_ok=True)
        raise


def digest(path: Path) -> str:
    """Digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]


def remove_if_empty(folder: Path, experiment: str | None) -> None:
    """Remove a run folder if it is empty, and then the experiment's folder above it if that is empty, too."""
    if folder.resolve() == Path.cwd():
        return
    above = [folder.parent] if folder.parent.name == experiment else []
    with contextlib.suppress(OSError):
        for candidate in (folder, *above):
            candidate.rmdir()
