"""Nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.classifiers.fit_set import FitSet
from fingerprints.decisions.classifiers.pipeline import PipelineClassifier
from fingerprints.decisions.contract import Embeddings
from fingerprints.decisions.settings import NeighboursSettings


@dataclass(frozen=True, kw_only=True)
class Neighbours(PipelineClassifier):
    """Scores are the share of each class among the nearest training images."""

    @classmethod
    def estimator(
        cls, settings: NeighboursSettings, images: FitSet, *, classes: int, seed: int
    ) -> tuple[KNeighborsClassifier, dict[str, Any]]:
        """The classifier; when fitted, it holds the training embeddings.

        Raises:
            FingerprintsError: If k is more than the number of images.
        """
        if settings.k > len(images.codes):
            raise FingerprintsError(
                f"k={settings.k} neighbours are more than the {len(images.codes)} training images.",
                where="decision.k",
                fix=f"give a number from 1 to {len(images.codes)}",
            )
        # Search trees are slower on features this wide, and skops does not load them as trusted types.
        model = KNeighborsClassifier(
            settings.k, weights=settings.weights, metric=settings.distance, algorithm="brute"
        )
        return model, {}

    def _scores(self, embeddings: Embeddings) -> NDArray[np.floating]:
        return self.model.predict_proba(embeddings)
