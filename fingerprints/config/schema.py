"""The schema of every configuration: a misspelt key is an error before anything starts.

Nothing here imports torch, and Hydra only where it is needed, so that `--help` and misspelt keys are
answered at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fingerprints.config.published import TABLE, find_published, read_published
from fingerprints.config.simulation import MODEL_GENERATORS, ScaleSettings, SimulateSettings
from fingerprints.core.errors import FingerprintsError, nearest
from fingerprints.core.options import build, registered
from fingerprints.core.options import schema as options_schema
from fingerprints.data.embedded import embedded_benchmark

if TYPE_CHECKING:
    from omegaconf import DictConfig

MISSING: Any = "???"  # how OmegaConf marks a value that must be given
OWN_SIZE = 256  # `data.size` for data that are not embedded


@dataclass
class SourceConfig:
    """One role of a layout: which files, of which domain and part."""

    pattern: str = MISSING
    domain: str = MISSING
    part: str = MISSING
    label: str | None = None
    generator: str | None = None


@dataclass
class DataConfig:
    """Where the images are and how they are read, grouped and split.

    Without a `root` it is the layout's embedded benchmark; without a `size`, that of the embedded benchmark
    or 256. `validate` fills both in.
    """

    name: str = MISSING
    root: str | None = None
    size: int | None = None
    sources: list[SourceConfig] = MISSING
    truth: str = "test_truth.csv"
    groups: str | None = None
    near_duplicate: float = 0.95
    validation: float = 0.1
    folds: int = 5
    folds_below: int = 1000
    fold: int | None = None
    on_bad_image: str = "error"
    on_mixed_size: str = "error"
    on_test_overlap: str = "error"
    shuffle_labels: bool = False
    leave_out: str | None = None
    test_classes: int | None = None


@dataclass
class NoFilterConfig:
    """Images as they are."""

    name: str = "none"


@dataclass
class EqualizeConfig:
    """Histogram equalisation."""

    name: str = "equalize"


@dataclass
class LaplacianConfig:
    """Second derivative."""

    name: str = "laplacian"
    signed: bool = False


@dataclass
class BinarizeConfig:
    """Black and white; without a threshold, each image's own."""

    name: str = "binarize"
    threshold: int | None = None


@dataclass
class ContrastConfig:
    """Percentile stretch, or contrast-limited adaptive equalisation."""

    name: str = "contrast"
    method: str = "stretch"
    low: float = 2.0
    high: float = 98.0
    clip_limit: float = 0.01
    tiles: int = 8


@dataclass
class DenoiseConfig:
    """Grey-level morphology."""

    name: str = "denoise"
    operation: str = "opening"
    radius: int = 1


@dataclass
class NoiseConfig:
    """Noise that depends on the image only."""

    name: str = "noise"
    kind: str = "gaussian"
    amount: float = 0.05
    seed: int = 0


@dataclass
class ColorizeConfig:
    """A colour map of matplotlib's."""

    name: str = "colorize"
    colormap: str = "viridis"


@dataclass
class FullRegionConfig:
    """The whole image."""

    name: str = "full"


@dataclass
class MaskedRegionConfig:
    """The lungs, or what is around them; `weights` are for `mask=unet`, `folder` for `mask=folder`."""

    name: str = MISSING
    mask: str = "threshold"
    weights: str | None = None
    folder: str | None = None
    crop: bool = True


@dataclass
class SiameseCNNConfig:
    """The published encoder and its options."""

    name: str = "siamese_cnn"
    channels: list[int] = field(default_factory=lambda: [16, 32, 64, 128])
    embedding: int | None = 256
    final_relu: bool = True
    batch_norm: bool = False
    downsampling: str = "max_pool"
    standardise: bool = False
    projection: int | None = None
    weights: str | None = None


@dataclass
class CustomCNNConfig:
    """The CNN of GAN-Amis."""

    name: str = "custom_cnn"
    channels: list[int] = field(default_factory=lambda: [32, 64, 128, 128])
    embedding: int = 256
    projection: int | None = None
    weights: str | None = None


@dataclass
class PretrainedConfig:
    """A pretrained backbone, with a projection head to train on pairs.

    Without an `input_size` images are resized to that of the weights.
    """

    name: str = MISSING
    weights: str = "default"
    input_size: int | None = None
    projection: int | None = 256


