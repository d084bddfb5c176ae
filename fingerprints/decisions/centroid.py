"""Nearest centroid of real embeddings: which subset a generated image came from [A25]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerprints.decisions.distances import euclidean
from fingerprints.decisions.part import EmbeddedPart


def centroids(
    embeddings: NDArray[np.float32], labels: NDArray[np.str_], classes: Sequence[str]
) -> NDArray[np.float32]:
    """`(C, d)` mean embedding of each class, in the order of `classes`; every class must occur."""
    return np.stack([embeddings[labels == name].mean(axis=0) for name in classes]).astype(np.float32)


@dataclass(frozen=True)
class CentroidDecision:
    """Labels are those of the nearest centroid; scores are negative distances.

    Attributes:
        centroids: `(C, d)`.
        classes: C labels.
    """

    centroids: NDArray[np.float32]
    classes: tuple[str, ...]

    @classmethod
    def fit(cls, part: EmbeddedPart, classes: Sequence[str]) -> CentroidDecision:
        """Centroids of the real training embeddings; of the generated ones where there are no real."""
        if len(part.real):
            return cls(centroids(part.real, part.real_labels, classes), tuple(classes))
        return cls(centroids(part.generated, part.generated_labels, classes), tuple(classes))

    def scores(self, part: EmbeddedPart) -> NDArray[np.float32]:
        """`(n, C)` negative Euclidean distance of each generated embedding to each centroid."""
        return self.nearness(part.generated)

    def nearness(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """`(n, C)` negative Euclidean distance of each embedding to each centroid."""
        return -euclidean(embeddings, self.centroids)

    def labels(self, scores: NDArray[np.float32]) -> NDArray[np.str_]:
        """`(n,)` label of the highest score."""
        return np.array(self.classes)[scores.argmax(axis=1)]
