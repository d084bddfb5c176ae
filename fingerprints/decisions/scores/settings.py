"""Settings of the decisions of `usage`: a score and the cut that turns scores into labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import option, register
from fingerprints.decisions.settings import DecisionSettings, Need, Reference

Cut = Literal["out_of_fold", "reference", "zero", "half", "mode", "mean", "fixed"]


@dataclass(frozen=True, kw_only=True)
class ScoreSettings(DecisionSettings):
    """Options of every decision of `usage`: a score (higher: more likely used) and a cut.

    Attributes:
        score: `module:function` with `function(settings, part, learned) -> (n,)` scores of the queries.
        learn: `module:function` with `function(settings, fitting) -> arrays by name`, given to the score as
            `learned`; empty if a score learns nothing.
        tell: `module:function` with `function(settings, learned)`: what a reader of the report must know;
            empty if there is nothing to say.
        joint: Whether the score of an image depends on the other images that are scored with it; it then
            always uses the reference images, if there are any.
    """

    tasks: ClassVar[tuple[str, ...]] = ("usage",)
    uses_references: ClassVar[bool] = True
    joint: ClassVar[bool] = False
    score: ClassVar[str]
    learn: ClassVar[str] = ""
    tell: ClassVar[str] = ""
    cut: Cut = option(
        "out_of_fold",
        help="score from which an image is called used: best kappa on unseen training images (out_of_fold); "
        "above all but the highest share cut_rate of the reference images (reference); 0, for scores whose "
        "sign is the answer (zero); median (half), mode or mean of the scores to be cut; or cut_at (fixed)",
    )
    cut_at: float | None = option(None, help="threshold for cut=fixed")
    cut_rate: float = option(0.01, above=0, most=0.5, help="cut=reference: accepted share of false alarms")
    reference: Reference = option(
        "auto",
        help="real images known to be unused, which scores learn from and cuts are set by: of "
        "data.reference (given), of the training part the unused images (not_used) or all (real: only if the "
        "test part has another generator and other patients; used ones are never learnt from), or none; auto "
        "is given, else not_used if reference images are needed, else none",
    )

    @property
    def learns_reference(self) -> bool:
        """Whether `learn` needs reference images; with `cut=reference` other ones then set the cut."""
        return False

    @property
    def reference_from(self) -> Reference:
        """The value of `reference`."""
        return self.reference

    @property
    def needs_reference(self) -> bool:
        """If `learn` needs some, or the cut."""
        return self.learns_reference or self.cut == "reference"

    @property
    def takes_reference(self) -> bool:
        """True for scores that use reference images, unless `reference` names other images."""
        return (self.joint or self.needs_reference) and self.reference in ("auto", "given")

    @property
    def blind_to_labels(self) -> bool:
        """True for joint scores without a reference from the training part."""
        own = ("auto", "not_used", "real") if self.needs_reference else ("not_used", "real")
        return self.joint and self.reference not in own

    def __post_init__(self) -> None:
        """Check that the cut has what it needs.

        Raises:
            FingerprintsError: If a fixed cut has no threshold or another cut has one, or the score or
                `cut=reference` needs a reference and `reference=none`.
        """
        if (self.cut == "fixed") != (self.cut_at is not None):
            raise FingerprintsError(
                "A fixed cut needs a threshold."
                if self.cut == "fixed"
                else f"cut={self.cut} takes no threshold.",
                where="decision.cut, decision.cut_at",
                fix="give decision.cut=fixed decision.cut_at=NUMBER, or another cut without decision.cut_at",
            )
        if self.learns_reference and self.reference == "none":
            raise FingerprintsError(
                f"Decision '{self.name}' with these settings compares with reference images.",
                where="decision.reference",
                fix="leave decision.reference out and give a folder of real images that no generator was "
                "trained on (data.reference=DIR), or take the training part's: decision.reference=not_used",
            )
        if self.cut == "reference" and self.reference == "none":
            raise FingerprintsError(
                "cut=reference needs reference images.",
                where="decision.reference",
                fix="decision.reference=not_used, or rank only: decision.cut=half",
            )


def no_reference() -> FingerprintsError:
    """The error for `reference=given` without reference images."""
    return FingerprintsError(
        "There are no reference images.",
        where="decision.reference=given",
        fix="give a folder of real images that no generator was trained on: data.reference=DIR, or "
        "decision.reference=not_used",
    )


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class DistanceSettings(ScoreSettings):
    """Distance from a real image to the generator's images (task usage)."""

    name: ClassVar[str] = "distance"
    score: ClassVar[str] = "fingerprints.decisions.scores.distance:score"
    learn: ClassVar[str] = "fingerprints.decisions.scores.distance:learn"
    rule: Literal["mean", "nearest", "k_nearest"] = option(
        "nearest", help="distance to which generated images"
    )
    k: int = option(5, least=1, help="number of neighbours for rule=k_nearest")
    standardise: bool = option(True, help="standardise scores by the distances between generated images")
    scaled_by: Literal["none", "training", "reference"] = option(
        "none",
        help="training: distances are scaled by those to the real training images; reference: the distance "
        "to the reference images, by the same rule, is subtracted (calibrated attack of GAN-Leaks)",
    )
    reference_k: int = option(
        5, least=1, help="scaled_by=training: number of nearest real images that scale a distance"
    )

    @property
    def learns_reference(self) -> bool:
        """With `scaled_by=reference`."""
        return self.scaled_by == "reference"


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class WindowEMSettings(ScoreSettings):
    """All candidates explain the generated set together, window by window (task usage)."""

    name: ClassVar[str] = "window_em"
    score: ClassVar[str] = "fingerprints.decisions.scores.window_em:score"
    joint: ClassVar[bool] = True
    needs: ClassVar[tuple[Need, ...]] = ("unreduced",)
    cut: Cut = option("reference", help="as in decision=distance; reference: calibrated by reference images")
    sigma: float = option(1.5, above=0, most=64, help="of the Laplacian of Gaussian, in pixels")
    window: int | None = option(24, least=4, most=4096, help="side of the windows; null: the whole image")
    stride: int = option(8, least=1, most=4096, help="distance between windows in pixels")
    components: int = option(100, least=1, help="principal components of the generated windows that are kept")
    sharpness: float = option(2.0, above=0, most=100, help="a candidate's likelihood is exp(sharpness x Z)")
    rounds: int = option(5, least=1, most=10_000, help="rounds of expectation and maximisation")

    @property
    def needs_pixels(self) -> bool:
        """Always."""
        return True


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class ClassKMeansSettings(ScoreSettings):
    """Nearest centre of the used and of the unused real training images; no generated image (task usage)."""

    name: ClassVar[str] = "class_kmeans"
    score: ClassVar[str] = "fingerprints.decisions.scores.class_kmeans:score"
    learn: ClassVar[str] = "fingerprints.decisions.scores.class_kmeans:learn"
    uses_references: ClassVar[bool] = False
    cut: Cut = option("zero", help="as in decision=distance; zero: the label of the nearest centre")
    k: int = option(1, least=1, most=100_000, help="centres of each label")


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class NamedKMeansSettings(ScoreSettings):
    """Clusters of the real training images, each named by its majority; no generated image (task usage)."""

    name: ClassVar[str] = "named_kmeans"
    score: ClassVar[str] = "fingerprints.decisions.scores.named_kmeans:score"
    learn: ClassVar[str] = "fingerprints.decisions.scores.named_kmeans:learn"
    uses_references: ClassVar[bool] = False
    cut: Cut = option("zero", help="as in decision=distance; zero: the name of the nearest cluster")
    k: int = option(2, least=1, most=100_000, help="number of clusters")


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class LogitSettings(ScoreSettings):
    """The trained classifier's own logit of `used` (task usage)."""

    name: ClassVar[str] = "logit"
    score: ClassVar[str] = "fingerprints.decisions.scores.logit:score"
    learn: ClassVar[str] = "fingerprints.decisions.scores.logit:learn"
    needs: ClassVar[tuple[Need, ...]] = ("head", "unreduced")
    uses_references: ClassVar[bool] = False
    cut: Cut = option("zero", help="as in decision=distance; zero: the classifier's own answer")


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class PairClassifierSettings(ScoreSettings):
    """Classifier of pairs of a generated and a real image; mean over an image's pairs (task usage)."""

    name: ClassVar[str] = "pair_classifier"
    score: ClassVar[str] = "fingerprints.decisions.scores.pair_classifier:score"
    learn: ClassVar[str] = "fingerprints.decisions.scores.pair_classifier:learn"
    cut: Cut = option("zero", help="as in decision=distance; zero: more likely used than not")
    pairs_per_image: int = option(
        10,
        least=1,
        most=100_000,
        help="used real images, and unused ones, that a generated image is paired with",
    )
    join: Literal["concatenated", "products"] = option(
        "concatenated", help="features of a pair: both images' side by side; products: with their products"
    )
    passes: int = option(
        1, least=1, most=100_000, help="times that pairs are drawn with all generated images"
    )
    hidden: int = option(64, least=1, most=100_000, help="hidden units of the network")
    alpha: float = option(1e-4, least=0, help="weight decay of the network")


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class SimilaritySettings(ScoreSettings):
    """Similarity of a real image to the generator's images (task usage)."""

    name: ClassVar[str] = "similarity"
    score: ClassVar[str] = "fingerprints.decisions.scores.similarity:score"
    metric: Literal["euclidean", "cosine", "manhattan", "ssim"] = option(
        "cosine", help="ssim: structural similarity, needs encoder=pixels"
    )
    rule: Literal["max", "mean", "k_largest"] = option("max", help="which similarities count")
    k: int = option(5, least=1, help="number of similarities for rule=k_largest")
    ssim_nearest: int | None = option(
        None,
        least=1,
        help="ssim: only with this number of nearest images by squared error; null: with all, or with 50 "
        "for images larger than 64 x 64; rule=mean always takes all",
    )

    def __post_init__(self) -> None:
        """Also check that a mean is not asked over the nearest images alone.

        Raises:
            FingerprintsError: If `rule=mean` has a number of nearest images.
        """
        super().__post_init__()
        if self.rule == "mean" and self.ssim_nearest is not None:
            raise FingerprintsError(
                "A mean over the nearest images alone is not the mean similarity.",
                where="decision.rule, decision.ssim_nearest",
                fix="remove decision.ssim_nearest, or use decision.rule=k_largest",
            )

    @property
    def needs_pixels(self) -> bool:
        """True with `metric=ssim`."""
        return self.metric == "ssim"


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class SimilarityMatrixSettings(ScoreSettings):
    """Rules on the similarities of all real images asked about and all generated images (task usage)."""

    name: ClassVar[str] = "similarity_matrix"
    score: ClassVar[str] = "fingerprints.decisions.scores.similarity_matrix:score"
    tell: ClassVar[str] = "fingerprints.decisions.scores.similarity_matrix:tell"
    joint: ClassVar[bool] = True
    needs: ClassVar[tuple[Need, ...]] = ("unreduced",)
    cut: Cut = option("zero", help="as in decision=distance; zero: what the rule says")
    reference: Reference = option(
        "none", help="as in decision=distance; they count as real images of the matrices; none: as published"
    )
    metric: Literal["ssim", "mse"] = option(
        "ssim", help="ssim: structural similarity, needs encoder=pixels; mse: 1 - mean squared error"
    )
    rule: Literal["threshold_max", "threshold_avg", "retrieval", "ranking", "clustering", "ensemble"] = (
        option("threshold_max", help="which images are called used")
    )
    places: Literal["argsort", "rank"] = option(
        "argsort",
        help="rule=ranking, ensemble: argsort as in the authors' script, which depends on the order of the "
        "images, or their ranks",
    )

    @property
    def needs_pixels(self) -> bool:
        """True with `metric=ssim`."""
        return self.metric == "ssim"


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class FeatureSumSettings(ScoreSettings):
    """Weighted sum of an image's features; no generated image (task usage)."""

    name: ClassVar[str] = "feature_sum"
    score: ClassVar[str] = "fingerprints.decisions.scores.feature_sum:score"
    learn: ClassVar[str] = "fingerprints.decisions.scores.feature_sum:learn"
    uses_references: ClassVar[bool] = False
    cut: Cut = option("mode", help="as in decision=distance; mode and mean: as published")
    weights: Literal["equal", "variance"] = option(
        "equal", help="variance: a feature's share of the variance of the real training images"
    )


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class ClusterDistanceSettings(ScoreSettings):
    """Distance from a real image to the centroids of clusters of generated images (task usage)."""

    name: ClassVar[str] = "cluster_distance"
    score: ClassVar[str] = "fingerprints.decisions.scores.cluster_distance:score"
    learn: ClassVar[str] = "fingerprints.decisions.scores.cluster_distance:learn"
    tell: ClassVar[str] = "fingerprints.decisions.scores.cluster_distance:tell"
    cut: Cut = option("half", help="as in decision=distance; half, as published")
    clustering: Literal["hierarchical", "kmeans"] = option(
        "hierarchical", help="of the generated images; hierarchical: Ward, as published"
    )
    distance: Literal["min", "avg"] | None = option(
        None, help="to the nearest centroid, or mean over all centroids; null: chosen together with k"
    )
    k: int | None = option(
        None,
        least=1,
        most=100_000,
        help="number of clusters; null: of 30 values from 2 to 100, that with the highest mean F1 on the "
        "training parts of all generators",
    )

    @property
    def one_for_all_generators(self) -> bool:
        """True unless distance and number of clusters are given."""
        return self.distance is None or self.k is None


@dataclass(frozen=True, kw_only=True)
class ReconstructionSettings(ScoreSettings):
    """Options of the decisions on errors of an autoencoder."""

    learn: ClassVar[str] = "fingerprints.decisions.scores.reconstruction:learn"
    needs: ClassVar[tuple[Need, ...]] = ("errors", "unreduced")
    uses_references: ClassVar[bool] = False
    cut: Cut = option("zero", help="as in decision=distance; zero: the class with the more similar error")


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class MeanErrorSettings(ReconstructionSettings):
    """Mean error of an autoencoder: nearest to that of used or of unused training images (task usage)."""

    name: ClassVar[str] = "mean_error"
    score: ClassVar[str] = "fingerprints.decisions.scores.reconstruction:mean_error"


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class ErrorMapSettings(ReconstructionSettings):
    """Error map of an autoencoder: most similar to the mean map of used or of unused images (task usage)."""

    name: ClassVar[str] = "error_map"
    score: ClassVar[str] = "fingerprints.decisions.scores.reconstruction:error_map"
