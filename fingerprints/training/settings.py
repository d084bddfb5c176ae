"""Settings of training: how encoders are trained, hardware, early stopping, loggers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import option, register
from fingerprints.core.tasks import FitOn, Target

Accelerator = Literal["auto", "cpu", "gpu"]
Monitor = Literal["val_loss", "val_pair_accuracy", "val_accuracy"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings:
    """Adam or AdamW, with an optional warm-up and decay."""

    name: Literal["adam", "adamw"] = option("adam")
    lr: float = option(1e-4, above=0, help="highest learning rate")
    weight_decay: float = option(0.0, least=0, help="weight decay; decoupled in adamw")
    schedule: Literal["constant", "cosine"] = option("constant", help="cosine falls to zero")
    warmup: float = option(0.0, least=0, most=1, help="share of all steps over which the rate rises")


# The two sets of Csmorgan 2024 [O24]; their values are ours. The encoder itself resizes and normalises.
AUGMENTATIONS: dict[str, dict[str, Any]] = {
    "centre_affine": {"centre_crop": 0.1, "rotation": 10.0, "zoom": 0.1, "shift": 8},
    "crop_flip_rotate_jitter": {
        **{"random_crop": 0.2, "flip": True, "rotation": 15.0},
        **{"brightness": 0.1, "contrast": 0.2},
    },
}


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """Random changes of training images; all off by default, as published.

    Rotation, zoom and crops resample the image, which weakens fingerprints; edges repeat.
    """

    flip: bool = option(False, help="mirror left and right with probability one half")
    shift: int = option(0, least=0, most=1024, help="largest shift in whole pixels; edges repeat")
    rotation: float = option(0.0, least=0, most=180, help="largest angle in degrees; edges repeat")
    zoom: float = option(0.0, least=0, most=0.9, help="largest change of size, as a share of it")
    brightness: float = option(0.0, least=0, most=1, help="largest change, as a share of the range")
    contrast: float = option(0.0, least=0, most=1, help="largest change about the mean, as a factor")
    noise: float = option(0.0, least=0, most=1, help="standard deviation, as a share of the range")
    centre_crop: float = option(
        0.0, least=0, most=0.9, help="share of the side that is cut off around the centre"
    )
    random_crop: float = option(
        0.0, least=0, most=0.9, help="share of the side that is cut off at a random place"
    )
    set: Literal["centre_affine", "crop_flip_rotate_jitter"] | None = option(
        None, help="all of the above at once, as Csmorgan 2024 names them, with values of our own"
    )

    def __post_init__(self) -> None:
        """Refuse a set together with changes of one's own.

        Raises:
            FingerprintsError: If both are given.
        """
        single = [item for item in fields(AugmentSettings) if item.name != "set"]
        own = [item.name for item in single if getattr(self, item.name) != item.default]
        if self.set is not None and own:
            raise FingerprintsError(
                f"A set of augmentations holds all changes; {', '.join(own)} would be ignored.",
                where="training.augment.set",
                fix="give either the set or single changes",
            )

    def resolved(self) -> AugmentSettings:
        """The single changes, with those of the set."""
        return self if self.set is None else AugmentSettings(**AUGMENTATIONS[self.set])


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Common settings of all ways to obtain an encoder.

    Attributes:
        gives_head: Whether the result includes the last layer of a trained classifier.
        on_pairs: Whether the network is trained on pairs.
        on_errors: Whether the network is an autoencoder, trained on its reconstruction errors.
    """

    name: ClassVar[str]
    gives_head: ClassVar[bool] = False
    on_pairs: ClassVar[bool] = False
    on_errors: ClassVar[bool] = False

    @property
    def learns_from(self) -> FitOn | None:
        """The images whose labels it learns; `None` if it learns no labels."""
        return None

    @property
    def learns(self) -> tuple[Target, ...]:
        """What a classifier learns, one training after the other; empty if no classifier is trained."""
        return ()


@register("training")
@dataclass(frozen=True, kw_only=True)
class FrozenTrainingSettings(TrainingSettings):
    """The encoder is not trained: its features are computed once and cached."""

    name: ClassVar[str] = "frozen"
    batch_size: int = option(64, least=1, most=1_000_000, help="images at a time")


@register("training")
@dataclass(frozen=True, kw_only=True)
class PairTrainingSettings(TrainingSettings):
    """A Siamese network: contrastive loss on (real, generated) pairs."""

    name: ClassVar[str] = "pairs"
    on_pairs: ClassVar[bool] = True
    margin: float = option(1.0, above=0, help="distance from which a negative pair has no loss")
    pair_threshold: float = option(
        0.5, above=0, help="pair accuracy: pairs up to this distance count as positive"
    )
    optimiser: OptimiserSettings = OptimiserSettings()
    augment: AugmentSettings = AugmentSettings()