@dataclass
class HubConfig(PretrainedConfig):
    """A vision encoder of `transformers`; `model` is what `weights=default` downloads, if not the usual."""

    model: str | None = None


@dataclass
class HandcraftedConfig:
    """Features that nobody trained; only a projection of them can be."""

    name: str = MISSING
    projection: int | None = None


@dataclass
class LBPConfig(HandcraftedConfig):
    """Local binary patterns."""

    points: int = 8
    radius: float = 1.0
    as_number: bool = False


@dataclass
class PixelsConfig(HandcraftedConfig):
    """The pixels themselves; `side: null` leaves images whole."""

    side: int | None = 32


@dataclass
class ResidualConfig(HandcraftedConfig):
    """The noise residual."""

    sigma: float = 1.0
    period: int = 8
    step: float = 2.0
    as_map: bool = False


@dataclass
class SpectrumConfig(HandcraftedConfig):
    """The power spectrum."""

    azimuthal: bool = True
    grid: int | None = 32


@dataclass
class ConcatenatedConfig:
    """Several encoders side by side: names of options, or mappings of a name and what differs from it."""

    name: str = "concatenated"
    encoders: list[Any] = MISSING
    projection: int | None = None


@dataclass
class RandomPairingConfig:
    """The published protocol: one real and one generated image a pair."""

    name: str = "random"
    batch_size: int = 32


@dataclass
class AllPairingConfig:
    """All real x generated pairs of a batch of k images a class and domain."""

    name: str = "all"
    images_per_class: int = 6


@dataclass
class NearestPairingConfig:
    """Random pairs whose partner is among the generated images that look most like the real one."""

    name: str = "nearest"
    batch_size: int = 32
    neighbours: int = 1
    contrast: str = "pair"


@dataclass
class OptimiserConfig:
    """Optimiser and learning-rate schedule."""

    name: str = "adam"
    lr: float = 1e-4
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup: float = 0.0


@dataclass
class AugmentConfig:
    """Augmentation that keeps fingerprints; off by default, as published."""

    flip: bool = False
    shift: int = 0
    brightness: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0


@dataclass
class FrozenTrainingConfig:
    """The encoder stays as it is; its features are computed once and cached."""

    name: str = "frozen"
    batch_size: int = 64


@dataclass
class PairTrainingConfig:
    """A Siamese network: contrastive loss on pairs."""

    name: str = "pairs"
    margin: float = 1.0
    pair_threshold: float = 0.5
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass
class ClassifierTrainingConfig:
    """A softmax classifier, fine-tuned on labels; with rounds, again on its own labels of test images."""

    name: str = "classifier"
    fit_on: str = "generated"
    batch_size: int = 32
    rounds: int = 0
    pseudo_labels: int = 200
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass
class NoReductionConfig:
    """Embeddings as they are."""

    name: str = "none"


@dataclass
class PCAConfig:
    """Principal components, as many as keep a share of the variance, or a number of them."""

    name: str = "pca"
    variance: float | None = 0.95
    components: int | None = None


@dataclass
class AutoencoderReductionConfig:
    """The code of a small autoencoder."""

    name: str = "autoencoder"
    latent: int = 64
    hidden: int = 256
    epochs: int = 30


@dataclass
class TSNEConfig:
    """A plane in which neighbours stay neighbours; of the images asked about, together."""

    name: str = "tsne"
    perplexity: float = 30.0
    iterations: int = 1000


@dataclass
class SupervisedConfig:
    """What every decision that learns labels has; without `fit_on`: real images, if the task has them."""

    name: str = MISSING
    fit_on: str | None = None
    open_set: bool = False
    share_known: float = 0.95


@dataclass
class CentroidConfig(SupervisedConfig):
    """Nearest centroid of the real training embeddings."""

    name: str = "centroid"


@dataclass
class HeadConfig:
    """The trained classifier's own last layer."""

    name: str = "head"


@dataclass
class ClusterConfig:
    """What every decision that clusters has.

    No number means one cluster for each label: of the training part; in the test part `data.test_classes`.
    """

    name: str = MISSING
    clusters: int | None = None


@dataclass
class SVMConfig(SupervisedConfig):
    """Support vector machine: linear as published; without C it is chosen by group cross-validation."""

    name: str = "svm"
    kernel: str = "linear"
    C: float | None = 1.0
    gamma: float | None = None
    standardise: bool = False
    class_weight: str = "none"


