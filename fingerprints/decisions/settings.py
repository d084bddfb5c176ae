"""Settings of every decision: the tasks it answers, what it needs, and its options.

Those of `usage` are in `scores/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from fingerprints.core.options import option, register
from fingerprints.core.tasks import FitOn

ClassWeights = Literal["none", "balanced"]
Clustering = Literal["kmeans", "hierarchical", "gmm"]
Covariance = Literal["diag", "spherical", "tied", "full"]
Linkage = Literal["ward", "average", "complete", "single"]
MixtureInit = Literal["kmeans", "k-means++", "random", "random_from_data"]
Need = Literal["errors", "head", "unreduced"]
Reference = Literal["auto", "none", "given", "not_used", "real"]
Speed = Literal["auto", "on", "off"]


@dataclass(frozen=True, kw_only=True)
class DecisionSettings:
    """Properties and options of every decision.

    Attributes:
        name: The option's name.
        tasks: Tasks that the decision answers.
        needs: Requirements on other stages: `head` needs the last layer of a trained classifier; `unreduced`
            needs the encoder's own embeddings; `errors` needs maps of reconstruction errors.
        transductive: Whether all queries are decided together, so that an answer depends on the other
            queries. A transductive decision needs no training images.
        uses_references: Whether the decision uses the references of the part that it predicts.
        uses_shadow: Whether the decision is fitted on shadow generators (`data.shadow`).
    """

    name: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]] = ("subset", "model")
    needs: ClassVar[tuple[Need, ...]] = ()
    transductive: ClassVar[bool] = False
    uses_references: ClassVar[bool] = False
    uses_shadow: ClassVar[bool] = False

    @property
    def needs_pixels(self) -> bool:
        """Whether embeddings must be the pixels themselves."""
        return False

    @property
    def reference_from(self) -> Reference:
        """Where reference images come from, real images that are known to be unused."""
        return "none"

    @property
    def needs_reference(self) -> bool:
        """Whether there is no answer without reference images."""
        return False

    @property
    def learns_reference(self) -> bool:
        """Whether something is learnt from reference images."""
        return False

    @property
    def takes_reference(self) -> bool:
        """Whether the decision uses real images of `data.reference`, if there are any."""
        return False

    @property
    def blind_to_labels(self) -> bool:
        """Whether all images are decided together and no label is used, so that nothing need be held out."""
        return self.transductive

    @property
    def learns_from(self) -> FitOn | None:
        """Images that labels are learnt from; `None`: no labels are learnt, or the training part decides."""
        return None

    @property
    def uses_real(self) -> bool:
        """Whether images asked about are clustered with, or assigned to clusters of, real training images."""
        return False

    @property
    def may_refuse(self) -> bool:
        """Whether the decision may answer "none of these"."""
        return False

    @property
    def one_for_all_generators(self) -> bool:
        """Whether fitting chooses something that must be the same for all generators of the run."""
        return False


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings(DecisionSettings):
    """Options of every classifier."""

    open_set: bool = option(False, help="allow the answer 'none' (task subset)")
    share_known: float = option(
        0.95, above=0, most=1, help="with open_set: share of validation images that get a class, not 'none'"
    )

    @property
    def may_refuse(self) -> bool:
        """True with `open_set`."""
        return self.open_set


@dataclass(frozen=True, kw_only=True)
class LabelledSettings(ClassifierSettings):
    """Options of every classifier that learns labels."""

    fit_on: FitOn | None = option(None, help="images to learn from; null: real images if the task has them")

    @property
    def learns_from(self) -> FitOn | None:
        """The value of `fit_on`."""
        return self.fit_on


@dataclass(frozen=True, kw_only=True)
class PipelineSettings(LabelledSettings):
    """Options of every classifier that is a scikit-learn pipeline."""

    standardise: bool = option(False, help="scale features to mean 0 and standard deviation 1 first")


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
    gamma: float | None = option(None, above=0, help="for kernel=rbf; null: 1 / (features x variance)")
    class_weight: ClassWeights = option("none")


@register("decision", part="fingerprints.decisions.classifiers.logistic:Logistic")
@dataclass(frozen=True, kw_only=True)
class LogisticSettings(PipelineSettings):
    """Logistic regression on standardised features."""

    name: ClassVar[str] = "logistic"
    C: float | None = option(1.0, above=0, help="null: chosen by group cross-validation")
    standardise: bool = option(True, help="scale features to mean 0 and standard deviation 1 first")
    class_weight: ClassWeights = option("none")


@register("decision", part="fingerprints.decisions.classifiers.neighbours:Neighbours")
@dataclass(frozen=True, kw_only=True)
class NeighboursSettings(PipelineSettings):
    """Nearest neighbours."""

    name: ClassVar[str] = "knn"
    k: int = option(5, least=1, help="number of neighbours")
    distance: Literal["euclidean", "cosine", "manhattan"] = option("euclidean")
    weights: Literal["uniform", "distance"] = option("uniform", help="distance: near neighbours count more")


@register("decision", part="fingerprints.decisions.classifiers.head:HeadDecision")
@dataclass(frozen=True, kw_only=True)
class HeadSettings(ClassifierSettings):
    """The trained classifier's own last layer."""

    name: ClassVar[str] = "head"
    needs: ClassVar[tuple[Need, ...]] = ("head", "unreduced")


