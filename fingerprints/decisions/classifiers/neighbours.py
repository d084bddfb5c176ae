"""k nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.decisions.classifiers.classifier import Classifier
from fingerprints.decisions.classifiers.fit_set import fit_set
from fingerprints.decisions.classifiers.scaling import Scaling
from fingerprints.decisions.contract import Embeddings, Fitting
from fingerprints.decisions.settings import DecisionSettings, NeighboursSettings


@dataclass(frozen=True, kw_only=True)
class Neighbours(Classifier):
    """Scores are the share of each class among the nearest training images.

    Attributes:
        scaling: What features go through first.
        model: The fitted estimator, which holds the training embeddings.
    """

    scaling: Scaling
    model: KNeighborsClassifier

    @classmethod
    def fit(cls, settings: DecisionSettings, fitting: Fitting) -> Neighbours:
        """Keep the training part.

        Raises:
            FingerprintsError: As `fit_set`, or if k is more than the number of images.
        """
        assert isinstance(settings, NeighboursSettings)
        images = fit_set(fitting, fit_on=settings.fit_on)
        if settings.k > len(images.codes):
            raise FingerprintsError(
                f"{settings.k} neighbours cannot be found among {len(images.codes)} training images.",
                where="decision.k",
                fix=f"give a number from 1 to {len(images.codes)}",
            )
        scaling = Scaling.fit(images.embeddings, standardise=settings.standardise)
        model = KNeighborsClassifier(
            settings.k, weights=settings.weights, metric=settings.distance, algorithm="brute"
        )
        fitted = model.fit(scaling(images.embeddings), images.codes)
        return cls(settings=settings, classes=fitting.classes, scaling=scaling, model=fitted)

    def scores(self, embeddings: Embeddings) -> NDArray[np.floating]:
        """`(n, C)` shares of `(n, d)` embeddings."""
        return self.model.predict_proba(self.scaling(embeddings))

    def state(self) -> FittedState:
        """What `from_state` needs."""
        arrays = {"mean": self.scaling.mean, "scale": self.scaling.scale}
        return FittedState(self.settings.name, self._facts(), arrays, {"model": self.model})

    @classmethod
    def from_state(cls, state: FittedState) -> Neighbours:
        """The decision that left this state."""
        return cls(
            **cls._restored(state),
            scaling=Scaling(state.arrays["mean"], state.arrays["scale"]),
            model=state.estimators["model"],
        )