@dataclass
class LogisticConfig(SupervisedConfig):
    """Logistic regression."""

    name: str = "logistic"
    C: float | None = 1.0
    standardise: bool = True
    class_weight: str = "none"


@dataclass
class NeighboursConfig(SupervisedConfig):
    """k nearest neighbours."""

    name: str = "knn"
    k: int = 5
    distance: str = "euclidean"
    weights: str = "uniform"


@dataclass
class KMeansConfig(ClusterConfig):
    """k-means."""

    name: str = "kmeans"
    init: str = "k-means++"
    restarts: int = 10
    speed: str = "off"


@dataclass
class HierarchicalConfig(ClusterConfig):
    """Agglomerative clustering."""

    name: str = "hierarchical"
    linkage: str = "ward"
    distance: str = "euclidean"


@dataclass
class MixtureConfig(ClusterConfig):
    """Gaussian mixture."""

    name: str = "gmm"
    init: str = "kmeans"
    covariance: str = "diag"
    regularise: float = 1e-6
    restarts: int = 1


@dataclass
class DbscanRerankConfig(ClusterConfig):
    """An earlier clustering whose dense regions take one label each."""

    name: str = "dbscan_rerank"
    earlier: str = "kmeans"
    quantile: float = 0.5
    min_samples: int = 5


@dataclass
class VoteConfig(ClusterConfig):
    """Majority of several clusterings."""

    name: str = "vote"
    voters: list[str] = field(default_factory=lambda: ["kmeans", "hierarchical", "gmm"])


@dataclass
class MembershipConfig:
    """Distance of a real image to its own part's generated set."""

    name: str = "membership"
    rule: str = "nearest"
    k: int = 5
    standardise: bool = True
    reference: str = "none"
    reference_k: int = 5
    threshold: str = "learned"


@dataclass
class TrainerConfig:
    """Hardware, precision and length of training."""

    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str = "32-true"
    max_epochs: int = 30
    accumulate: int = 1


@dataclass
class EarlyStoppingConfig:
    """Stop when the monitored validation figure no longer improves."""

    enabled: bool = False
    monitor: str = "val_loss"
    patience: int = 5


@dataclass
class CheckpointConfig:
    """Which weights are kept for the decision: the last, or the best by a validation figure."""

    best: bool = False
    monitor: str = "val_loss"


@dataclass
class CallbacksConfig:
    """Options during training."""

    early_stopping: EarlyStoppingConfig = field(default_factory=EarlyStoppingConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)


@dataclass
class LoggerConfig:
    """Where curves go beside the run folder."""

    name: str = "none"
    project: str = "fingerprints"
    entity: str | None = None
    group: str | None = None
    offline: bool = True
    log_images: bool = False
    tags: list[str] = field(default_factory=list)


@dataclass
class EvidenceConfig:
    """Intervals and p-values."""

    resamples: int = 1000
    permutations: int = 999


@dataclass
class PathsConfig:
    """Folders."""

    outputs: str = "outputs"
    store: str = "${paths.outputs}/store"


@dataclass
class PublishedConfig:
    """What the source reports on the challenge's own data, to stand beside our figures."""

    source: str = ""
    test: dict[str, float] = field(default_factory=dict)
    validation: dict[str, float] = field(default_factory=dict)


