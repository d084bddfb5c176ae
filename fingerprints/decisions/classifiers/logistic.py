"""Multinomial logistic regression."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from fingerprints.core.fitted_state import FittedState
from fingerprints.decisions.classifiers.classifier import Classifier
from fingerprints.decisions.classifiers.cost import (
    COSTS,
    FOLDS,
    SEARCH_IMAGES,
    Indices,
    choose_cost,
    some_groups,
)
from fingerprints.decisions.classifiers.fit_set import FitSet, fit_set
from fingerprints.decisions.classifiers.scaling import Scaling
from fingerprints.decisions.contract import Embeddings, Fitting
from fingerprints.decisions.settings import DecisionSettings, LogisticSettings

ITERATIONS = 1000  # of L-BFGS at most


@dataclass(frozen=True, kw_only=True)
class Logistic(Classifier):
    """Logistic regression with an L2 penalty; scores are probabilities.

    Attributes:
        cost: C, the inverse strength of the penalty, given or chosen.
        accuracies: Cross-validated accuracy of each cost; empty where C was given.
        scaling: What features go through first.
        model: The fitted estimator.
    """

    cost: float
    accuracies: dict[str, float] = field(default_factory=dict)
    scaling: Scaling
    model: LogisticRegression

    @classmethod
    def fit(cls, settings: DecisionSettings, fitting: Fitting) -> Logistic:
        """Fit on the training part.

        Raises:
            FingerprintsError: As `fit_set` and `choose_cost`.
        """
        assert isinstance(settings, LogisticSettings)
        images = fit_set(fitting, fit_on=settings.fit_on)
        scaling = Scaling.fit(images.embeddings, standardise=settings.standardise)
        x = scaling(images.embeddings)
        balance = None if settings.class_weight == "none" else settings.class_weight

        def model(embeddings: Embeddings, codes: Indices, cost: float) -> LogisticRegression:
            estimator = LogisticRegression(C=cost, max_iter=ITERATIONS, class_weight=balance)
            return estimator.fit(embeddings, codes)

        cost = settings.C
        accuracies: dict[str, float] = {}
        if cost is None:
            some = some_groups(FitSet(x, images.codes, images.groups), most=SEARCH_IMAGES, seed=fitting.seed)

            def predict(inside: Indices, outside: Indices, cost: float) -> Indices:
                fitted = model(some.embeddings[inside], some.codes[inside], cost)
                return fitted.predict(some.embeddings[outside])

            count = len(fitting.classes)
            cost, accuracies = choose_cost(
                predict, some, classes=count, costs=COSTS, folds=FOLDS, seed=fitting.seed
            )
        return cls(
            settings=settings,
            classes=fitting.classes,
            cost=cost,
            accuracies=accuracies,
            scaling=scaling,
            model=model(x, images.codes, cost),
        )

    def scores(self, embeddings: Embeddings) -> NDArray[np.floating]:
        """`(n, C)` probabilities of `(n, d)` embeddings."""
        return self.model.predict_proba(self.scaling(embeddings))

    def state(self) -> FittedState:
        """What `from_state` needs."""
        facts = {**self._facts(), "cost": self.cost, "accuracies": self.accuracies}
        arrays = {"mean": self.scaling.mean, "scale": self.scaling.scale}
        return FittedState(self.settings.name, facts, arrays, {"model": self.model})

    @classmethod
    def from_state(cls, state: FittedState) -> Logistic:
        """The decision that left this state."""
        return cls(
            **cls._restored(state),
            cost=state.facts["cost"],
            accuracies=dict(state.facts["accuracies"]),
            scaling=Scaling(state.arrays["mean"], state.arrays["scale"]),
            model=state.estimators["model"],
        )
