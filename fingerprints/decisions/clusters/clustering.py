"""Base class of clusterings.

All clusterings are transductive: they cluster the queries. Labels are `cluster_1`, `cluster_2`, ... in the
order of first occurrence, so that the same partition always has the same names.

The authors' script of [A25] clusters the real training images for Table 4, and compares the numbers of
clusters with the real images' labels; for figures 4 to 7 it clusters real and generated images together.
`cluster_on` is an option: the queries, the real training images (queries then get the nearest cluster by its
mean, which is ours), or both together.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.core.options import build_option, plain
from fingerprints.decisions.clusters.labels import Labels
from fingerprints.decisions.contract import Answers, Decision, Embeddings, Fitting, Part, check_memory
from fingerprints.decisions.distances import euclidean
from fingerprints.decisions.settings import ClusterSettings, DecisionSettings
from fingerprints.embeddings.check import check_features


@dataclass(frozen=True, kw_only=True)
class Clustering(Decision):
    """A decision that clusters; it gives no scores.

    Attributes:
        settings: Settings of the clustering.
        clusters: Number of clusters.
        seed: Seed of random steps.
        real: `(n, d)` real training embeddings if the settings use them, else `None`.
    """

    settings: ClusterSettings
    clusters: int
    seed: int = 0
    real: Embeddings | None = None

    @classmethod
    def fit(cls, settings: DecisionSettings, fitting: Fitting) -> Self:
        """Learn the number of clusters, unless the settings give one, and keep real images if they are used.

        Raises:
            FingerprintsError: If the settings use real images and there are none.
        """
        assert isinstance(settings, ClusterSettings)
        count = len(fitting.classes) if settings.clusters is None else settings.clusters
        real = fitting.part.real.embeddings if settings.uses_real else None
        if real is not None and not len(real):
            raise FingerprintsError(
                "There are no real training images to cluster.",
                where=f"decision.cluster_on={settings.cluster_on}",
                fix="decision.cluster_on=generated",
            )
        return cls(settings=settings, clusters=count, seed=fitting.seed, real=real)

    @abstractmethod
    def cluster(self, embeddings: Embeddings) -> Labels:
        """`(n,)` cluster names of `(n, d)` embeddings; these must be finite and must not all be the same."""

    def cluster_images(self, embeddings: Embeddings, ids: Labels) -> Labels:
        """As `cluster`, of images with these ids `(n,)`; `(0,)` if they are unknown."""
        return self.cluster(embeddings)

    def predict(self, part: Part) -> Answers:
        """Clusters of the part's queries, and of the real training images if these are clustered.

        Raises:
            FingerprintsError: If memory is short, there are more clusters than images, a feature is NaN or
                infinite, or all features are constant.
        """
        asked, ids = part.queries.embeddings, part.queries.ids
        if self.real is None:
            return Answers(self._checked(asked, ids), None)
        if self.settings.cluster_on == "both":
            without = np.full(len(self.real) if len(ids) else 0, "")
            labels = self._checked(np.concatenate([self.real, asked]), np.concatenate([without, ids]))
            return Answers(labels[len(self.real) :], None, labels[: len(self.real)])
        known = self._checked(self.real, np.empty(0, dtype=str))
        names = np.unique(known)
        means = np.stack([self.real[known == name].mean(axis=0) for name in names])
        check_features(asked)
        return Answers(names[euclidean(asked, means).argmin(axis=1)], None, known)

    def _checked(self, embeddings: Embeddings, ids: Labels) -> Labels:
        images, width = len(embeddings), math.prod(embeddings.shape[1:])
        check_memory(type(self), self.settings, images=images, width=width, clusters=self.clusters)
        check_clusters(clusters=self.clusters, images=images)
        check_features(embeddings)
        return self.cluster_images(embeddings, ids)

    def for_clusters(self, count: int) -> Self:
        """The same clustering with `count` clusters, unless its settings give a number of clusters."""
        return self if self.settings.clusters is not None else replace(self, clusters=count)

    def state(self) -> FittedState:
        """The state that `from_state` reads."""
        arrays = {} if self.real is None else {"real": self.real}
        return FittedState(self.settings.name, self._facts(), arrays)

    def _facts(self) -> dict[str, Any]:
        return {"settings": plain(self.settings), "clusters": self.clusters, "seed": self.seed}

    @classmethod
    def from_state(cls, state: FittedState) -> Self:
        """Restore the decision from its stored state."""
        settings = build_option("decision", state.facts["settings"])
        facts, real = state.facts, state.arrays.get("real")
        return cls(settings=settings, clusters=facts["clusters"], seed=facts["seed"], real=real)


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