@register("training")
@dataclass(frozen=True, kw_only=True)
class ClassifierTrainingSettings(TrainingSettings):
    """A softmax classifier, fine-tuned on labels."""

    name: ClassVar[str] = "classifier"
    gives_head: ClassVar[bool] = True
    targets: tuple[Target, ...] = option(
        ("labels",),
        help="what it learns, each training going on from the weights of the one before: the images' own "
        "labels (labels); used real images against generated ones (origin); which generator made a generated "
        "image (generators; with one generator in the data: real against generated)",
    )
    fit_on: FitOn = option("generated", help="images that targets=[labels] learns from; usage: real")
    batch_size: int = option(32, least=1, most=1_000_000, help="images in the global batch")
    rounds: int = option(0, least=0, most=100, help="rounds of pseudo-labels after the first training")
    pseudo_labels: int = option(200, least=1, help="test images that each round adds")
    optimiser: OptimiserSettings = OptimiserSettings()
    augment: AugmentSettings = AugmentSettings()

    def __post_init__(self) -> None:
        """Check that there is something to learn.

        Raises:
            FingerprintsError: If there is no target.
        """
        if not self.targets:
            raise FingerprintsError(
                "A classifier needs a target.", where="training.targets", fix="training.targets=[labels]"
            )

    @property
    def learns_from(self) -> FitOn | None:
        """The images that `fit_on` names, if it learns their labels."""
        return self.fit_on if "labels" in self.targets else None

    @property
    def learns(self) -> tuple[Target, ...]:
        """The targets."""
        return self.targets


@register("training")
@dataclass(frozen=True, kw_only=True)
class ReconstructionTrainingSettings(TrainingSettings):
    """An autoencoder of the generated images; no labels and no real images are used."""

    name: ClassVar[str] = "reconstruction"
    on_errors: ClassVar[bool] = True
    batch_size: int = option(32, least=1, most=1_000_000, help="images in the global batch")
    own_part: bool = option(
        False, help="train a second one on the test part's generated images, for its real images"
    )
    optimiser: OptimiserSettings = OptimiserSettings()
    augment: AugmentSettings = AugmentSettings()


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """Hardware, precision and length of training, as in Lightning's Trainer."""

    accelerator: Accelerator = option("auto")
    devices: int = option(1, least=-1, most=65_536, help="processes on each node; -1: all its GPUs")
    num_nodes: int = option(1, least=1, most=65_536)
    strategy: Literal["auto", "ddp"] = option("auto")
    precision: Precision = option("32-true", help="auto: bf16-mixed if the GPU supports it")
    max_epochs: int = option(30, least=1, most=1_000_000)
    accumulate: int = option(1, least=1, most=65_536, help="parts in which a batch is encoded")

    @property
    def processes(self) -> int:
        """Total number of processes on all nodes; settings must be resolved."""
        return self.devices * self.num_nodes


@dataclass(frozen=True, kw_only=True)
class EarlyStoppingSettings:
    """Stop when a validation figure no longer improves."""

    enabled: bool = option(False)
    monitor: Monitor = option("val_loss")
    patience: int = option(5, least=1, most=1_000_000, help="epochs without improvement")


@dataclass(frozen=True, kw_only=True)
class CheckpointSettings:
    """Which weights are kept for the decision: the last, or the best by a validation figure."""

    best: bool = option(False)
    monitor: Monitor = option("val_loss")


@dataclass(frozen=True, kw_only=True)
class StoppingSettings:
    """Early stopping and choice of weights; both need validation images."""

    early_stopping: EarlyStoppingSettings = EarlyStoppingSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()

    @property
    def enabled(self) -> bool:
        """Whether the kept weights may be others than those of the last planned epoch."""
        return self.early_stopping.enabled or self.checkpoint.best


@dataclass(frozen=True, kw_only=True)
class LoggerSettings:
    """Logger of curves and results, in addition to the run folder."""

    name: Literal["none", "csv", "tensorboard", "wandb"] = option("none")
    project: str = option("fingerprints", help="W&B project")
    entity: str | None = option(None, help="W&B user or team; null: the default of the W&B account")
    group: str | None = option(None, help="W&B group; null: the experiment, or the sweep")
    offline: bool = option(True, help="W&B writes to the run folder only; WANDB_MODE has priority")
    log_images: bool = option(False, help="whether test images may be logged")
    tags: tuple[str, ...] = option((), help="W&B tags")
