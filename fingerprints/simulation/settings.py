"""What a benchmark is to be: everything but the real images."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from fingerprints.errors import FingerprintsError
from fingerprints.generators.designs import check_size
from fingerprints.generators.module import GeneratorSettings
from fingerprints.generators.planted import check_kinds
from fingerprints.simulation.plan import (
    Counts,
    GeneratorPlan,
    ModelCounts,
    NonMembers,
    ShadowCounts,
    SubsetCounts,
    UsageCounts,
    kept_out_of,
    plan_model,
    plan_shadow,
    plan_subset,
    plan_usage,
    unique_labels,
)
from fingerprints.simulation.sources import RealImages


@dataclass(frozen=True)
class Design:
    """A design of generator and how long it is trained.

    Attributes:
        settings: Networks and optimisation.
        steps: Steps.
    """

    settings: GeneratorSettings
    steps: int


@dataclass(frozen=True)
class SimulationSettings:
    """What a benchmark is to be.

    Attributes:
        counts: Sizes; their kind says the task.
        size: Pixels a side.
        seed: Seed of everything.
        nonmembers: Where the non-members of `usage` come from.
        designs: One; for `model` and for the two-generator layout of `usage` several.
        planted_fraction: Share of generated images replaced by changed copies of training images.
        planted_kinds: How they are changed.
    """

    counts: Counts
    size: int
    seed: int
    nonmembers: NonMembers
    designs: tuple[Design, ...]
    planted_fraction: float
    planted_kinds: tuple[str, ...]

    @property
    def task(self) -> str:
        """`subset`, `usage`, `model` or `shadow`."""
        names = {SubsetCounts: "subset", UsageCounts: "usage", ModelCounts: "model", ShadowCounts: "shadow"}
        return names[type(self.counts)]

    @property
    def needed(self) -> int:
        """Real images that the benchmark uses."""
        counts = self.counts
        if isinstance(counts, SubsetCounts):
            return counts.subsets * counts.real
        if isinstance(counts, UsageCounts):
            return counts.members + counts.nonmembers + counts.test_members + counts.test_nonmembers
        used = counts.real if isinstance(counts, ModelCounts) else counts.candidates
        return used + kept_out_of(used)

    @property
    def labels(self) -> list[str]:
        """A label for each design."""
        return unique_labels([design.settings.design for design in self.designs])

    def check(self) -> None:
        """Refuse what can be seen to be wrong without an image.

        Raises:
            FingerprintsError: If there are no or too many designs, one of them cannot make the size, or a
                kind of planted copy does not exist.
        """
        if not self.designs or (len(self.designs) > 1 and self.task not in ("usage", "model")):
            raise FingerprintsError(
                f"task={self.task} takes one generator; {len(self.designs)} are given.",
                where="generators",
                fix="generator=NAME, or task=model or task=usage for several",
            )
        for design in self.designs:
            check_size(self.size, design.settings)
        check_kinds(self.planted_kinds)

    def plans(self, real: RealImages) -> list[GeneratorPlan]:
        """Who trains which generator.

        Raises:
            FingerprintsError: If the images or their groups do not allow what is asked for.
        """
        counts = self.counts
        if isinstance(counts, SubsetCounts):
            return plan_subset(real.groups, counts, seed=self.seed)
        if isinstance(counts, UsageCounts):
            return plan_usage(
                real.groups, counts, nonmembers=self.nonmembers, seed=self.seed, labels=self.labels
            )
        if isinstance(counts, ModelCounts):
            return plan_model(real.groups, counts, labels=self.labels, seed=self.seed)
        return plan_shadow(real.groups, counts, seed=self.seed)

    def describe(self) -> dict[str, Any]:
        """Plain data."""
        facts = {"task": self.task, **asdict(self)}
        facts["designs"] = [
            {"design": design.settings.design, "steps": design.steps, **asdict(design.settings)}  # type: ignore[call-overload]
            for design in self.designs
        ]
        return json.loads(json.dumps(facts))
