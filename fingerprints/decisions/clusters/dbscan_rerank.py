"""Clustering in which each dense region gets one label (Csmorgan in [O24]).

The paper names DBSCAN re-ranking but does not describe it; the rule here is our interpretation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN
from sklearn.neighbors import NearestNeighbors

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.clusters.clustering import Clustering
from fingerprints.decisions.clusters.labels import Labels, renamed
from fingerprints.decisions.clusters.member import member, member_memory
from fingerprints.decisions.contract import Embeddings
from fingerprints.decisions.settings import DbscanRerankSettings


def dense_regions(
    embeddings: NDArray[np.floating], *, quantile: float = 0.5, min_samples: int = 5
) -> NDArray[np.int64]:
    """`(n,)` region of each image by DBSCAN (Ester et al. 1996), -1 for noise.

    The radius is a quantile of the distances from each image to its neighbour number `min_samples - 1`. So
    this share of images are core points of a region, whatever the scale of the features.

    Args:
        embeddings: `(n, d)`.
        quantile: In (0, 1].
        min_samples: Number of images within the radius, itself included, that make an image a core point;
            2 to n.

    Raises:
        FingerprintsError: If an option is out of range.
    """
    n = len(embeddings)
    if not 0 < quantile <= 1 or not 2 <= min_samples <= n:
        raise FingerprintsError(
            f"DBSCAN cannot use quantile={quantile} and min_samples={min_samples} on {n} images.",
            where="decision.quantile, decision.min_samples",
            fix=f"give a quantile above 0 and at most 1, and min_samples from 2 to {n}",
        )
    search = NearestNeighbors(n_neighbors=min_samples - 1, algorithm="brute").fit(embeddings)
    reach = search.kneighbors()[0][:, -1]  # without arguments, an image is not its own neighbour
    # Slightly more: DBSCAN computes the distances again, and rounding may differ.
    radius = float(np.quantile(reach, quantile)) * (1 + 1e-6)
    # Copies of an image have distance 0, but DBSCAN needs a radius above 0.
    model = DBSCAN(eps=max(radius, 1e-12), min_samples=min_samples, algorithm="brute")
    return model.fit_predict(embeddings).astype(np.int64)


def rerank(labels: Labels, regions: NDArray[np.int64]) -> Labels:
    """`(n,)` labels: each region gets its majority label; noise (-1) keeps its own labels.

    If labels are equally frequent in a region, the first in sorted order wins.
    """
    out = np.array(labels)
    for region in np.unique(regions[regions >= 0]):
        names, counts = np.unique(labels[regions == region], return_counts=True)
        out[regions == region] = names[counts.argmax()]
    return out


@dataclass(frozen=True, kw_only=True)
class DbscanRerank(Clustering):
    """An earlier clustering with its default settings; each dense region then gets its majority label."""

    settings: DbscanRerankSettings
    smaller: ClassVar[str] = "choose a smaller decision.earlier, such as kmeans, or use fewer images"

    @classmethod
    def memory(cls, settings: Any, *, images: int, width: int, clusters: int) -> int:
        """That of the earlier clustering."""
        return member_memory(settings.earlier, images=images, width=width, clusters=clusters)

    def cluster(self, embeddings: Embeddings) -> Labels:
        """Clusters of `(n, d)` embeddings.

        Raises:
            FingerprintsError: If the earlier clustering or `dense_regions` raises it.
        """
        settings = self.settings
        regions = dense_regions(embeddings, quantile=settings.quantile, min_samples=settings.min_samples)
        earlier = member(settings.earlier, clusters=self.clusters, seed=self.seed)
        return renamed(rerank(earlier.cluster(embeddings), regions))
