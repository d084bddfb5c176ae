"""Classifiers of earlier versions, which stored arrays instead of scikit-learn pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import _ovr_decision_function

from fingerprints.decisions.classifiers.svm import kernel_function
from fingerprints.decisions.contract import Embeddings

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class PairwiseMachine:
    """A support vector machine for each pair of classes (0, 1), (0, 2), ...; it can only predict.

    scikit-learn's `SVC` cannot be made from these arrays: for a linear kernel only one weight vector per pair
    was stored, without support vectors.

    Attributes:
        kernel: `linear` or `rbf`.
        gamma: Parameter of the `rbf` kernel.
        classes: Number of classes.
        arrays: `mean` and `scale`, `(d,)`, to standardise features; `vectors`, `(P, d)` weights of a linear
            kernel, or `(s, d)` support vectors of `rbf` with their coefficients `dual`, `(P, s)`;
            `intercept`, `(P,)`.
    """

    kernel: str
    gamma: float
    classes: int
    arrays: Arrays

    def decision_function(self, x: Embeddings) -> NDArray[np.floating]:
        """`(n, C)` votes with confidences for `(n, d)` embeddings."""
        scaled = ((x - self.arrays["mean"]) / self.arrays["scale"]).astype(np.float64)
        vectors, dual = self.arrays["vectors"], self.arrays["dual"]
        pairwise = kernel_function(self.kernel, self.gamma)(scaled, vectors)
        if self.kernel == "rbf":
            pairwise = pairwise @ dual.T
        pairwise = pairwise + self.arrays["intercept"]
        return _ovr_decision_function(pairwise < 0, -pairwise, self.classes)


def model(
    name: str, facts: Mapping[str, Any], arrays: Arrays, estimators: Mapping[str, Any]
) -> Pipeline | PairwiseMachine:
    """A model with the same scores as the classifier that stored these arrays."""
    if name == "svm":
        return PairwiseMachine(facts["settings"]["kernel"], facts["gamma"], len(facts["classes"]), arrays)
    scaler = StandardScaler()
    scaler.mean_, scaler.scale_ = arrays["mean"], arrays["scale"]
    scaler.n_features_in_ = len(scaler.mean_)
    return make_pipeline(scaler, estimators["model"])
