"""Multinomial logistic regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from fingerprints.decisions.classifiers.cost import choose_cost
from fingerprints.decisions.classifiers.fit_set import FitSet
from fingerprints.decisions.classifiers.pipeline import PipelineClassifier, class_weight
from fingerprints.decisions.contract import Embeddings
from fingerprints.decisions.settings import LogisticSettings

ITERATIONS = 1000  # maximum for L-BFGS


@dataclass(frozen=True, kw_only=True)
class Logistic(PipelineClassifier):
    """Logistic regression with an L2 penalty; scores are probabilities."""

    @classmethod
    def estimator(
        cls, settings: LogisticSettings, images: FitSet, *, classes: int, seed: int
    ) -> tuple[LogisticRegression, dict[str, Any]]:
        """The logistic regression; `C=null` is chosen by cross-validation.

        Raises:
            FingerprintsError: As `choose_cost`.
        """
        model = LogisticRegression(max_iter=ITERATIONS, class_weight=class_weight(settings.class_weight))
        cost, chosen = settings.C, dict[str, Any]()
        if cost is None:
            cost, chosen = choose_cost(clone(model), images, classes=classes, seed=seed)
        return model.set_params(C=cost), chosen

    def _scores(self, embeddings: Embeddings) -> NDArray[np.floating]:
        return self.model.predict_proba(embeddings)
