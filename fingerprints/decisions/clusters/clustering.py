"""Base class of clusterings.

All clusterings are transductive: they cluster the queries, and learn nothing from other images. Labels are
`cluster_1`, `cluster_2`, ... in the order of first occurrence, so that the same partition always has the same
names.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Self

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.core.options import build_option, plain
from fingerprints.decisions.clusters.labels import Labels
from fingerprints.decisions.contract import Answers, Decision, Embeddings, Fitting, Part, check_memory
from fingerprints.decisions.settings import ClusterSettings, DecisionSettings
from fingerprints.embeddings.check import check_features


@dataclass(frozen=True, kw_only=True)
class Clustering(Decision):
    """A decision that clusters; it gives no scores.

    Attributes:
        settings: Settings of the clustering.
        clusters: Number of clusters.
        seed: Seed of random steps.
    """

    settings: ClusterSettings
    clusters: int
    seed: int = 0

    @classmethod
    def fit(cls, settings: DecisionSettings, fitting: Fitting) -> Self:
        """Learn only the number of clusters: one per training label, unless the settings give a number."""
        assert isinstance(settings, ClusterSettings)
        count = len(fitting.classes) if settings.clusters is None else settings.clusters
        return cls(settings=settings, clusters=count, seed=fitting.seed)

    @abstractmethod
    def cluster(self, embeddings: Embeddings) -> Labels:
        """`(n,)` cluster names of `(n, d)` embeddings; these must be finite and must not all be the same."""

    def predict(self, part: Part) -> Answers:
        """Clusters of the part's queries.

        Raises:
            FingerprintsError: If memory is short, there are more clusters than images, a feature is NaN or
                infinite, or all features are constant.
        """
        embeddings = part.queries.embeddings
        images, width = len(embeddings), math.prod(embeddings.shape[1:])
        check_memory(type(self), self.settings, images=images, width=width, clusters=self.clusters)
        check_clusters(clusters=self.clusters, images=len(embeddings))
        check_features(embeddings)
        return Answers(self.cluster(embeddings), None)

    def for_clusters(self, count: int) -> Self:
        """The same clustering with `count` clusters, unless its settings give a number of clusters."""
        return self if self.settings.clusters is not None else replace(self, clusters=count)

    def state(self) -> FittedState:
        """The state that `from_state` reads."""
        return FittedState(self.settings.name, self._facts())

    def _facts(self) -> dict[str, Any]:
        return {"settings": plain(self.settings), "clusters": self.clusters, "seed": self.seed}

    @classmethod
    def from_state(cls, state: FittedState) -> Self:
        """Restore the decision from its stored state."""
        settings = build_option("decision", state.facts["settings"])
        return cls(settings=settings, clusters=state.facts["clusters"], seed=state.facts["seed"])


def check_clusters(*, clusters: int, images: int) -> None:
    """Refuse more clusters than images.

    Raises:
        FingerprintsError: If `clusters` is below 1 or above `images`.
    """
    if not 1 <= clusters <= images:
        raise FingerprintsError(
            f"{clusters} clusters cannot be made of {images} images.",
            where="decision.clusters",
            fix=f"give a number from 1 to {images}, or more images",
        )
