"""The cost, chosen by a k-fold over groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.svm import SVC

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.classifiers import logistic, svm
from fingerprints.decisions.classifiers.cost import choose_cost, some_groups
from fingerprints.decisions.classifiers.fit_set import FitSet
from tests.decisions.classifiers.drawn import ASKED, CLASSES, drawn_part
from tests.decisions.parts import asked, fitted


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_svm_takes_the_best_of_a_group_k_fold(kernel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svm, "COSTS", (1e-4, 0.1, 1.0))
    monkeypatch.setattr(svm, "FOLDS", 3)
    own = drawn_part()
    decision = fitted("svm", own, CLASSES, kernel=kernel, C=None, seed=4)
    images = FitSet(own.real.embeddings, np.searchsorted(CLASSES, own.real.labels), own.real.groups)

    def predict(inside: np.ndarray, outside: np.ndarray, cost: float) -> np.ndarray:
        gamma = 1 / (7 * own.real.embeddings.astype(float).var())
        machine = SVC(kernel=kernel, C=cost, gamma=gamma, break_ties=True)
        return machine.fit(images.embeddings[inside], images.codes[inside]).predict(
            images.embeddings[outside]
        )

    cost, accuracies = choose_cost(predict, images, classes=4, costs=[1, 0.1, 1e-4], folds=3, seed=4)
    assert decision.cost == cost != 1e-4
    assert decision.accuracies == pytest.approx(accuracies)
    again = fitted("svm", own, CLASSES, kernel=kernel, C=cost)
    np.testing.assert_array_equal(decision.predict(asked(ASKED)).scores, again.predict(asked(ASKED)).scores)


def test_logistic_takes_the_best_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic, "COSTS", (1e-6, 1.0))
    decision = fitted("logistic", drawn_part(), CLASSES, C=None)
    assert decision.cost == 1.0
    assert decision.accuracies["1"] > decision.accuracies["1e-06"]


def test_groups_stay_whole_and_the_smallest_of_equals_wins() -> None:
    own = drawn_part()
    images = FitSet(own.real.embeddings, np.searchsorted(CLASSES, own.real.labels), own.real.groups)

    def predict(inside: np.ndarray, outside: np.ndarray, cost: float) -> np.ndarray:
        assert not set(images.groups[inside]) & set(images.groups[outside])
        assert len(set(images.codes[inside])) == 4
        return images.codes[outside]

    assert choose_cost(predict, images, classes=4, costs=[3, 1, 2], folds=3, seed=0)[0] == 1


def test_one_group_a_class_is_refused() -> None:
    with pytest.raises(FingerprintsError, match="one group only"):
        fitted("svm", drawn_part(group_size=90), CLASSES, C=None)


def test_search_sees_whole_groups() -> None:
    own = drawn_part()
    images = FitSet(own.real.embeddings, np.searchsorted(CLASSES, own.real.labels), own.real.groups)
    some = some_groups(images, most=51, seed=0)
    assert len(some.codes) == 50
    assert all((some.groups == name).sum() == 2 for name in set(some.groups))
    assert some_groups(images, most=51, seed=1).groups.tolist() != some.groups.tolist()
    assert some_groups(images, most=None, seed=0) is images
