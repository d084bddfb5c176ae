"""Settings of every decision: the tasks it answers, what it needs, and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from fingerprints.core.options import option, register
from fingerprints.core.tasks import FitOn

ClassWeights = Literal["none", "balanced"]
Clustering = Literal["kmeans", "hierarchical", "gmm"]
Covariance = Literal["diag", "spherical", "tied", "full"]
Cut = Literal["out_of_fold", "half", "mode", "mean", "fixed"]
Linkage = Literal["ward", "average", "complete", "single"]
MixtureInit = Literal["kmeans", "k-means++", "random", "random_from_data"]
Need = Literal["head", "unreduced"]
Speed = Literal["auto", "on", "off"]


@dataclass(frozen=True, kw_only=True)
class DecisionSettings:
    """What every decision states.

    Attributes:
        name: The option's name.
        tasks: Tasks it answers.
        needs: What other stages must give: `head`, a trained classifier's last layer; `unreduced`, the
            encoder's own embeddings.
        transductive: Whether images are judged together, so that an answer depends on what else is asked.
            A transductive decision needs no training images.
        uses_references: Whether it looks at the references of the part that it is asked about.
    """

    name: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]] = ("subset", "model")
    needs: ClassVar[tuple[Need, ...]] = ()
    transductive: ClassVar[bool] = False
    uses_references: ClassVar[bool] = False

    @property
    def learns_from(self) -> FitOn | None:
        """The images that it learns labels from; `None` where it learns none, or the part decides."""
        return None

    @property
    def may_refuse(self) -> bool:
        """Whether it may answer "none of these"."""
        return False


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings(DecisionSettings):
    """What every decision with labels of its own has."""

    open_set: bool = option(False, help="may answer 'none' (subset)")
    share_known: float = option(
        0.95, above=0, most=1, help="open_set: share of validation images that keep a label"
    )

    @property
    def may_refuse(self) -> bool:
        """With `open_set`."""
        return self.open_set


@dataclass(frozen=True, kw_only=True)
class LabelledSettings(ClassifierSettings):
    """What every decision that learns labels has."""

    fit_on: FitOn | None = option(None, help="images it learns from; null: real ones where the task has them")

    @property
    def learns_from(self) -> FitOn | None:
        """As `fit_on` says."""
        return self.fit_on


@dataclass(frozen=True, kw_only=True)
class PipelineSettings(LabelledSettings):
    """What every scikit-learn pipeline has."""

    standardise: bool = option(False, help="features get mean 0 and deviation 1 first")


@register("decision", part="fingerprints.decisions.classifiers.centroid:Centroid")
@dataclass(frozen=True, kw_only=True)
class CentroidSettings(LabelledSettings):
    """Nearest centroid of the real training embeddings (task subset)."""

    name: ClassVar[str] = "centroid"


@register("decision", part="fingerprints.decisions.classifiers.svm:SVM")
@dataclass(frozen=True, kw_only=True)
class SVMSettings(PipelineSettings):
    """Support vector machine, linear as published."""

    name: ClassVar[str] = "svm"
    kernel: Literal["linear", "rbf"] = option("linear")
    C: float | None = option(1.0, above=0, help="null: chosen by group cross-validation")
    gamma: float | None = option(None, above=0, help="of rbf; null: 1 / (features x variance)")
    class_weight: ClassWeights = option("none")


@register("decision", part="fingerprints.decisions.classifiers.logistic:Logistic")
@dataclass(frozen=True, kw_only=True)
class LogisticSettings(PipelineSettings):
    """Logistic regression on standardised features."""

    name: ClassVar[str] = "logistic"
    C: float | None = option(1.0, above=0, help="null: chosen by group cross-validation")
    standardise: bool = option(True, help="features get mean 0 and deviation 1 first")
    class_weight: ClassWeights = option("none")


@register("decision", part="fingerprints.decisions.classifiers.neighbours:Neighbours")
@dataclass(frozen=True, kw_only=True)
class NeighboursSettings(PipelineSettings):
    """Nearest neighbours."""

    name: ClassVar[str] = "knn"
    k: int = option(5, least=1, help="neighbours")
    distance: Literal["euclidean", "cosine", "manhattan"] = option("euclidean")
    weights: Literal["uniform", "distance"] = option("uniform", help="whether near neighbours count more")


@register("decision", part="fingerprints.decisions.classifiers.head:HeadDecision")
@dataclass(frozen=True, kw_only=True)
class HeadSettings(ClassifierSettings):
    """The trained classifier's own last layer."""

    name: ClassVar[str] = "head"
    needs: ClassVar[tuple[Need, ...]] = ("head", "unreduced")


