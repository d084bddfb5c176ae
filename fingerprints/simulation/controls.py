"""Controls of `subset`: benchmarks that say whether the data or the generator tells labels apart."""

from __future__ import annotations

from dataclasses import dataclass

from fingerprints.config.simulation import Seeds, SimulateSettings, Subsets


@dataclass(frozen=True)
class Control:
    """A control.

    Attributes:
        name: What it is called.
        means: What it says.
    """

    name: str
    means: str


CONTROLS: dict[tuple[Subsets, Seeds], Control] = {
    ("same", "own"): Control(
        "same_images",
        "every generator is trained on the same real images, those of t1; their seeds differ. What tells "
        "labels apart is the generator, not the data.",
    ),
    ("disjoint", "shared"): Control(
        "same_start",
        "every generator is trained on real images of its own with the seed of t1: the same weights at the "
        "start and, step by step, the same places in the order of images, the same noise and the same "
        "augmentation. The seed cannot tell labels apart, only the images or what training on them made of "
        "the same weights. What is generated is made from noise that each generator has to itself.",
    ),
    ("same", "shared"): Control(
        "same_generator",
        "the same generator makes the images of every label, from other noise. No label is true of anything: "
        "chance is the right answer.",
    ),
}


def control_of(settings: SimulateSettings) -> Control | None:
    """The control that a benchmark is; `None` if it is none."""
    return CONTROLS.get((settings.subsets, settings.seeds))
