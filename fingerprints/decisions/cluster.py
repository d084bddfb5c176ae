"""Clusters of embeddings: k-means, agglomerative, Gaussian mixture ([A24], [A25], and Goa in [O24]).

All three are transductive: they cluster exactly the embeddings that they are asked about, and learn nothing
from any other. Labels are `cluster_1`, `cluster_2`, ... in the order of first occurrence, so that the same
partition always has the same names.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.mixture import GaussianMixture

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.decisions.part import Answers
from fingerprints.decisions.speed import Speed, kmeans_engine
from fingerprints.embeddings.check import check_features

Linkage = Literal["ward", "average", "complete", "single"]
Distance = Literal["euclidean", "cosine"]
MixtureInit = Literal["kmeans", "k-means++", "random", "random_from_data"]
Covariance = Literal["diag", "spherical", "tied", "full"]


def cluster_names(codes: NDArray[np.integer]) -> NDArray[np.str_]:
    """`(n,)` names `cluster_1`, ... of `(n,)` codes; the first image is in `cluster_1`."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(1, len(first) + 1)
    return np.char.add("cluster_", rank[inverse].astype(str))


def check_clusters(*, clusters: int, images: int) -> None:
    """Refuse a number of clusters that the images cannot fill.

    Raises:
        FingerprintsError: If `clusters` is below 1 or above `images`.
    """
    if not 1 <= clusters <= images:
        raise FingerprintsError(
            f"{clusters} clusters cannot be made of {images} images.",
            where="decision.clusters",
            fix=f"give a number from 1 to {images}, or more images",
        )