@dataclass(frozen=True, kw_only=True)
class ClusterSettings(DecisionSettings):
    """What every decision that clusters has."""

    transductive: ClassVar[bool] = True
    clusters: int | None = option(
        None, least=1, help="null: one for each label; in the test part data.test_classes, if given"
    )


@register("decision", part="fingerprints.decisions.clusters.kmeans:KMeans")
@dataclass(frozen=True, kw_only=True)
class KMeansSettings(ClusterSettings):
    """k-means with k-means++ and restarts."""

    name: ClassVar[str] = "kmeans"
    init: Literal["k-means++", "random"] = option("k-means++")
    restarts: int = option(10, least=1, most=100_000, help="starts, of which the best is kept")
    speed: Speed = option("off", help="Intel's library (extra speed): where installed, always, never")


@register("decision", part="fingerprints.decisions.clusters.hierarchical:Hierarchical")
@dataclass(frozen=True, kw_only=True)
class HierarchicalSettings(ClusterSettings):
    """Agglomerative clustering (Ward)."""

    name: ClassVar[str] = "hierarchical"
    linkage: Linkage = option("ward")
    distance: Literal["euclidean", "cosine"] = option("euclidean")


@register("decision", part="fingerprints.decisions.clusters.mixture:Mixture")
@dataclass(frozen=True, kw_only=True)
class MixtureSettings(ClusterSettings):
    """Gaussian mixture."""

    name: ClassVar[str] = "gmm"
    init: MixtureInit = option("kmeans", help="where the first responsibilities come from")
    covariance: Covariance = option("diag")
    regularise: float = option(1e-6, least=0, help="added to every variance")
    restarts: int = option(1, least=1, most=100_000, help="starts, of which the likeliest is kept")


@register("decision", part="fingerprints.decisions.clusters.dbscan_rerank:DbscanRerank")
@dataclass(frozen=True, kw_only=True)
class DbscanRerankSettings(ClusterSettings):
    """An earlier clustering whose dense regions take one label each."""

    name: ClassVar[str] = "dbscan_rerank"
    earlier: Clustering = option("kmeans", help="the earlier clustering")
    quantile: float = option(0.5, above=0, most=1, help="share of images that are the core of a region")
    min_samples: int = option(5, least=2, help="images within the radius that make a core")


@register("decision", part="fingerprints.decisions.clusters.vote:Vote")
@dataclass(frozen=True, kw_only=True)
class VoteSettings(ClusterSettings):
    """Majority of several clusterings."""

    name: ClassVar[str] = "vote"
    voters: tuple[Clustering, ...] = option(("kmeans", "hierarchical", "gmm"))


@dataclass(frozen=True, kw_only=True)
class ScoreSettings(DecisionSettings):
    """What every decision of `usage` has: a score (higher: more likely used) and a cut.

    Attributes:
        score: `module:function` with `function(settings, part, learned) -> (n,)` scores of the queries.
        learn: `module:function` with `function(settings, fitting) -> arrays by name`, given to the score as
            `learned`; empty where a score learns nothing.
    """

    tasks: ClassVar[tuple[str, ...]] = ("usage",)
    uses_references: ClassVar[bool] = True
    score: ClassVar[str]
    learn: ClassVar[str] = ""
    cut: Cut = option(
        "out_of_fold",
        help="scores from here on are used: best kappa of unseen training images; the median (half), mode "
        "or mean of the images asked about; or cut_at (fixed)",
    )
    cut_at: float | None = option(None, help="the threshold of cut=fixed")


@register("decision", part="fingerprints.decisions.usage:UsageDecision")
@dataclass(frozen=True, kw_only=True)
class DistanceSettings(ScoreSettings):
    """Distance to the own generated set (task usage)."""

    name: ClassVar[str] = "distance"
    score: ClassVar[str] = "fingerprints.decisions.scores.distance:score"
    learn: ClassVar[str] = "fingerprints.decisions.scores.distance:learn"
    rule: Literal["mean", "nearest", "k_nearest"] = option("nearest", help="generated images that count")
    k: int = option(5, least=1, help="neighbours of rule=k_nearest")
    standardise: bool = option(True, help="by the generated images' own distances to each other")
    reference: Literal["none", "training"] = option("none", help="real images that distances are scaled by")
    reference_k: int = option(5, least=1, help="nearest references that count")
