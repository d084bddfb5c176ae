"""What a benchmark is to be: everything but the real images."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from fingerprints.config.simulation import (
    Counts,
    ModelCounts,
    NonMembers,
    ScaleSettings,
    Seeds,
    ShadowCounts,
    SimulateSettings,
    SubsetCounts,
    Subsets,
    UsageCounts,
)
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import part_of
from fingerprints.generators.planted import check_kinds
from fingerprints.generators.settings import GeneratorSettings
from fingerprints.simulation.plan import (
    GeneratorPlan,
    kept_out_of,
    plan_model,
    plan_shadow,
    plan_subset,
    plan_usage,
    unique_labels,
)
from fingerprints.simulation.sources import RealImages

# Controls of `subset`, by `subsets` and `seeds`: what each is called, and what it says.
CONTROLS: dict[tuple[Subsets, Seeds], tuple[str, str]] = {
    ("same", "own"): (
        "same_images",
        "every generator is trained on the same real images, those of t1; their seeds differ. What tells "
        "labels apart is the generator, not the data.",
    ),
    ("disjoint", "shared"): (
        "same_start",
        "every generator is trained on real images of its own with the seed of t1: the same weights at the "
        "start and, step by step, the same places in the order of images, the same noise and the same "
        "augmentation. The seed cannot tell labels apart, only the images or what training on them made of "
        "the same weights. What is generated is made from noise that each generator has to itself.",
    ),
    ("same", "shared"): (
        "same_generator",
        "the same generator makes the images of every label, from other noise. No label is true of anything: "
        "chance is the right answer.",
    ),
}


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
        subsets: Whether the generators of `subset` are trained on disjoint real images, or all on the same.
        seeds: Whether each generator of `subset` is trained with a seed of its own, or all with that of the
            first: weights at the start, order of images, noise and augmentation.
    """

    counts: Counts
    size: int
    seed: int
    nonmembers: NonMembers
    designs: tuple[Design, ...]
    planted_fraction: float
    planted_kinds: tuple[str, ...]
    subsets: Subsets = "disjoint"
    seeds: Seeds = "own"

    @property
    def task(self) -> str:
        """`subset`, `usage`, `model` or `shadow`."""
        names = {SubsetCounts: "subset", UsageCounts: "usage", ModelCounts: "model", ShadowCounts: "shadow"}
        return names[type(self.counts)]

    @property
    def needed(self) -> int:
        """Real images without which the benchmark cannot be made.

        `subsets=same` needs those of the other subsets, too: groups are dealt out as without it, so that the
        control differs from the benchmark in one thing, and what is left over shows what a generator was not
        trained on.
        """
        counts = self.counts
        if isinstance(counts, SubsetCounts):
            return counts.subsets * counts.real
        if isinstance(counts, UsageCounts):
            return counts.members + counts.nonmembers + counts.test_members + counts.test_nonmembers
        used = counts.real if isinstance(counts, ModelCounts) else counts.candidates
        return used + kept_out_of(used)

    @property
    def control(self) -> dict[str, str] | None:
        """Name and meaning of the control that this benchmark is; `None` if it is none."""
        found = CONTROLS.get((self.subsets, self.seeds))
        return None if found is None else {"name": found[0], "means": found[1]}

    @property
    def labels(self) -> list[str]:
        """A label for each design."""
        return unique_labels([design.settings.name for design in self.designs])

    def check(self) -> None:
        """Refuse what can be seen to be wrong without an image.

        Raises:
            FingerprintsError: If there are no or too many designs, one of them cannot make the size, a kind
                of planted copy does not exist, or another task than `subset` is to be a control of it.
        """
        if not self.designs or (len(self.designs) > 1 and self.task not in ("usage", "model")):
            raise FingerprintsError(
                f"task={self.task} takes one generator; {len(self.designs)} are given.",
                where="generators",
                fix="generator=NAME, or task=model or task=usage for several",
            )
        for design in self.designs:
            part_of(design.settings).check_size(self.size, design.settings)
        check_kinds(self.planted_kinds)
        if self.control is not None and self.task != "subset":
            raise FingerprintsError(
                f"task={self.task} has no subsets; this control is of task=subset.",
                where=f"subsets={self.subsets}, seeds={self.seeds}",
                fix="task=subset, or leave subsets and seeds out",
            )

    def plans(self, real: RealImages) -> list[GeneratorPlan]:
        """Who trains which generator.

        Raises:
            FingerprintsError: If the images or their groups do not allow what is asked for.
        """
        counts = self.counts
        if isinstance(counts, SubsetCounts):
            return plan_subset(real.groups, counts, seed=self.seed, subsets=self.subsets)
        if isinstance(counts, UsageCounts):
            return plan_usage(
                real.groups, counts, nonmembers=self.nonmembers, seed=self.seed, labels=self.labels
            )
        if isinstance(counts, ModelCounts):
            return plan_model(real.groups, counts, labels=self.labels, seed=self.seed)
        return plan_shadow(real.groups, counts, seed=self.seed)

    def describe(self) -> dict[str, Any]:
        """Plain data; a benchmark that is no control says nothing of controls, as before there were any."""
        facts = {"task": self.task, **asdict(self)}
        if self.control is None:
            del facts["subsets"], facts["seeds"]
        facts["designs"] = [
            {"design": design.settings.name, "steps": design.steps, **design.settings.facts()}
            for design in self.designs
        ]
        return json.loads(json.dumps(facts))


def simulation_settings(config: SimulateSettings) -> SimulationSettings:
    """What a configuration asks for.

    Raises:
        FingerprintsError: If there is no such task, or its sizes contradict each other.
    """
    steps = config.scale.max_steps
    return SimulationSettings(
        counts=_counts(config.task, config.scale),
        size=config.size,
        seed=config.seed,
        nonmembers=config.nonmembers,
        designs=tuple(
            Design(entry, steps if entry.max_steps is None else entry.max_steps)
            for entry in config.generators
        ),
        planted_fraction=config.planted.fraction,
        planted_kinds=config.planted.kinds,
        subsets=config.subsets,
        seeds=config.seeds,
    )


def _counts(task: str, scale: ScaleSettings) -> Counts:
    kinds: dict[str, Counts] = {
        "subset": scale.subset,
        "usage": scale.usage,
        "model": scale.model,
        "shadow": scale.shadow,
    }
    if task not in kinds:
        raise FingerprintsError(
            f"There is no simulation of task '{task}'.",
            where="task",
            fix=", ".join(f"task={name}" for name in kinds),
        )
    counts = kinds[task]
    if isinstance(counts, UsageCounts):
        test = [counts.test_members, counts.test_nonmembers, counts.test_generated]
        if any(test) and not all(test):
            raise FingerprintsError(
                f"The test part would have {test[0]} used, {test[1]} not used, {test[2]} generated images.",
                where="scale.usage.test_*",
                fix="all three greater than 0, or all three 0 for no test part",
            )
    return counts
