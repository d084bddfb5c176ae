"""Settings of the data: layouts, groups, splits, and how pairs are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from fingerprints.core.options import option, register
from fingerprints.core.tasks import Domain

PartName = Literal["train", "test"]
Remedy = Literal["error", "skip"]


@dataclass(frozen=True)
class Source:
    """Where the images of one role lie.

    Attributes:
        pattern: Glob relative to the data root, POSIX style, with `{label}` and `{generator}`
            where those are read from the path.
        domain: `real` or `generated`.
        part: `train` (the development part) or `test`.
        label: The label of every file, where the path does not carry it; `None` for unlabelled.
        generator: The generator of every file, where the path does not carry it.
    """

    pattern: str = option()
    domain: Domain = option()
    part: PartName = option()
    label: str | None = None
    generator: str | None = None


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Where the images are, and how they are read, grouped and split."""

    name: str = option("generic", help="the layout")
    root: Path = option(help="folder of the images; without it the layout's embedded benchmark")
    size: int = option(least=1, most=4096, help="side in pixels; without it 256, or the embedded benchmark's")
    sources: tuple[Source, ...] = option(help="which files play which part")
    truth: str = option(
        "test_truth.csv", help="labels of the test part, relative to the root, if it is there"
    )
    groups: Path | None = option(
        None, help="CSV of groups; null: groups.csv in the root, else near-duplicate clusters"
    )
    near_duplicate: float = option(
        0.95, above=0, most=1, help="thumbnail correlation from which two images are one pseudo-group"
    )
    validation: float = option(0.1, above=0, most=0.5, help="share of each label that is held out")
    folds: int = option(5, least=2, most=100, help="folds of out-of-fold scores, and of data.fold")
    folds_below: int = option(1000, least=0, help="usage: parts with fewer labelled real images have folds")
    fold: int | None = option(None, least=0, most=99, help="hold out this fold and nothing else")
    on_bad_image: Remedy = option("error", help="whether to go on without unreadable files")
    on_mixed_size: Literal["error", "resize"] = option("error", help="where files differ in size")
    on_test_overlap: Literal["error", "keep"] = option(
        "error", help="where a test image or group also stands in training"
    )
    shuffle_labels: bool = option(False, help="control: permute training labels")
    leave_out: str | None = option(None, help="subset: images of this label are 'none' in the test part")
    test_classes: int | None = option(
        None, least=2, help="clusters in the test part, if not one for each training label"
    )


@dataclass(frozen=True, kw_only=True)
class PairingSettings:
    """What every way to draw pairs has."""

    name: ClassVar[str]


@register("pairing", part="fingerprints.data.pairs:RandomPairs")
@dataclass(frozen=True, kw_only=True)
class RandomPairingSettings(PairingSettings):
    """The published protocol: one real and one generated image a pair, half of them positive."""

    name: ClassVar[str] = "random"
    batch_size: int = option(32, least=2, most=1_000_000, help="pairs in the global batch")


@register("pairing", part="fingerprints.data.pairs:AllPairs")
@dataclass(frozen=True, kw_only=True)
class AllPairingSettings(PairingSettings):
    """Every real x generated pair of a batch, each image encoded once."""

    name: ClassVar[str] = "all"
    images_per_class: int = option(6, least=1, most=100_000, help="images of each class and domain")


@register("pairing", part="fingerprints.data.pairs:NearestPairs")
@dataclass(frozen=True, kw_only=True)
class NearestPairingSettings(PairingSettings):
    """Random pairs whose partner is among the generated images most like the real one."""

    name: ClassVar[str] = "nearest"
    batch_size: int = option(32, least=2, most=1_000_000, help="pairs in the global batch")
    neighbours: int = option(1, least=1, most=1_000_000, help="nearest partners that are drawn from")
    contrast: Literal["pair", "batch"] = option(
        "pair", help="whether each real image is also a negative to the partners of all others"
    )
