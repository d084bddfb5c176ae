"""Progress of long work on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # description of the work, items done, items in total


def console_progress() -> Progress | None:
    """A progress bar on the terminal with images per second; `None` where there is no terminal."""
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in bars:
            bars[what] = tqdm(desc=what, total=total, unit=" images", dynamic_ncols=True)
        bars[what].update(done - bars[what].n)
        if done == total:
            bars.pop(what).close()

    return show
