"""Progress of a simulation: on a terminal one bar for all generators, elsewhere a line from time to time."""

from __future__ import annotations

import sys

from tqdm import tqdm

LINES = 5  # per generator, if there is no terminal


class Console:
    """Prints progress to stderr, and figures of a finished generator to stdout."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._steps: dict[str, int] = {}
        self._before: dict[str, int] = {}  # steps of the generators that come first

    def begin(self, steps: dict[str, int]) -> None:
        """Called with the generators that will be trained, and the steps of each."""
        self._steps, total = steps, 0
        for name, count in steps.items():
            self._before[name], total = total, total + count
        if sys.stderr.isatty():
            self._bar = tqdm(total=total, unit="step", smoothing=0.05)

    def step(self, name: str, step: int, point: dict[str, float]) -> None:
        """Called after each step of a generator."""
        steps = self._steps[name]
        words = f"generator {name} ({list(self._steps).index(name) + 1} of {len(self._steps)})"
        if self._bar is not None:
            self._bar.set_description_str(words, refresh=False)
            # Set and not added: a resumed training starts at its earlier step.
            self._bar.update(self._before[name] + step - self._bar.n)
        elif step % max(1, steps // LINES) == 0:
            losses = ", ".join(f"{key.replace('_', ' ')} {point[key]:.2f}" for key in point if "loss" in key)
            words += f": step {step:,} of {steps:,}" + (f"; {losses}" if losses else "")
            print(words, file=sys.stderr, flush=True)

    def trained(self, name: str, *lines: str) -> None:
        """Called when a generator is trained and measured."""
        if self._bar is None:
            print("\n".join(lines), flush=True)
            return
        self._bar.update(self._before[name] + self._steps[name] - self._bar.n)
        for line in lines:
            self._bar.write(line)

    def close(self) -> None:
        """Restore the terminal."""
        if self._bar is not None:
            self._bar.close()
