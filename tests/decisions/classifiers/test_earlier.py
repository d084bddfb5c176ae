"""Classifiers that kept arrays instead of a pipeline, as earlier versions wrote them."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from fingerprints.core.fitted_state import FittedState
from fingerprints.core.options import plain
from fingerprints.decisions.classifiers.pipeline import PipelineClassifier
from fingerprints.decisions.registry import restore_decision
from fingerprints.decisions.settings import DecisionSettings
from tests.decisions.classifiers.drawn import ASKED, drawn_part
from tests.decisions.classifiers.drawn import CLASSES as DRAWN
from tests.decisions.parts import answers, fitted
from tests.decisions.test_registry import CLASSES, POINTS, made


def scaling(decision: PipelineClassifier) -> dict[str, np.ndarray]:
    """What earlier versions kept of it: zeros and ones where nothing was scaled."""
    first, width = decision.model[0], POINTS.shape[1]
    if isinstance(first, FunctionTransformer):
        return {"mean": np.zeros(width, np.float32), "scale": np.ones(width, np.float32)}
    return {"mean": first.mean_.astype(np.float32), "scale": first.scale_.astype(np.float32)}


def facts(name: str, settings: DecisionSettings, **found: Any) -> list[dict[str, Any]]:
    """As the first version wrote them, and as the next one did, with settings."""
    plainly = {"classes": list(CLASSES), **found}
    cost = {"cost": found["C"]} if "C" in found else {}
    rest = {key: value for key, value in found.items() if key not in ("C", "kernel")}
    later = {"settings": plain(settings), "classes": list(CLASSES), "none_below": None, **cost, **rest}
    return [plainly, later]


@pytest.mark.parametrize("name", ["logistic", "knn"])
def test_estimators_beside_their_scaling(name: str) -> None:
    new = made(name)
    found = {} if name == "knn" else {"C": 1.0, "accuracies": {}}
    for old in facts(name, new.settings, **found):
        again = restore_decision(FittedState(name, old, scaling(new), {"model": new.model[-1]}))
        np.testing.assert_allclose(answers(again, POINTS).scores, answers(new, POINTS).scores, atol=1e-5)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("classes", [2, 4])
def test_support_vectors_of_pairs(kernel: str, classes: int) -> None:
    """As earlier versions fitted them: a machine for each pair."""
    own, names = drawn_part(classes=classes), DRAWN[:classes]
    new = fitted("svm", own, names, kernel=kernel, gamma=0.3)
    x, labels = own.real.embeddings, own.real.labels
    vectors, dual, intercept = [], [], []
    for first, second in combinations(names, 2):
        rows = np.flatnonzero((labels == first) | (labels == second))
        machine = SVC(kernel=kernel, gamma=0.3).fit(x[rows], labels[rows] == second)
        coefficients = np.zeros(len(x))
        coefficients[rows[machine.support_]] = -machine.dual_coef_[0]
        dual.append(coefficients)
        vectors.append(coefficients @ x.astype(np.float64))
        intercept.append(-machine.intercept_[0])
    arrays = {
        "mean": np.zeros(x.shape[1], np.float32),
        "scale": np.ones(x.shape[1], np.float32),
        "vectors": np.array(vectors) if kernel == "linear" else x.astype(np.float64),
        "dual": np.empty((0, 0)) if kernel == "linear" else np.array(dual),
        "intercept": np.array(intercept),
    }
    found = {"kernel": kernel, "gamma": 0.3, "C": 1.0, "accuracies": {"1": 0.5}}
    for old in facts("svm", new.settings, **found):
        again = restore_decision(FittedState("svm", old | {"classes": list(names)}, arrays))
        here, expected = answers(again, ASKED), answers(new, ASKED)
        assert here.labels.tolist() == expected.labels.tolist()
        assert here.scores.shape == expected.scores.shape
        if classes > 2:  # of two, scores were votes, too
            np.testing.assert_allclose(here.scores, expected.scores, atol=2e-3)
        assert again.chosen == {"cost": 1.0, "accuracies": {"1": 0.5}}