def condensed_distances(
    embeddings: NDArray[np.floating], *, distance: Distance = "euclidean", tile: int = 1024
) -> NDArray[np.float64]:
    """All pairwise distances, as `scipy.spatial.distance.pdist` orders them, by tiles of matrix products.

    The n (n - 1) / 2 float64 values are the only large array: 2.5 GB for 25,000 images. Each tile is
    computed in float64 from centred vectors, because |a|^2 + |b|^2 - 2ab loses the digits of small distances
    in float32 (and Ward's merges begin with the small ones).

    Args:
        embeddings: `(n, d)`.
        distance: `euclidean`, or `cosine` (1 - cosine, in [0, 2]; 1 from a zero vector to any other).
        tile: Rows and columns of a tile.
    """
    n = len(embeddings)
    out = np.empty(n * (n - 1) // 2, dtype=np.float64)
    centre = embeddings.mean(axis=0, dtype=np.float64)

    def side(start: int) -> NDArray[np.float64]:
        block = embeddings[start : start + tile].astype(np.float64)
        if distance == "euclidean":
            return block - centre
        norms = np.linalg.norm(block, axis=1, keepdims=True)
        return block / np.where(norms > 0, norms, 1.0)

    for top in range(0, n, tile):
        left = side(top)
        for start in range(top, n, tile):
            right = left if start == top else side(start)
            cells = left @ right.T
            if distance == "euclidean":
                cells *= -2.0
                cells += (left**2).sum(axis=1)[:, None]
                cells += (right**2).sum(axis=1)[None, :]
                np.sqrt(np.maximum(cells, 0.0, out=cells), out=cells)
            else:
                np.clip(1.0 - cells, 0.0, 2.0, out=cells)
            for row, values in enumerate(cells, start=top):
                # The upper triangle row by row: before `row` there are row n - row (row + 1) / 2 cells.
                first = max(start, row + 1)
                begin = row * n - row * (row + 1) // 2 + first - row - 1
                out[begin : begin + start + len(right) - first] = values[first - start :]
    return out


def agglomerate(
    embeddings: NDArray[np.floating],
    *,
    clusters: int,
    linkage: Linkage = "ward",
    distance: Distance = "euclidean",
) -> NDArray[np.int64]:
    """`(n,)` cluster codes of bottom-up clustering, cut where `clusters` are left.

    Exact, and the partition of scikit-learn's `AgglomerativeClustering`: both use SciPy's nearest-neighbour
    chains (Müllner 2011, arXiv 1109.2378), n^2 steps on the condensed distances and one copy of them. 25,000
    images take 5 GB whatever the width of the embeddings.

    Args:
        embeddings: `(n, d)`.
        clusters: 1 to n.
        linkage: `ward` (least growth of squared distances to the cluster's mean; euclidean only), or the
            mean (`average`), largest (`complete`) or smallest (`single`) distance between two clusters.
        distance: Between images.

    Raises:
        FingerprintsError: If there are more clusters than images, or Ward is to use cosine distances.
    """
    n = len(embeddings)
    check_clusters(clusters=clusters, images=n)
    if linkage == "ward" and distance != "euclidean":
        raise FingerprintsError(
            f"Ward's linkage needs euclidean distances, not {distance}.",
            where="decision.distance",
            fix="decision.distance=euclidean, or decision.linkage=average",
        )
    if clusters == n:
        return np.arange(n, dtype=np.int64)
    merges = hierarchy.linkage(condensed_distances(embeddings, distance=distance), method=linkage)
    # Row t joins two earlier nodes into node n + t. The first n - clusters rows are all that happened.
    kept = merges[: n - clusters, :2].astype(np.int64)
    parents = np.repeat(np.arange(n, n + len(kept)), 2)
    graph = coo_array((np.ones(2 * len(kept)), (parents, kept.ravel())), shape=(2 * n, 2 * n))
    return connected_components(graph, directed=False)[1][:n].astype(np.int64)


@dataclass(frozen=True)
class KMeansDecision:
    """k-means: the best of several starts by the sum of squared distances.

    Attributes:
        clusters: How many.
        seed: Seed of the starts.
        init: `k-means++` (Arthur and Vassilvitskii 2007) or `random` images as first means.
        restarts: Starts, of which the best is kept.
        iterations: Most rounds of each.
        speed: Which library computes; see `kmeans_engine`.
    """

    clusters: int
    seed: int = 0
    init: Literal["k-means++", "random"] = "k-means++"
    restarts: int = 10
    iterations: int = 300
    speed: Speed = "off"

    name: ClassVar[str] = "kmeans"
    transductive: ClassVar[bool] = True

    def answer(self, embeddings: NDArray[np.float32]) -> Answers:
        """Clusters of `(n, d)` embeddings.

        Raises:
            FingerprintsError: If there are more clusters than images, or features that say nothing.
        """
        check_clusters(clusters=self.clusters, images=len(embeddings))
        check_features(embeddings)
        model = kmeans_engine(self.speed)[0](
            self.clusters,
            init=self.init,
            n_init=self.restarts,
            max_iter=self.iterations,
            random_state=self.seed,
        )
        return Answers(cluster_names(model.fit_predict(embeddings)), None)

    def state(self) -> FittedState:
        """What `from_state` needs, and the library that computed here (`engine`)."""
        return FittedState(self.name, {**asdict(self), "engine": kmeans_engine(self.speed)[1]})

    @classmethod
    def from_state(cls, state: FittedState) -> KMeansDecision:
        """The decision that left this state."""
        return cls(**{key: value for key, value in state.facts.items() if key != "engine"})


@dataclass(frozen=True)
class HierarchicalDecision:
    """Agglomerative clustering; see `agglomerate`.

    Attributes:
        clusters: How many.
        seed: Taken as all decisions take one; nothing here is random.
        linkage: `ward`, `average`, `complete` or `single`.
        distance: `euclidean` or `cosine`.
    """

    clusters: int
    seed: int = 0
    linkage: Linkage = "ward"
    distance: Distance = "euclidean"

    name: ClassVar[str] = "hierarchical"
    transductive: ClassVar[bool] = True

    def answer(self, embeddings: NDArray[np.float32]) -> Answers:
        """Clusters of `(n, d)` embeddings.

        Raises:
            FingerprintsError: As `agglomerate` and `check_features`.
        """
        check_clusters(clusters=self.clusters, images=len(embeddings))
        check_features(embeddings)
        codes = agglomerate(embeddings, clusters=self.clusters, linkage=self.linkage, distance=self.distance)
        return Answers(cluster_names(codes), None)

    def state(self) -> FittedState:
        """What `from_state` needs."""
        return FittedState(self.name, asdict(self))

    @classmethod
    def from_state(cls, state: FittedState) -> HierarchicalDecision:
        """The decision that left this state."""
        return cls(**state.facts)


@dataclass(frozen=True)
class MixtureDecision:
    """Gaussian mixture by expectation maximisation; an image goes to its most probable component.

    Attributes:
        clusters: Components.
        seed: Seed of the starts.
        init: Where the first responsibilities come from: `kmeans`, `k-means++`, `random` (uniform), or
            `random_from_data` (one random image each). The four of Goa's runs [O24].
        covariance: `diag`, `spherical`, `tied` or `full`. A full matrix of 2,048 features has two million
            cells, which a few hundred images cannot estimate: `diag` unless features were reduced.
        regularise: Added to every variance; in squared units of the features.
        restarts: Starts, of which the likeliest is kept.
        iterations: Most rounds of each.
    """

    clusters: int
    seed: int = 0
    init: MixtureInit = "kmeans"
    covariance: Covariance = "diag"
    regularise: float = 1e-6
    restarts: int = 1
    iterations: int = 100

    name: ClassVar[str] = "gmm"
    transductive: ClassVar[bool] = True

    def answer(self, embeddings: NDArray[np.float32]) -> Answers:
        """Clusters of `(n, d)` embeddings; fewer than asked for where a component wins no image.

        Raises:
            FingerprintsError: If there are more clusters than images, features that say nothing, or a
                covariance that the images cannot estimate.
        """
        check_clusters(clusters=self.clusters, images=len(embeddings))
        check_features(embeddings)
        model = GaussianMixture(
            self.clusters,
            covariance_type=self.covariance,
            init_params=self.init,
            reg_covar=self.regularise,
            n_init=self.restarts,
            max_iter=self.iterations,
            random_state=self.seed,
        )
        try:
            # float64: the densities of a thousand features span more than float32 can.
            codes = model.fit_predict(embeddings.astype(np.float64))
        except ValueError as error:
            raise FingerprintsError(
                f"The Gaussian mixture cannot estimate its {self.covariance} covariance from"
                f" {len(embeddings)} images of {embeddings.shape[1]} features: {error}",
                where="decision.covariance, decision.regularise",
                fix="decision.covariance=diag, a larger decision.regularise, or reduction=pca before it",
            ) from error
        return Answers(cluster_names(codes), None)

    def state(self) -> FittedState:
        """What `from_state` needs."""
        return FittedState(self.name, asdict(self))

    @classmethod
    def from_state(cls, state: FittedState) -> MixtureDecision:
        """The decision that left this state."""
        return cls(**state.facts)