@dataclass
class TrainConfig:
    """Root of `python -m fingerprints.train`."""

    name: str = MISSING
    task: str = MISSING
    seed: int = 0
    objective: str | None = None
    run_dir: str | None = MISSING  # conf/train.yaml: unless given, runs and sweeps have folders of their own
    data: DataConfig = field(default_factory=DataConfig)
    filter: Any = MISSING
    region: Any = MISSING
    encoder: Any = MISSING
    pairing: Any = MISSING
    training: Any = MISSING
    reduction: Any = MISSING
    decision: Any = MISSING
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    callbacks: CallbacksConfig = field(default_factory=CallbacksConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    published: PublishedConfig = field(default_factory=PublishedConfig)


@dataclass
class PredictConfig:
    """Root of `python -m fingerprints.predict`."""

    run: str = MISSING
    images: str = MISSING
    generated: str | None = None
    generator: str | None = None
    out: str = "run.csv"
    scores: str | None = None
    on_bad_image: str = "error"
    store: str = "outputs/store"
    accelerator: str = "auto"


@dataclass
class EvaluateConfig:
    """Root of `python -m fingerprints.evaluate`."""

    task: str = MISSING
    predictions: str = MISSING
    truth: str = MISSING
    groups: str | None = None
    out: str | None = None
    seed: int = 0
    resamples: int = 1000
    permutations: int = 999


@dataclass
class CompareConfig:
    """Root of `python -m fingerprints.compare`."""

    runs: Any = MISSING
    out: str | None = None
    baseline: str | None = None
    vote: str = "none"
    seed: int = 0
    resamples: int = 1000
    permutations: int = 999


@dataclass
class IngestConfig:
    """Root of `python -m fingerprints.ingest`."""

    images: str = MISSING
    out: str = MISSING
    size: int = 256
    window: str = "lung"
    groups: str | None = None
    near_duplicate: float = 0.95
    on_bad_image: str = "error"
    salt: str | None = None
    key: str | None = None


@dataclass
class SegmentConfig:
    """Root of `python -m fingerprints.segment`."""

    images: str = MISSING
    masks: str = MISSING
    out: str = MISSING
    size: int = 128
    epochs: int = 120
    validation: float = 0.2
    groups: str | None = None
    seed: int = 0
    widths: list[int] = field(default_factory=lambda: [16, 32, 64, 128])
    batch_size: int = 4
    lr: float = 2e-3
    accelerator: str = "auto"


@dataclass
class DashboardConfig:
    """Root of `python -m fingerprints.dashboard`."""

    project: str = "fingerprints"
    entity: str | None = None
    name: str = "fingerprints"
    generators: list[str] = field(default_factory=list)
    out: str | None = None


# Options of a group have a schema each; the YAML of an option starts from it.
GROUP_SCHEMAS: dict[str, dict[str, type]] = {
    "data": {"_layout": DataConfig},
    "encoder": {
        "_siamese_cnn": SiameseCNNConfig,
        "_custom_cnn": CustomCNNConfig,
        "_pretrained": PretrainedConfig,
        "_hub": HubConfig,
        "_lbp": LBPConfig,
        "_pixels": PixelsConfig,
        "_residual": ResidualConfig,
        "_spectrum": SpectrumConfig,
        "_concatenated": ConcatenatedConfig,
    },
    "filter": {
        "_none": NoFilterConfig,
        "_equalize": EqualizeConfig,
        "_laplacian": LaplacianConfig,
        "_binarize": BinarizeConfig,
        "_contrast": ContrastConfig,
        "_denoise": DenoiseConfig,
        "_noise": NoiseConfig,
        "_colorize": ColorizeConfig,
    },
    "region": {"_full": FullRegionConfig, "_mask": MaskedRegionConfig},
    "pairing": {"_random": RandomPairingConfig, "_all": AllPairingConfig, "_nearest": NearestPairingConfig},
    "training": {
        "_frozen": FrozenTrainingConfig,
        "_pairs": PairTrainingConfig,
        "_classifier": ClassifierTrainingConfig,
    },
    "reduction": {
        "_none": NoReductionConfig,
        "_pca": PCAConfig,
        "_autoencoder": AutoencoderReductionConfig,
        "_tsne": TSNEConfig,
    },
    "decision": {
        "_centroid": CentroidConfig,
        "_dbscan_rerank": DbscanRerankConfig,
        "_gmm": MixtureConfig,
        "_head": HeadConfig,
        "_hierarchical": HierarchicalConfig,
        "_kmeans": KMeansConfig,
        "_knn": NeighboursConfig,
        "_logistic": LogisticConfig,
        "_membership": MembershipConfig,
        "_svm": SVMConfig,
        "_vote": VoteConfig,
    },
    "generator": {f"_{name}": options_schema(cls) for name, cls in registered("generator").items()},
    "scale": {"_scale": options_schema(ScaleSettings)},
}
# Groups that each root config composes.
ROOT_GROUPS: dict[str, tuple[str, ...]] = {
    "train": (
        "callbacks",
        "data",
        "decision",
        "encoder",
        "experiment",
        "filter",
        "logger",
        "pairing",
        "region",
        "reduction",
        "sweep",
        "trainer",
        "training",
    ),
    "simulate": ("dial", "generator", "scale"),
}
ROOTS: dict[str, type] = {
    "train": TrainConfig,
    "predict": PredictConfig,
    "evaluate": EvaluateConfig,
    "compare": CompareConfig,
    "dashboard": DashboardConfig,
    "simulate": options_schema(SimulateSettings),
    "ingest": IngestConfig,
    "segment": SegmentConfig,
}

# Options that need an extra: the module it brings, and its name.
EXTRAS: dict[str, tuple[str, str]] = {
    "sweep=side_by_side": ("hydra_joblib_launcher", "sweep"),
    "sweep=optuna": ("hydra_optuna_sweeper", "sweep"),
    "sweep=slurm": ("hydra_submitit_launcher", "slurm"),
    "hydra/launcher=joblib": ("hydra_joblib_launcher", "sweep"),
    "hydra/launcher=submitit_local": ("hydra_submitit_launcher", "slurm"),
    "hydra/launcher=submitit_slurm": ("hydra_submitit_launcher", "slurm"),
    "hydra/sweeper=optuna": ("hydra_optuna_sweeper", "sweep"),
}

COMBINED = ("sweep", "dial")  # groups of which several options are chosen, as a list

FREE_KEYS = ("published.test", "published.validation")  # mappings whose keys are the user's

FIT_ON = ("real", "generated", "both")

CHOICES: dict[str, tuple[str, ...]] = {
    "data.on_bad_image": ("error", "skip"),
    "data.on_mixed_size": ("error", "resize"),
    "data.on_test_overlap": ("error", "keep"),
    "filter.method": ("stretch", "clahe"),
    "filter.operation": ("opening", "closing", "both"),
    "filter.kind": ("gaussian", "salt_pepper"),
    "region.mask": ("threshold", "unet", "folder"),
    "training.optimiser.name": ("adam", "adamw"),
    "training.optimiser.schedule": ("constant", "cosine"),
    "encoder.downsampling": ("max_pool", "stride"),
    "decision.fit_on": FIT_ON,
    "decision.kernel": ("linear", "rbf"),
    "decision.class_weight": ("none", "balanced"),
    "decision.speed": ("auto", "on", "off"),
    "decision.weights": ("uniform", "distance"),
    "decision.linkage": ("ward", "average", "complete", "single"),
    "decision.covariance": ("diag", "spherical", "tied", "full"),
    "decision.earlier": ("kmeans", "hierarchical", "gmm"),
    "decision.voters": ("kmeans", "hierarchical", "gmm"),
    "training.fit_on": FIT_ON,
    "decision.rule": ("mean", "nearest", "k_nearest"),
    "pairing.contrast": ("pair", "batch"),
    "decision.reference": ("none", "training"),
    "decision.threshold": ("learned", "half"),
    "trainer.accelerator": ("auto", "cpu", "gpu"),
    "trainer.strategy": ("auto", "ddp"),
    "trainer.precision": ("auto", "32-true", "bf16-mixed", "16-mixed"),
    "callbacks.early_stopping.monitor": ("val_loss", "val_pair_accuracy", "val_accuracy"),
    "callbacks.checkpoint.monitor": ("val_loss", "val_pair_accuracy", "val_accuracy"),
    "logger.name": ("none", "csv", "tensorboard", "wandb"),
    "on_bad_image": ("error", "skip"),
    "accelerator": ("auto", "cpu", "gpu"),
    "precision": ("auto", "32-true", "bf16-mixed", "16-mixed"),
    "vote": ("none", "majority", "unanimous"),
}
# Choices that differ between the options of a group.
CHOICES_OF: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {
    ("decision", "kmeans"): {"init": ("k-means++", "random")},
    ("decision", "gmm"): {"init": ("kmeans", "k-means++", "random", "random_from_data")},
    ("decision", "hierarchical"): {"distance": ("euclidean", "cosine")},
    ("decision", "knn"): {"distance": ("euclidean", "cosine", "manhattan")},
}
# key -> (least value, whether that value itself is allowed, greatest value)
BOUNDS: dict[str, tuple[float, bool, float]] = {
    "seed": (0, True, 2**32 - 1),
    "data.size": (1, True, 4096),
    "data.near_duplicate": (0, False, 1),
    "data.validation": (0, False, 0.5),
    "data.folds": (2, True, 100),
    "data.folds_below": (0, True, float("inf")),
    "data.fold": (0, True, 99),
    "filter.threshold": (0, True, 255),
    "filter.low": (0, True, 100),
    "filter.high": (0, True, 100),
    "filter.clip_limit": (0, False, 1),
    "filter.tiles": (1, True, 1024),
    "filter.radius": (1, True, 64),
    "filter.amount": (0, True, 1),
    "filter.seed": (0, True, 2**32 - 1),
    "encoder.embedding": (1, True, 65_536),
    "encoder.projection": (1, True, 65_536),
    "encoder.input_size": (1, True, 4096),
    "encoder.points": (1, True, 24),
    "encoder.radius": (0, False, 64),
    "encoder.side": (1, True, 4096),
    "encoder.sigma": (0, False, 64),
    "encoder.period": (1, True, 256),
    "encoder.step": (0, False, 255),
    "encoder.grid": (2, True, 1024),
    "pairing.batch_size": (2, True, 1_000_000),
    "pairing.images_per_class": (1, True, 100_000),
    "training.margin": (0, False, float("inf")),
    "training.pair_threshold": (0, False, float("inf")),
    "training.optimiser.lr": (0, False, float("inf")),
    "training.optimiser.weight_decay": (0, True, float("inf")),
    "training.optimiser.warmup": (0, True, 1),
    "training.augment.shift": (0, True, 1024),
    "training.augment.brightness": (0, True, 1),
    "training.augment.contrast": (0, True, 1),
    "training.augment.noise": (0, True, 1),
    "pairing.neighbours": (1, True, 1_000_000),
    "decision.C": (0, False, float("inf")),
    "decision.gamma": (0, False, float("inf")),
    "decision.clusters": (1, True, float("inf")),
    "data.test_classes": (2, True, float("inf")),
    "decision.min_samples": (2, True, float("inf")),
    "decision.quantile": (0, False, 1),
    "decision.regularise": (0, True, float("inf")),
    "decision.restarts": (1, True, 100_000),
    "decision.share_known": (0, False, 1),
    "reduction.variance": (0, False, 1),
    "reduction.components": (1, True, 1_000_000),
    "reduction.hidden": (1, True, 65_536),
    "reduction.epochs": (1, True, 1_000_000),
    "reduction.iterations": (250, True, 1_000_000),
    "reduction.latent": (1, True, 65_536),
    "reduction.perplexity": (0, False, float("inf")),
    "training.batch_size": (1, True, 1_000_000),
    "training.pseudo_labels": (1, True, float("inf")),
    "training.rounds": (0, True, 100),
    "decision.reference_k": (1, True, float("inf")),
    "decision.k": (1, True, float("inf")),
    "trainer.devices": (-1, True, 65_536),
    "trainer.accumulate": (1, True, 65_536),
    "trainer.num_nodes": (1, True, 65_536),
    "trainer.max_epochs": (1, True, 1_000_000),
    "callbacks.early_stopping.patience": (1, True, 1_000_000),
    "evidence.resamples": (1, True, 1_000_000),
    "evidence.permutations": (1, True, 1_000_000),
    "near_duplicate": (0, False, 1),
    "resamples": (1, True, 1_000_000),
    "permutations": (1, True, 1_000_000),
    "size": (1, True, 4096),
    "epochs": (1, True, 1_000_000),
    "validation": (0, False, 0.5),
    "batch_size": (1, True, 65_536),
    "lr": (0, False, float("inf")),
}


def register() -> None:
    """Make the schemas known to Hydra."""
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    for name, root in ROOTS.items():
        store.store(name=f"_{name}", node=root)
    for group, schemas in GROUP_SCHEMAS.items():
        for name, node in schemas.items():
            store.store(group=group, name=name, node=node)


def conf_dir() -> Path:
    """The folder of the YAML files: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def options(group: str) -> list[str]:
    """The options of a configuration group."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def valid_keys(root: str) -> list[str]:
    """Every dotted key that a root config knows, those of all group options included."""
    keys = [*_keys(ROOTS[root], ""), *ROOT_GROUPS.get(root, ())]
    for group, schemas in GROUP_SCHEMAS.items():
        if group in ROOT_GROUPS.get(root, ()):
            for node in schemas.values():
                keys += _keys(node, f"{group}.")
    return sorted(set(keys))


def check_overrides(words: Sequence[str], root: str) -> None:
    """Look at command-line overrides before Hydra is even imported.

    Raises:
        FingerprintsError: If a key or the option of a group does not exist; names the nearest. If an
            option needs an extra that is not installed; names the extra.
    """
    keys = set(valid_keys(root))
    for word in words:
        name, equals, value = word.partition("=")
        key = name.lstrip("+~")
        for option in value.strip("[]").split(","):
            _require_extra(f"{key}={option.strip()}")
        if word.startswith("-") or not equals or key == "hydra" or key.startswith("hydra.") or "@" in key:
            continue
        if key.startswith("hydra/") or any(key.startswith(f"{k}.") for k in FREE_KEYS):
            continue
        if key not in keys:
            raise unknown_key(key, root)
        if key in COMBINED and "," in value and not value.startswith("["):
            raise FingerprintsError(
                f"{key.capitalize()}s are combined as a list.",
                where=word,
                fix=f"'{key}=[{value}]', with the quotes",
            )
        if key in COMBINED and value.startswith("["):
            value = value.strip("[]")
        if key in ROOT_GROUPS.get(root, ()) and value and not set("([{*$") & set(value):
            for option in value.split(","):
                if option.strip() not in (*options(key), "null"):
                    raise unknown_option(key, option.strip())


def _require_extra(word: str) -> None:
    module, extra = EXTRAS.get(word, ("", ""))
    try:
        missing = bool(module) and find_spec(f"hydra_plugins.{module}") is None
    except ModuleNotFoundError:  # not even a package of that name above it
        missing = True
    if missing:
        raise FingerprintsError(
            f"{word} needs a package that is not installed.",
            where="command line",
            fix=f"pip install 'fingerprints[{extra}]'",
        )


def unknown_key(key: str, root: str) -> FingerprintsError:
    """The error for a key that does not exist; names the nearest valid one."""
    if key in valid_keys(root):
        group = key.split(".", 1)[0]
        return FingerprintsError(
            f"The chosen option of '{group}' has no key '{key}'.",
            where="command line or experiment file",
            fix=f"leave it out, or choose another {group} ({', '.join(options(group))})",
        )
    near = nearest(key, valid_keys(root))
    if not near:
        # The last word may be right and only its place wrong.
        last = key.rsplit(".", 1)[-1]
        near = [k for k in valid_keys(root) if k.rsplit(".", 1)[-1] == last]
    return FingerprintsError(
        f"There is no configuration key '{key}'.",
        where="command line or experiment file",
        fix=f"did you mean '{near[0]}'?" if near else "see --help for the keys",
    )


def unknown_option(group: str, name: str) -> FingerprintsError:
    """The error for an option that a group does not have; names the nearest valid one."""
    near = nearest(name, options(group))
    return FingerprintsError(
        f"There is no {group} '{name}'; there are {', '.join(options(group))}.",
        where=f"{group}={name}",
        fix=f"{group}={near[0]}" if near else "choose one of them",
    )


def _keys(node: type, prefix: str) -> list[str]:
    keys = []
    for item in fields(node):
        keys.append(prefix + item.name)
        for nested in (item.type, item.default_factory):
            if isinstance(nested, type) and is_dataclass(nested):
                keys += _keys(nested, f"{prefix}{item.name}.")
    return keys


def validate(cfg: DictConfig) -> dict[str, Any]:
    """Check values that types alone cannot, and return the resolved configuration as plain data.

    Raises:
        FingerprintsError: If a mandatory key is missing, or a value is out of range.
    """
    from omegaconf import OmegaConf

    missing = OmegaConf.missing_keys(cfg) - {"run_dir"}
    layout = OmegaConf.select(cfg, "data.name")
    no_root = "data" in cfg and OmegaConf.select(cfg, "data.root") is None
    benchmark = embedded_benchmark(layout) if no_root else None
    if no_root and benchmark is None:
        missing |= {"data.root"}
    if missing:
        _refuse_missing(sorted(missing), layout)
    plain: Any = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True)
    if benchmark is not None:
        plain["data"]["root"] = str(benchmark.root)
    if "data" in plain and plain["data"]["size"] is None:
        plain["data"]["size"] = OWN_SIZE if benchmark is None else benchmark.size
    if plain.get("run_dir") == MISSING:
        plain["run_dir"] = None
    if "decision" in plain:
        _fill_in(plain)
    leaves = _leaves(plain, "")
    if "scale" in plain:  # a simulation
        plain["generators"] = _generators(plain)
        build(SimulateSettings, plain)
    if "encoders" in (plain.get("encoder") or {}):
        plain["encoder"]["encoders"] = _encoders(plain["encoder"]["encoders"])
        for entry in plain["encoder"]["encoders"]:
            leaves += _leaves(entry, "encoder")
    choices = {**CHOICES}
    for (group, option), keys in CHOICES_OF.items():
        if isinstance(chosen := plain.get(group), dict) and chosen.get("name") == option:
            choices |= {f"{group}.{key}": allowed for key, allowed in keys.items()}
    for key, value in leaves:
        values = value if isinstance(value, list) else [value]
        if key in choices and value is not None and (not values or set(values) - set(choices[key])):
            raise FingerprintsError(
                f"{key}={value} is not one of {', '.join(choices[key])}.", where=key, fix="choose one of them"
            )
        if key in BOUNDS and value is not None:
            _check_bounds(key, value, *BOUNDS[key])
    if plain.get("objective") is not None and not plain["objective"].startswith("validation."):
        raise FingerprintsError(
            f"A search must not choose by '{plain['objective']}': what is chosen on the test part says "
            "nothing about it any more.",
            where="objective",
            fix="objective=validation.accuracy, or another figure of the validation part",
        )
    return plain


