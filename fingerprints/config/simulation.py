"""Settings of `simulate`: what a benchmark with known truth is to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fingerprints.core.options import chosen, option
from fingerprints.generators.settings import GeneratorSettings, PlantedSettings

SimulatedTask = Literal["subset", "usage", "model", "shadow"]
NonMembers = Literal["other_groups", "same_groups"]
Subsets = Literal["disjoint", "same"]
Seeds = Literal["own", "shared"]
# Generators of `task=model` unless told otherwise; the last one has no labelled images.
MODEL_GENERATORS = ("gan", "vae", "diffusion", "stylegan")


@dataclass(frozen=True, kw_only=True)
class SubsetScale:
    """Sizes of a `subset` benchmark."""

    subsets: int = option(5, least=2, most=1000, help="real subsets, each with a generator of its own")
    real: int = option(200, least=1, help="real images a subset")
    generated: int = option(200, least=1, help="labelled generated images a subset")
    test: int = option(1000, least=1, help="generated images of the test part, all subsets together")


@dataclass(frozen=True, kw_only=True)
class UsageScale:
    """Sizes of a `usage` benchmark; the test part has real images and a generator of its own.

    Without a test part all three of its sizes are 0.
    """

    members: int = option(100, least=1, help="real images that the generator is trained on")
    nonmembers: int = option(100, least=1, help="real images that it is not trained on")
    generated: int = option(1000, least=1, help="generated images")
    test_members: int = option(100, least=0, help="members of the test part")
    test_nonmembers: int = option(100, least=0, help="non-members of the test part")
    test_generated: int = option(1000, least=0, help="generated images of the test part")

    @property
    def has_test(self) -> bool:
        """Whether there is a test part."""
        return self.test_members > 0


@dataclass(frozen=True, kw_only=True)
class ModelScale:
    """Sizes of a `model` benchmark."""

    real: int = option(200, least=1, help="real images that every generator is trained on")
    labelled: int = option(3, least=2, most=1000, help="generators whose images are labelled, the first ones")
    generated: int = option(100, least=1, help="generated images of each labelled generator")
    test: int = option(600, least=1, help="generated images of the test part, all generators together")


@dataclass(frozen=True, kw_only=True)
class ShadowScale:
    """Sizes of shadow generators."""

    candidates: int = option(200, least=4, help="real images; each generator is trained on half of them")
    generators: int = option(8, least=2, most=100_000, help="generators")
    generated: int = option(500, least=1, help="generated images of each generator")


Sizes = SubsetScale | UsageScale | ModelScale | ShadowScale


@dataclass(frozen=True, kw_only=True)
class ScaleSettings:
    """How many images, and how long generators are trained; the defaults are `scale=demo`."""

    name: str = option("demo")
    max_steps: int = option(1200, least=1, help="training steps of each generator")
    subset: SubsetScale = option(SubsetScale())
    usage: UsageScale = option(UsageScale())
    model: ModelScale = option(ModelScale())
    shadow: ShadowScale = option(ShadowScale())


@dataclass(frozen=True, kw_only=True)
class PhantomsSettings:
    """Virtual patients, where no real images are given."""

    slices_per_patient: int = option(10, least=1, most=1000)


@dataclass(frozen=True, kw_only=True)
class QualitySettings:
    """What is measured of a generator beyond distances of pixels."""

    fidelity: bool = option(False, help="FID and KID, too (extra `quality`)")
    weights: Path | None = option(None, help="file of Inception weights; null: download them")


@dataclass(frozen=True, kw_only=True)
class SimulateSettings:
    """Root of `python -m fingerprints.simulate`."""

    task: SimulatedTask = option()
    out: Path = option(help="folder of the benchmark")
    name: str | None = option(None, help="a folder of its own below `out`, for each job of a sweep")
    images: Path | None = option(None, help="folder of real images; null: phantoms stand in")
    groups: Path | None = option(None, help="CSV of file and group; null: groups.csv in `images` or above it")
    size: int = option(64, least=1, most=4096, help="pixels a side")
    seed: int = option(0, least=0, most=2**32 - 1, help="seed of everything")
    nonmembers: NonMembers = option("other_groups", help="`usage`: where images that are not used come from")
    subsets: Subsets = option("disjoint", help="`subset`: whether generators have real images of their own")
    seeds: Seeds = option("own", help="`subset`: whether generators have training seeds of their own")
    only: int | None = option(None, least=0, most=1_000_000, help="number of the one generator to make")
    reuse: Path | None = option(None, help="folder of benchmarks whose generators are taken over")
    scale: ScaleSettings = option(ScaleSettings())
    generator: GeneratorSettings = chosen("generator", help="the one generator, where none are listed")
    generators: tuple[GeneratorSettings, ...] = chosen("generator", default=(), help="several generators")
    planted: PlantedSettings = option(PlantedSettings())
    phantoms: PhantomsSettings = option(PhantomsSettings())
    accelerator: Literal["auto", "cpu", "gpu"] = option("auto")
    devices: int = option(1, least=-1, most=65_536, help="processes that share each batch; -1: all GPUs")
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = option("32-true")
    quality: QualitySettings = option(QualitySettings())
    store: Path = option(Path("outputs/store"), help="folder of decoded images")

    @property
    def designs(self) -> tuple[GeneratorSettings, ...]:
        """Settings of every design of generator in the benchmark: those listed, or the one."""
        return self.generators or (self.generator,)

    @property
    def sizes(self) -> Sizes:
        """The sizes of this task."""
        sizes: Sizes = getattr(self.scale, self.task)
        return sizes

    def steps_of(self, design: GeneratorSettings) -> int:
        """Training steps of a design: its own, else those of the scale."""
        return self.scale.max_steps if design.max_steps is None else design.max_steps
