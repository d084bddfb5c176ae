"""SIGTERM and SIGINT: finish the step, save and exit; a second signal stops immediately."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType


class Interrupted(BaseException):
    """A signal asked the run to stop. Not an `Exception`, so that no handler catches it by accident.

    Args:
        number: The signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def exit_code(self) -> int:
        """Exit code that shells use for this signal: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number


class _State:
    """State of the whole process, since signals are sent to the process."""

    deferring = False
    pending: int | None = None


def pending() -> int | None:
    """Number of the signal received while stopping was deferred; `None` if none was."""
    return _State.pending


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Let the caller choose when to stop: it asks `pending()`. A signal received inside is raised on exit."""
    _State.deferring = True
    try:
        yield
    finally:
        _State.deferring = False
    if _State.pending is not None:
        raise Interrupted(_State.pending)


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into `Interrupted`; outside the main thread, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _State.pending = None
    before = {number: signal.signal(number, _receive) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _State.pending = None


def _receive(number: int, frame: FrameType | None) -> None:
    first = _State.pending is None
    _State.pending = number
    if not (first and _State.deferring):
        raise Interrupted(number)


def end_with_parent() -> None:
    """End this process when its parent has ended, so that workers stop when their launcher is killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
