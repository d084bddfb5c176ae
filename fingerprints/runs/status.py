"""State of a run: `status.json` in its folder, and a lock that keeps out a second process."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fingerprints import __version__
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.files import locked, write_atomically

STATUS, LOCK = "status.json", ".lock"
REFUSED = "refused.json"  # for a job whose folder holds another run: the status of that run is kept
RUNNING, FINISHED, FAILED, STOPPED = "running", "finished", "failed", "stopped"
INTERRUPTED, NOT_STARTED = "interrupted", "not started"  # never written; a reader infers them


def new_status(*, overrides: Sequence[str] = (), job: int | None = None) -> dict[str, Any]:
    """The first status of a new run.

    Args:
        overrides: Overrides of the command line.
        job: Its number in a sweep.
    """
    return {
        "state": RUNNING,
        "stage": "starting",
        "id": uuid.uuid4().hex[:8],
        "version": __version__,
        "config_digest": None,
        "data_fingerprint": None,
        "overrides": list(overrides),
        "job": job,
        "cwd": str(Path.cwd()),
        "started": _now(),
        "seconds": 0.0,
        "attempts": 1,
        "error": None,
    }


def read_status(folder: Path) -> dict[str, Any] | None:
    """The status of a run folder; `None` if there is none."""
    try:
        return json.loads((folder / STATUS).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise FingerprintsError(
            f"The run's status cannot be read: {error}", where=folder / STATUS, fix="start a new run"
        ) from error


def write_status(folder: Path, status: dict[str, Any]) -> None:
    """Write the status atomically, with the id and host of this process."""
    facts = {**status, "updated": _now(), "pid": os.getpid(), "host": platform.node()}
    write_atomically(folder / STATUS, (json.dumps(facts, indent=1) + "\n").encode())


def update_status(folder: Path, **facts: Any) -> None:
    """Change some facts. A full disk is ignored here, since the run can continue without this."""
    with contextlib.suppress(OSError):
        write_status(folder, {**(read_status(folder) or {}), **facts})


def is_gone(status: dict[str, Any]) -> bool:
    """Whether the process that wrote a status ran on this machine and has ended."""
    pid = status.get("pid")
    if not isinstance(pid, int) or status.get("host") != platform.node():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it exists and belongs to another user
        return False
    return False


@contextlib.contextmanager
def claimed(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Lock the run folder; the system releases the lock if the process dies.

    Args:
        folder: The folder.
        shared: Take a shared lock: several processes can hold it, but none together with an exclusive one.

    Raises:
        FingerprintsError: If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / LOCK, shared=shared, wait=False))
        except BlockingIOError:
            status = read_status(folder) or {}
            by = f"process {status['pid']} on {status['host']}" if status.get("pid") else "another process"
            raise FingerprintsError(
                f"The run is still going: {by} holds its folder.",
                where=folder,
                fix="wait for it, or end that process",
            ) from None
        yield


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