@dataclass(frozen=True, kw_only=True)
class ClusterSettings(DecisionSettings):
    """Options of every clustering."""

    transductive: ClassVar[bool] = True
    clusters: int | None = option(
        None, least=1, help="null: one per label; in the test part data.test_classes, if given"
    )
    cluster_on: FitOn | None = option(
        None,
        help="images that are clustered: the generated ones asked about, the real training images (others "
        "get the cluster with the nearest mean), or both together; null: real ones if the task has them",
    )

    @property
    def uses_real(self) -> bool:
        """If they are clustered."""
        return self.cluster_on in ("real", "both")


@register("decision", part="fingerprints.decisions.clusters.kmeans:KMeans")
@dataclass(frozen=True, kw_only=True)
class KMeansSettings(ClusterSettings):
    """k-means with k-means++ and restarts."""

    name: ClassVar[str] = "kmeans"
    init: Literal["k-means++", "random"] = option("k-means++")
    restarts: int = option(10, least=1, most=100_000, help="number of starts; the best is kept")
    speed: Speed = option("off", help="use scikit-learn-intelex (extra speed); auto: if installed")


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
    init: MixtureInit = option("kmeans", help="method for the initial responsibilities")
    covariance: Covariance = option("diag")
    regularise: float = option(1e-6, least=0, help="added to every variance")
    restarts: int = option(1, least=1, most=100_000, help="number of starts; the most likely one is kept")


@register("decision", part="fingerprints.decisions.clusters.dbscan_rerank:DbscanRerank")
@dataclass(frozen=True, kw_only=True)
class DbscanRerankSettings(ClusterSettings):
    """Earlier answers; each dense region then gets its majority label."""

    name: ClassVar[str] = "dbscan_rerank"
    run: Path | None = option(None, help="folder of a finished run on the same images: the earlier answers")
    earlier: Clustering = option("kmeans", help="the earlier clustering; with run, of images that it lacks")
    quantile: float = option(0.5, above=0, most=1, help="share of images that are core points of a region")
    min_samples: int = option(5, least=2, help="number of images within the radius that make a core point")


@register("decision", part="fingerprints.decisions.clusters.vote:Vote")
@dataclass(frozen=True, kw_only=True)
class VoteSettings(ClusterSettings):
    """Majority of several clusterings."""

    name: ClassVar[str] = "vote"
    voters: tuple[Clustering, ...] = option(("kmeans", "hierarchical", "gmm"))
