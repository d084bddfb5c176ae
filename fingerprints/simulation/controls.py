"""Controls of `subset`: benchmarks that show whether labels differ by the data or by the generator."""

from __future__ import annotations

from dataclasses import dataclass

from fingerprints.config.simulation import Seeds, SimulateSettings, Subsets


@dataclass(frozen=True)
class Control:
    """A control.

    Attributes:
        name: Its name.
        means: Its meaning, in words.
    """

    name: str
    means: str


CONTROLS: dict[tuple[Subsets, Seeds], Control] = {
    ("same", "own"): Control(
        "same_images",
        "every generator is trained on the same real images, those of t1; only the seeds differ. If labels "
        "can be told apart, the reason is the generator, not the data.",
    ),
    ("disjoint", "shared"): Control(
        "same_start",
        "every generator is trained on its own real images, but with the seed of t1: the same initial "
        "weights and, in each step, the same positions in the order of images, the same noise and the same "
        "augmentation. If labels can be told apart, the reason is not the seed, but the images or the "
        "training on them. Each generator makes its images from its own noise.",
    ),
    ("same", "shared"): Control(
        "same_generator",
        "the same generator makes the images of every label, from different noise. The labels have no "
        "meaning: the right result is chance.",
    ),
}


def control_of(settings: SimulateSettings) -> Control | None:
    """The control that the benchmark is; `None` if it is not a control."""
    return CONTROLS.get((settings.subsets, settings.seeds))
