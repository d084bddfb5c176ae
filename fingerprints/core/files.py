"""Files that are replaced as a whole, lock files, digests, and empty folders."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A part file beside `path` that takes its place when the block ends; if it fails, the old file stays.

    A rename is atomic within a file system only, so the part file lies in the same folder.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    except BaseException:  # also a second signal
        part.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the content of `path`; readers see the old content or the new one, never a part.

    The content is on the disk before it gets its name, so that a loss of power cannot leave an empty file.

    Raises:
        OSError: If the disk is full or the folder cannot be written; the part file is removed.
    """
    with replacing(path) as part, part.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path`; the system releases it if the process dies.

    Args:
        path: The lock file; it is created where it is missing.
        shared: Hold it together with others that share it.
        wait: Wait for another process that holds it.

    Raises:
        BlockingIOError: If another process holds it and `wait` is false.
    """
    with path.open("a") as handle:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(handle, kind if wait else kind | fcntl.LOCK_NB)
        yield


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
