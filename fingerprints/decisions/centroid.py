"""Nearest centroid of real embeddings: which subset a generated image came from [A25]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.fitted_state import FittedState
from fingerprints.core.tasks import FitOn
from fingerprints.decisions.distances import euclidean
from fingerprints.decisions.part import Answers, EmbeddedPart, fit_set


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

    name: ClassVar[str] = "centroid"
    transductive: ClassVar[bool] = False

    @classmethod
    def fit(
        cls, part: EmbeddedPart, classes: Sequence[str], *, fit_on: FitOn = "real", seed: int = 0
    ) -> CentroidDecision:
        """Centroids of the real training embeddings (as published), the generated ones, or both.

        Args:
            part: The training part.
            classes: C labels.
            fit_on: Which images; the generated ones also where there are no real ones at all.
            seed: Taken as all decisions take one; nothing here is random.

        Raises:
            FingerprintsError: As `fit_set`.
        """
        if not len(part.real):
            fit_on = "generated"
        # Of a collapsed network the log has told; its figures are chance, and worth a report that says so.
        images = fit_set(part, classes, fit_on=fit_on, constant=True)
        names = np.array(classes)
        return cls(centroids(images.embeddings, names[images.codes], classes), tuple(classes))

    def answer(self, embeddings: NDArray[np.float32]) -> Answers:
        """Nearest centroid of each of `(n, d)` embeddings; scores `(n, C)` are negative distances."""
        scores = self.nearness(embeddings)
        return Answers(self.labels(scores), scores)

    def scores(self, part: EmbeddedPart) -> NDArray[np.float32]:
        """`(n, C)` negative Euclidean distance of each generated embedding to each centroid."""
        return self.nearness(part.generated)

    def nearness(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """`(n, C)` negative Euclidean distance of each embedding to each centroid."""
        return -euclidean(embeddings, self.centroids)

    def labels(self, scores: NDArray[np.float32]) -> NDArray[np.str_]:
        """`(n,)` label of the highest score."""
        return np.array(self.classes)[scores.argmax(axis=1)]

    def state(self) -> FittedState:
        """What `from_state` needs."""
        return FittedState(self.name, {"classes": list(self.classes)}, {"centroids": self.centroids})

    @classmethod
    def from_state(cls, state: FittedState) -> CentroidDecision:
        """The decision that left this state."""
        return cls(state.arrays["centroids"], tuple(state.facts["classes"]))
