"""Agglomerative clustering of tens of thousands of images ([A24], [A25])."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.metrics import pairwise_distances_chunked

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.clusters.clustering import Clustering, check_clusters
from fingerprints.decisions.clusters.labels import Labels, cluster_names
from fingerprints.decisions.contract import Embeddings
from fingerprints.decisions.settings import HierarchicalSettings, Linkage

Distance = Literal["euclidean", "cosine"]
BLOCK_MB = 256


def condensed_distances(
    embeddings: NDArray[np.floating], *, distance: Distance = "euclidean"
) -> NDArray[np.float64]:
    """All pairwise distances, in the order of SciPy's `pdist`, computed by matrix products in blocks.

    The n (n - 1) / 2 float64 values are the only large array: 2.5 GB for 25,000 images. `pdist` itself takes
    four times as long on wide features; scikit-learn's `AgglomerativeClustering` also needs the square
    matrix.

    Args:
        embeddings: `(n, d)`.
        distance: `euclidean`, or `cosine` (1 - cosine, in [0, 2]; 1 between a zero vector and any other).
    """
    n = len(embeddings)
    out = np.empty(n * (n - 1) // 2)
    row, filled = 0, 0
    # float64: float32 loses digits of small distances, and Ward's method merges these first.
    exact = embeddings.astype(np.float64)
    for block in pairwise_distances_chunked(exact, metric=distance, working_memory=BLOCK_MB):
        for values in block:
            row += 1
            out[filled : filled + n - row] = values[row:]
            filled += n - row
    return out


def merge_tree(
    embeddings: NDArray[np.floating], *, linkage: Linkage = "ward", distance: Distance = "euclidean"
) -> NDArray[np.float64]:
    """`(n - 1, 4)` merges of bottom-up clustering, in SciPy's format; `cut_tree` gives the clusters.

    The result is exact: SciPy's nearest-neighbour chains (Müllner 2011, arXiv 1109.2378). This takes n^2
    steps, and memory for the condensed distances and one copy of them: 5 GB for 25,000 images, whatever the
    width of the embeddings.

    Args:
        embeddings: `(n, d)`, at least 2.
        linkage: `ward` (least increase of squared distances to the cluster's mean; euclidean only), or the
            mean (`average`), largest (`complete`) or smallest (`single`) distance between two clusters.
        distance: Distance between images.

    Raises:
        FingerprintsError: If `ward` is used with cosine distances.
    """
    if linkage == "ward" and distance != "euclidean":
        raise FingerprintsError(
            f"Ward's linkage needs euclidean distances, not {distance}.",
            where="decision.distance",
            fix="give decision.distance=euclidean, or decision.linkage=average",
        )
    return hierarchy.linkage(condensed_distances(embeddings, distance=distance), method=linkage)


def cut_tree(merges: NDArray[np.float64], *, clusters: int) -> NDArray[np.int64]:
    """`(n,)` cluster codes where `clusters` clusters are left of `(n - 1, 4)` merges."""
    n = len(merges) + 1
    # Row t joins two earlier nodes into node n + t. Only the first n - clusters merges are applied.
    kept = merges[: n - clusters, :2].astype(np.int64)
    parents = np.repeat(np.arange(n, n + len(kept)), 2)
    graph = coo_array((np.ones(2 * len(kept)), (parents, kept.ravel())), shape=(2 * n, 2 * n))
    return connected_components(graph, directed=False)[1][:n].astype(np.int64)


def agglomerate(
    embeddings: NDArray[np.floating],
    *,
    clusters: int,
    linkage: Linkage = "ward",
    distance: Distance = "euclidean",
) -> NDArray[np.int64]:
    """`(n,)` cluster codes of bottom-up clustering, which stops when `clusters` clusters are left.

    The result equals that of scikit-learn's `AgglomerativeClustering`.

    Args:
        embeddings: `(n, d)`.
        clusters: 1 to n.
        linkage: As in `merge_tree`.
        distance: As in `merge_tree`.

    Raises:
        FingerprintsError: If there are more clusters than images, or `ward` is used with cosine distances.
    """
    check_clusters(clusters=clusters, images=len(embeddings))
    if len(embeddings) == 1:  # no merges
        return np.zeros(1, dtype=np.int64)
    return cut_tree(merge_tree(embeddings, linkage=linkage, distance=distance), clusters=clusters)


@dataclass(frozen=True, kw_only=True)
class Hierarchical(Clustering):
    """Agglomerative clustering; see `agglomerate`. It is deterministic."""

    settings: HierarchicalSettings
    smaller: ClassVar[str] = (
        "choose a decision that does not compare all pairs (decision=kmeans), or use fewer images"
    )

    @classmethod
    def memory(cls, settings: Any, *, images: int, width: int, clusters: int) -> int:
        """The condensed distances and SciPy's copy of them, the embeddings in float64, and one block."""
        return 2 * 8 * (images * (images - 1) // 2) + 8 * images * width + BLOCK_MB * 2**20

    def cluster(self, embeddings: Embeddings) -> Labels:
        """Clusters of `(n, d)` embeddings.

        Raises:
            FingerprintsError: As `agglomerate`.
        """
        linkage, distance = self.settings.linkage, self.settings.distance
        return cluster_names(
            agglomerate(embeddings, clusters=self.clusters, linkage=linkage, distance=distance)
        )
