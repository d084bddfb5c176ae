"""How far a simulation is: one bar for all generators on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tqdm import tqdm

from fingerprints.generators.fit import TrainedGenerator
from fingerprints.generators.quality import Quality
from fingerprints.simulation.plan import GeneratorPlan

LINES = 5  # for each generator, where there is no terminal


class Console:
    """Says it on stderr; figures of a finished generator on stdout."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._steps, self._done, self._before = 0, 0, 0
        self._names: list[str] = []

    def begin(self, plans: Sequence[GeneratorPlan], steps: int) -> None:
        """What will be trained."""
        self._names, self._steps = [plan.name for plan in plans], steps
        if sys.stderr.isatty():
            self._bar = tqdm(total=steps * len(plans), unit="step", smoothing=0.05)

    def step(self, name: str, step: int, point: dict[str, float]) -> None:
        """A step of a generator is done."""
        self._done = step
        position = self._names.index(name)
        words = f"generator {name} ({position + 1} of {len(self._names)})"
        if self._bar is not None:
            self._bar.set_description_str(words, refresh=False)
            # Set, not added to: a training that goes on begins where it was.
            self._bar.update(position * self._steps + step - self._bar.n)
        elif step % max(1, self._steps // LINES) == 0:
            losses = ", ".join(f"{key.replace('_', ' ')} {point[key]:.2f}" for key in point if "loss" in key)
            print(f"{words}: step {step:,} of {self._steps:,}; {losses}", file=sys.stderr, flush=True)

    def trained(self, name: str, generator: TrainedGenerator, quality: Quality) -> None:
        """Its figures."""
        line = f"generator {name}: {generator.steps:,} steps in {generator.seconds:,.0f} s; {quality.line()}"
        if self._bar is None:
            print(line, flush=True)
            return
        self._bar.update((self._names.index(name) + 1) * self._steps - self._bar.n)
        self._bar.write(line)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.close()
