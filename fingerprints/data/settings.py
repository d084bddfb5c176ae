"""Settings of the data: layouts, groups, splits, and how pairs are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import option, register
from fingerprints.core.tasks import Domain, Official

PartName = Literal["train", "test", "reference", "shadow"]
REFERENCE: Final = "reference"
SHADOW: Final = "shadow"
Remedy = Literal["error", "skip"]
IdForm = Literal["id", "file", "path"]


@dataclass(frozen=True)
class Source:
    """Where the images of one domain and part are.

    Attributes:
        pattern: Glob relative to the data root, POSIX style, with `{label}` and `{generator}` if these are
            part of the path. Alternatives are separated by ` | `; the first one that has images counts.
        domain: `real` or `generated`.
        part: `train` (the development part), `test`, `reference`: real images that no generator was
            trained on, used for calibration only, or `shadow`: candidates and shadow generators.
        label: The label of every file, if the path does not contain it; `None` if unlabelled.
        generator: The generator of every file, if the path does not contain it.
    """

    pattern: str = option()
    domain: Domain = option()
    part: PartName = option()
    label: str | None = None
    generator: str | None = None

    def __post_init__(self) -> None:
        """Check that a reference is of real images, without label and generator.

        Raises:
            FingerprintsError: If not.
        """
        named = self.label is not None or self.generator is not None or "{" in self.pattern
        if self.part == REFERENCE and (self.domain != "real" or named):
            raise FingerprintsError(
                "A reference holds real images that belong to no label and no generator.",
                where=f"data.sources: {self.pattern}",
                fix='write {pattern: "FOLDER/**", domain: real, part: reference}',
            )


@dataclass(frozen=True, kw_only=True)
class RunFileSettings:
    """How run files are written, since editions differ; every form is read."""

    header: str = option("none", help="first line: none, or two names such as image_path,predicted_class")
    ids: IdForm = option("id", help="file: with the image ending; path: also with the folders")

    def __post_init__(self) -> None:
        if len(self.columns) not in (0, 2) or not all(self.columns):
            raise FingerprintsError(
                f"'{self.header}' does not name the two columns of a run file.",
                where="header",
                fix="give two names, such as id,label, or none",
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the two columns; empty without a header."""
        return () if self.header == "none" else tuple(name.strip() for name in self.header.split(","))


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Where the images are, and how they are read, grouped and split."""

    name: str = option("generic", help="the layout")
    root: Path = option(help="folder of the images; default: the embedded benchmark of the layout")
    test_root: Path | None = option(None, help="folder of the test part; null: test/ in the root")
    size: int = option(
        least=1, most=4096, help="side in pixels; default: 256, or the size of the embedded benchmark"
    )
    sources: tuple[Source, ...] = option(help="patterns of files, with their domain, part and label")
    truth: str = option(
        "test_truth.csv", help="CSV with labels of the test part, in test_root or root; may be missing"
    )
    official: Official | None = option(
        None, help="metric that this edition ranks by (f1_used: F1 of used images); null: that of the task"
    )
    run_file: RunFileSettings = RunFileSettings()
    groups: Path | None = option(
        None, help="CSV of groups; null: groups.csv in the root, else near-duplicate clusters"
    )
    reference: Path | None = option(
        None,
        help="usage: folder of more real images, at any depth, that no generator was trained on; its groups "
        "are in a groups.csv in it",
    )
    shadow: Path | None = option(
        None,
        help="usage: folder that `simulate task=shadow` wrote from the same real images (decision=shadow)",
    )
    near_duplicate: float = option(
        0.95, above=0, most=1, help="two images with at least this thumbnail correlation share a pseudo-group"
    )
    validation: float = option(0.1, above=0, most=0.5, help="share of each label that is held out")
    folds: int = option(5, least=2, most=100, help="number of folds, for out-of-fold scores and data.fold")
    folds_below: int = option(1000, least=0, help="usage: use folds if fewer real images are labelled")
    fold: int | None = option(None, least=0, most=99, help="hold out only this fold")
    on_bad_image: Remedy = option("error", help="what to do if files are unreadable")
    on_mixed_size: Literal["error", "resize"] = option("error", help="what to do if images differ in size")
    on_test_overlap: Literal["error", "keep"] = option(
        "error", help="what to do if a test image or its group is also in training"
    )
    shuffle_labels: bool = option(False, help="control: permute training labels")
    leave_out: str | None = option(
        None, help="subset: do not train on this label; its test images become 'none'"
    )
    test_classes: int | None = option(
        None, least=2, help="number of clusters in the test part; null: one per training label"
    )

    @property
    def has_reference(self) -> bool:
        """Whether a reference is named: by `reference`, or by a source."""
        return self.reference is not None or any(source.part == REFERENCE for source in self.sources)


@dataclass(frozen=True, kw_only=True)
class PairingSettings:
    """Settings of a pairing strategy."""

    name: ClassVar[str]


@register("pairing", part="fingerprints.data.pairs:RandomPairs")
@dataclass(frozen=True, kw_only=True)
class RandomPairingSettings(PairingSettings):
    """The published protocol: one real and one generated image per pair; half of the pairs are positive."""

    name: ClassVar[str] = "random"
    batch_size: int = option(32, least=2, most=1_000_000, help="pairs in the global batch")
    pairs_per_epoch: int | None = option(
        None, least=2, help="null: one pair per image of the larger side, real or generated"
    )


@register("pairing", part="fingerprints.data.pairs:AllPairs")
@dataclass(frozen=True, kw_only=True)
class AllPairingSettings(PairingSettings):
    """Every real x generated pair of a batch; each image is encoded once."""

    name: ClassVar[str] = "all"
    images_per_class: int = option(6, least=1, most=100_000, help="images per class and domain in a batch")


@register("pairing", part="fingerprints.data.pairs:NearestPairs")
@dataclass(frozen=True, kw_only=True)
class NearestPairingSettings(PairingSettings):
    """Random pairs, but the generated image is one of the most similar to the real image."""

    name: ClassVar[str] = "nearest"
    batch_size: int = option(32, least=2, most=1_000_000, help="pairs in the global batch")
    neighbours: int = option(1, least=1, most=1_000_000, help="draw from this number of nearest partners")
    contrast: Literal["pair", "batch"] = option(
        "pair", help="batch: each real image also forms negative pairs with the partners of all others"
    )