def _fill_in(plain: dict[str, Any]) -> None:
    """What a training configuration leaves open and its other parts decide."""
    if plain["decision"].get("fit_on", "") is None:
        plain["decision"]["fit_on"] = "generated" if plain["task"] == "model" else "real"
    if not plain["published"]["source"]:
        found = find_published(plain, read_published(conf_dir() / TABLE))
        plain["published"] = found or plain["published"]


def _generators(plain: dict[str, Any]) -> list[dict[str, Any]]:
    """Every generator of a simulation with all its settings: those of the list, or the one.

    An entry of the list is the name of a `generator` option, or a mapping of its `name` and what differs
    from it.
    """
    entries = plain["generators"]
    if not entries and plain["task"] == "model":
        entries = list(MODEL_GENERATORS)
    return [_entry("generator", entry, where="generators") for entry in entries or [plain["generator"]]]


def _encoders(entries: list[Any]) -> list[dict[str, Any]]:
    """Every encoder that is to stand beside others, with all its settings."""
    found = [_entry("encoder", entry, where="encoder.encoders") for entry in entries]
    if not found or any("encoders" in entry for entry in found):
        raise FingerprintsError(
            "There are no encoders to put side by side."
            if not found
            else "Concatenated encoders do not hold others that are concatenated.",
            where="encoder.encoders",
            fix="one list of several encoders: 'encoder.encoders=[dinov2,lbp]', with the quotes",
        )
    return found


