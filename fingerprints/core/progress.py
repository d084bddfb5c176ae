"""Progress of long work on the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # description of the work, items done, items in total


def console_progress() -> Progress | None:
    """A progress line on the terminal with images per second; `None` if stderr is not a terminal."""
    if not sys.stderr.isatty():
        return None
    started = time.monotonic()

    def show(what: str, done: int, total: int) -> None:
        rate = done / max(time.monotonic() - started, 1e-6)
        bar = "#" * (30 * done // max(total, 1))
        sys.stderr.write(f"\r{what} [{bar:<30}] {done:,}/{total:,}  {rate:,.0f} images/s")
        if done == total:
            sys.stderr.write("\n")
        sys.stderr.flush()

    return show
