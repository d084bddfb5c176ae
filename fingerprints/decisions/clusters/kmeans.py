"""k-means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fingerprints.decisions.clusters.clustering import Clustering
from fingerprints.decisions.clusters.labels import Labels, cluster_names
from fingerprints.decisions.clusters.speed import kmeans_engine
from fingerprints.decisions.contract import Embeddings
from fingerprints.decisions.settings import KMeansSettings

ROUNDS = 300  # maximum number of iterations per start


@dataclass(frozen=True, kw_only=True)
class KMeans(Clustering):
    """k-means: of several starts, the one with the smallest sum of squared distances is kept.

    The first means come from k-means++ (Arthur and Vassilvitskii 2007), or are random images (`random`).
    """

    settings: KMeansSettings

    def cluster(self, embeddings: Embeddings) -> Labels:
        """Clusters of `(n, d)` embeddings."""
        model = kmeans_engine(self.settings.speed)[0](
            self.clusters,
            init=self.settings.init,
            n_init=self.settings.restarts,
            max_iter=ROUNDS,
            random_state=self.seed,
        )
        return cluster_names(model.fit_predict(embeddings))

    def _facts(self) -> dict[str, Any]:
        """Facts of every clustering, and the library that computed this one."""
        return {**super()._facts(), "engine": kmeans_engine(self.settings.speed)[1]}
