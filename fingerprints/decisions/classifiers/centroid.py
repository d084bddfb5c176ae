"""Nearest centroid of real embeddings: find the subset that a generated image comes from [A25]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.fitted_state import FittedState
from fingerprints.decisions.classifiers.classifier import Classifier
from fingerprints.decisions.classifiers.fit_set import fit_set
from fingerprints.decisions.contract import Embeddings, Explanation, Fitting
from fingerprints.decisions.distances import euclidean
from fingerprints.decisions.settings import CentroidSettings, DecisionSettings


def centroids(embeddings: Embeddings, labels: NDArray[np.str_], classes: Sequence[str]) -> Embeddings:
    """`(C, d)` mean embedding of each class, in the order of `classes`; every class must occur."""
    return np.stack([embeddings[labels == name].mean(axis=0) for name in classes]).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Centroid(Classifier):
    """Scores are negative distances to the centroids.

    Attributes:
        centroids: `(C, d)`.
    """

    centroids: Embeddings

    @classmethod
    def fit(cls, settings: DecisionSettings, fitting: Fitting) -> Centroid:
        """Compute centroids of real training embeddings (as published), of generated ones, or of both.

        If there are no real images, the generated images are used.

        Raises:
            FingerprintsError: As `fit_set`.
        """
        assert isinstance(settings, CentroidSettings)
        fit_on = settings.fit_on if len(fitting.part.real) else "generated"
        # The log already warns of a collapsed network; fit anyway, so that the report shows chance.
        images = fit_set(fitting, fit_on=fit_on, constant=True)
        names = np.array(fitting.classes)
        means = centroids(images.embeddings, names[images.codes], fitting.classes)
        return cls(settings=settings, classes=fitting.classes, centroids=means)

    def scores(self, embeddings: Embeddings) -> NDArray[np.float32]:
        """`(n, C)` negative Euclidean distance of each embedding to each centroid."""
        return -euclidean(embeddings, self.centroids)

    def explain(self) -> Explanation:
        """The centroids."""
        return Explanation(prototypes=self.centroids)

    def state(self) -> FittedState:
        """The state that `from_state` reads."""
        return FittedState(self.settings.name, self._facts(), {"centroids": self.centroids})

    @classmethod
    def from_state(cls, state: FittedState) -> Centroid:
        """Restore the decision from its stored state."""
        return cls(**cls._restored(state), centroids=state.arrays["centroids"])