def _entry(group: str, entry: Any, *, where: str) -> dict[str, Any]:
    """All settings of one entry of a list: an option's name, or a mapping of its `name` and what differs.

    Raises:
        FingerprintsError: If the group has no such option, or the option no such key.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    given = entry if isinstance(entry, dict) else {"name": entry}
    name = given.get("name")
    if name not in options(group):
        raise unknown_option(group, str(name))
    written: Any = OmegaConf.load(conf_dir() / group / f"{name}.yaml")
    schema = GROUP_SCHEMAS[group][written.pop("defaults")[0]]
    defaults = OmegaConf.merge(OmegaConf.structured(schema), written)
    try:
        merged = OmegaConf.merge(defaults, given)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "a key"
        raise FingerprintsError(
            f"{group.capitalize()} '{name}' cannot take {key} from {given}.",
            where=where,
            fix=f"some of {', '.join(item.name for item in fields(schema))}",
        ) from error
    plain: Any = OmegaConf.to_container(merged)
    return plain


def _refuse_missing(keys: list[str], layout: str | None) -> None:
    why, example = "", f"{keys[0]}=..."
    if "data.root" in keys:
        why = f"; layout '{layout}' has no embedded benchmark to stand in" if layout else ""
        example = "data.root=DIR"
    raise FingerprintsError(
        f"{'A value is' if len(keys) == 1 else 'Values are'} missing: {', '.join(keys)}{why}.",
        where="command line",
        fix=f"give {example}",
    )


def _check_bounds(key: str, value: float, least: float, inclusive: bool, greatest: float) -> None:
    if value > greatest or value < least or (value == least and not inclusive) or value != value:
        above = f"at least {least}" if inclusive else f"greater than {least}"
        below = "" if greatest == float("inf") else f" and at most {greatest}"
        raise FingerprintsError(f"{key}={value} is out of range.", where=key, fix=f"a value {above}{below}")


def _leaves(node: Any, prefix: str) -> list[tuple[str, Any]]:
    if not isinstance(node, dict):
        return [(prefix, node)]
    return [
        leaf
        for key, value in node.items()
        for leaf in _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    ]
