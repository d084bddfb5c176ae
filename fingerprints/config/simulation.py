"""The root settings of `simulate`: what a benchmark is to be, and its sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fingerprints.core.options import chosen, option
from fingerprints.generators.settings import GeneratorSettings, Planted
from fingerprints.training.settings import Accelerator, Precision

NonMembers = Literal["other_groups", "same_groups"]
Seeds = Literal["own", "shared"]
Subsets = Literal["disjoint", "same"]

# Generators of task `model` unless told otherwise; the last one has no labelled images.
MODEL_GENERATORS = ("gan", "vae", "diffusion", "stylegan")


@dataclass(frozen=True)
class SubsetCounts:
    """Sizes of a `subset` benchmark."""

    subsets: int = option(least=2, most=1000, help="real subsets, each with a generator of its own")
    real: int = option(least=1, help="real images a subset")
    generated: int = option(least=1, help="generated images a subset, labelled")
    test: int = option(least=1, help="generated images of the test part, all subsets together")


@dataclass(frozen=True)
class UsageCounts:
    """Sizes of a `usage` benchmark; the test part has real images and a generator of its own.

    Without a test part all three of its sizes are 0.
    """

    members: int = option(least=1, help="real images that the generator is trained on")
    nonmembers: int = option(least=1, help="real images that it is not")
    generated: int = option(least=1)
    test_members: int = option(least=0)
    test_nonmembers: int = option(least=0)
    test_generated: int = option(least=0)

    @property
    def has_test(self) -> bool:
        """Whether there is a test part."""
        return self.test_members > 0


@dataclass(frozen=True)
class ModelCounts:
    """Sizes of a `model` benchmark."""

    real: int = option(least=1, help="real images that every generator is trained on")
    labelled: int = option(least=2, most=1000, help="the first generators; the test part has all")
    generated: int = option(least=1, help="generated images of each labelled generator")
    test: int = option(least=1, help="generated images of the test part, all generators together")


@dataclass(frozen=True)
class ShadowCounts:
    """Sizes of shadow generators."""

    candidates: int = option(least=4, help="real images; each generator is trained on half of them")
    generators: int = option(least=2, most=100_000)
    generated: int = option(least=1, help="generated images of each")


Counts = SubsetCounts | UsageCounts | ModelCounts | ShadowCounts


@dataclass(frozen=True, kw_only=True)
class ScaleSettings:
    """How many images, and how long generators are trained."""

    name: str = option()
    max_steps: int = option(least=1)
    subset: SubsetCounts
    usage: UsageCounts
    model: ModelCounts
    shadow: ShadowCounts


@dataclass(frozen=True, kw_only=True)
class PlantedSettings:
    """Changed copies of training images among the generated ones."""

    fraction: float = option(0.0, least=0, most=1, help="share of generated images")
    kinds: tuple[Planted, ...] = option(("noise", "shift", "contrast"))


@dataclass(frozen=True, kw_only=True)
class PhantomsSettings:
    """Virtual patients, where no real images are given."""

    slices_per_patient: int = option(10, least=1, most=1000)


@dataclass(frozen=True, kw_only=True)
class QualitySettings:
    """What is measured of a generator beyond distances of pixels."""

    fidelity: bool = option(False, help="FID and KID (extra quality)")
    weights: Path | None = option(None, help="Inception weights")


@dataclass(frozen=True, kw_only=True)
class SimulateSettings:
    """Root of `python -m fingerprints.simulate`."""

    task: str = option()
    out: Path = option()
    name: str | None = option(None, help="a folder of its own below out, for each job of a sweep")
    images: Path | None = option(None)
    groups: Path | None = option(None)
    size: int = option(64, least=1, most=4096)
    seed: int = option(0, least=0, most=2**32 - 1)
    nonmembers: NonMembers = option("other_groups")
    subsets: Subsets = option("disjoint")
    seeds: Seeds = option("own")
    only: int | None = option(None, least=0, most=1_000_000)
    reuse: Path | None = option(None)
    scale: ScaleSettings
    generator: GeneratorSettings = chosen("generator")
    generators: tuple[GeneratorSettings, ...] = chosen("generator", default=())
    planted: PlantedSettings = PlantedSettings()
    phantoms: PhantomsSettings = PhantomsSettings()
    accelerator: Accelerator = option("auto")
    devices: int = option(1, least=-1, most=65_536)
    precision: Precision = option("32-true")
    quality: QualitySettings = QualitySettings()
    store: Path = option(Path("outputs/store"))
