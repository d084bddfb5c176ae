"""Support vector machine [A25]."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.fitted_state import FittedState
from fingerprints.decisions.classifiers.classifier import Classifier
from fingerprints.decisions.classifiers.cost import COSTS, FOLDS, SEARCH_IMAGES, choose_cost, some_groups
from fingerprints.decisions.classifiers.fit_set import FitSet, fit_set
from fingerprints.decisions.classifiers.one_against_one import (
    Indices,
    Kernel,
    Matrix,
    against_rest,
    class_weights,
    solve_pairs,
)
from fingerprints.decisions.classifiers.scaling import Scaling
from fingerprints.decisions.contract import Embeddings, Fitting
from fingerprints.decisions.settings import DecisionSettings, SVMSettings

# Images asked at a time.
BLOCK = 2048


@dataclass(frozen=True, kw_only=True)
class SVM(Classifier):
    """Support vector machine: the published one is linear, C = 1, on raw features [A25].

    Several classes are decided one against one; scores are votes with confidences in between
    (`against_rest`), and where votes tie the confidences decide (scikit-learn's `break_ties=True`).

    Attributes:
        kernel: With its gamma.
        cost: C of the machine, given or chosen.
        accuracies: Cross-validated accuracy of each cost; empty where C was given.
        scaling: What features go through first.
        vectors: `(s, d)` support vectors, scaled; for a linear kernel `(P, d)` weights instead.
        dual: `(P, s)` coefficients; for a linear kernel `(0, 0)`.
        intercept: `(P,)`.
    """

    kernel: Kernel
    cost: float
    accuracies: dict[str, float] = field(default_factory=dict)
    scaling: Scaling
    vectors: Matrix
    dual: Matrix
    intercept: Matrix

    @classmethod
    def fit(cls, settings: DecisionSettings, fitting: Fitting) -> SVM:
        """Fit on the training part; the seed is that of the folds, the machine itself is not random.

        Raises:
            FingerprintsError: As `fit_set` and `choose_cost`.
        """
        assert isinstance(settings, SVMSettings)
        images = fit_set(fitting, fit_on=settings.fit_on)
        scaling = Scaling.fit(images.embeddings, standardise=settings.standardise)
        x = scaling(images.embeddings)
        gamma = settings.gamma
        if gamma is None:  # scikit-learn's `scale`
            gamma = 1.0 / (x.shape[1] * float(x.var(dtype=np.float64)))
        kernel, count = Kernel(settings.kernel, gamma), len(fitting.classes)
        weights = class_weights(images.codes, classes=count, kind=settings.class_weight)
        cost = settings.C
        accuracies: dict[str, float] = {}
        if cost is None:
            some = some_groups(FitSet(x, images.codes, images.groups), most=SEARCH_IMAGES, seed=fitting.seed)
            cost, accuracies = _search(some, kernel=kernel, weights=weights, seed=fitting.seed)
        dual, intercept = solve_pairs(x, images.codes, kernel=kernel, cost=cost, weights=weights)
        used = (dual != 0).any(axis=0)
        vectors, dual = x[used].astype(np.float64), dual[:, used]
        if kernel.name == "linear":
            # A weight vector a pair says the same as its support vectors.
            vectors, dual = dual @ vectors, np.empty((0, 0))
        return cls(
            settings=settings,
            classes=fitting.classes,
            kernel=kernel,
            cost=cost,
            accuracies=accuracies,
            scaling=scaling,
            vectors=vectors,
            dual=dual,
            intercept=intercept,
        )

    def scores(self, embeddings: Embeddings) -> Matrix:
        """`(n, C)` votes with confidences of `(n, d)` embeddings."""
        return np.concatenate(
            [
                against_rest(self._pairwise(embeddings[i : i + BLOCK]), classes=len(self.classes))
                for i in range(0, max(1, len(embeddings)), BLOCK)
            ]
        )

    def _pairwise(self, embeddings: Embeddings) -> Matrix:
        values = self.kernel(self.scaling(embeddings), self.vectors)
        if self.kernel.name == "rbf":
            values = values @ self.dual.T
        return values + self.intercept

    def state(self) -> FittedState:
        """What `from_state` needs."""
        found = {"gamma": self.kernel.gamma, "cost": self.cost, "accuracies": self.accuracies}
        arrays: dict[str, NDArray[np.floating]] = {
            "mean": self.scaling.mean,
            "scale": self.scaling.scale,
            "vectors": self.vectors,
            "dual": self.dual,
            "intercept": self.intercept,
        }
        return FittedState(self.settings.name, {**self._facts(), **found}, arrays)

    @classmethod
    def from_state(cls, state: FittedState) -> SVM:
        """The decision that left this state."""
        facts, arrays, known = state.facts, state.arrays, cls._restored(state)
        return cls(
            **known,
            kernel=Kernel(known["settings"].kernel, facts["gamma"]),
            cost=facts["cost"],
            accuracies=dict(facts["accuracies"]),
            scaling=Scaling(arrays["mean"], arrays["scale"]),
            vectors=arrays["vectors"],
            dual=arrays["dual"],
            intercept=arrays["intercept"],
        )


def _search(images: FitSet, *, kernel: Kernel, weights: Matrix, seed: int) -> tuple[float, dict[str, float]]:
    """Choose the cost with one kernel matrix for all folds and costs."""
    gram = kernel(images.embeddings, images.embeddings)

    def predict(inside: Indices, outside: Indices, cost: float) -> Indices:
        dual, intercept = solve_pairs(
            images.embeddings[inside],
            images.codes[inside],
            kernel=kernel,
            cost=cost,
            weights=weights,
            gram=gram[np.ix_(inside, inside)],
            # A large C on classes that overlap may not end in an hour, and is not the best one either.
            iterations=200_000,
        )
        pairwise = gram[np.ix_(outside, inside)] @ dual.T + intercept
        return against_rest(pairwise, classes=len(weights)).argmax(axis=1)

    return choose_cost(predict, images, classes=len(weights), costs=COSTS, folds=FOLDS, seed=seed)
