"""Settings of `simulate`, which makes benchmarks with known truth."""

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
# Default generators of `task=model`; the last one has no labelled images.
MODEL_GENERATORS = ("gan", "vae", "diffusion", "stylegan")


@dataclass(frozen=True, kw_only=True)
class SubsetScale:
    """Sizes of a `subset` benchmark."""

    subsets: int = option(5, least=2, most=1000, help="number of real subsets, each with its own generator")
    real: int = option(200, least=1, help="real images per subset")
    generated: int = option(200, least=1, help="labelled generated images per subset")
    test: int = option(1000, least=1, help="generated images of the test part, over all subsets")


@dataclass(frozen=True, kw_only=True)
class UsageScale:
    """Sizes of a `usage` benchmark; the test part has its own real images and its own generator.

    Without a test part, its three sizes are 0.
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
    labelled: int = option(3, least=2, most=1000, help="the first N generators have labelled images")
    generated: int = option(100, least=1, help="generated images per labelled generator")
    test: int = option(600, least=1, help="generated images of the test part, over all generators")


@dataclass(frozen=True, kw_only=True)
class ShadowScale:
    """Sizes of shadow generators."""

    candidates: int = option(200, least=4, help="real images; each generator is trained on half of them")
    generators: int = option(8, least=2, most=100_000, help="number of generators")
    generated: int = option(500, least=1, help="generated images per generator")


Sizes = SubsetScale | UsageScale | ModelScale | ShadowScale


@dataclass(frozen=True, kw_only=True)
class ScaleSettings:
    """Numbers of images, and training steps of generators; the defaults are `scale=demo`."""

    name: str = option("demo")
    max_steps: int = option(1200, least=1, help="training steps of each generator")
    subset: SubsetScale = option(SubsetScale())
    usage: UsageScale = option(UsageScale())
    model: ModelScale = option(ModelScale())
    shadow: ShadowScale = option(ShadowScale())


@dataclass(frozen=True, kw_only=True)
class PhantomsSettings:
    """Virtual patients, used if no real images are given."""

    slices_per_patient: int = option(10, least=1, most=1000)


@dataclass(frozen=True, kw_only=True)
class QualitySettings:
    """Measures of a generator's quality, in addition to pixel distances."""

    fidelity: bool = option(False, help="also compute FID and KID (extra `quality`)")
    weights: Path | None = option(None, help="file of Inception weights; null: download them")


@dataclass(frozen=True, kw_only=True)
class SimulateSettings:
    """Root of `python -m fingerprints.simulate`."""

    task: SimulatedTask = option()
    out: Path = option(help="folder of the benchmark")
    name: str | None = option(None, help="subfolder of `out`, one for each job of a sweep")
    images: Path | None = option(None, help="folder of real images; null: use phantoms")
    groups: Path | None = option(None, help="CSV of file and group; null: groups.csv in `images` or above it")
    size: int = option(64, least=1, most=4096, help="side of the images in pixels")
    seed: int = option(0, least=0, most=2**32 - 1, help="seed of all random choices")
    nonmembers: NonMembers = option("other_groups", help="`usage`: groups of the not used images")
    subsets: Subsets = option("disjoint", help="`subset`: whether generators share the same real images")
    seeds: Seeds = option("own", help="`subset`: whether generators share the same training seed")
    only: int | None = option(None, least=0, most=1_000_000, help="make only the generator with this number")
    reuse: Path | None = option(None, help="folder of benchmarks from which trained generators are copied")
    scale: ScaleSettings = option(ScaleSettings())
    generator: GeneratorSettings = chosen("generator", help="the generator, if `generators` is empty")
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
        """Settings of every generator design in the benchmark: the listed ones, or the single one."""
        return self.generators or (self.generator,)

    @property
    def sizes(self) -> Sizes:
        """The sizes of this task."""
        sizes: Sizes = getattr(self.scale, self.task)
        return sizes

    def steps_of(self, design: GeneratorSettings) -> int:
        """Training steps of a design: its own setting, else that of the scale."""
        return self.scale.max_steps if design.max_steps is None else design.max_steps
