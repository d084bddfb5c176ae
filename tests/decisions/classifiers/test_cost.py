"""The cost, chosen by a k-fold over groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.svm import SVC

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.classifiers import cost
from fingerprints.decisions.classifiers.cost import choose_cost, group_folds, some_groups
from fingerprints.decisions.classifiers.fit_set import FitSet
from tests.decisions.classifiers.drawn import ASKED, CLASSES, drawn_part
from tests.decisions.parts import asked, fitted


def images() -> FitSet:
    real = drawn_part().real
    return FitSet(real.embeddings, np.searchsorted(CLASSES, real.labels), real.groups)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_svm_takes_the_best_of_a_group_k_fold(kernel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a plain loop over folds and costs, with libsvm's own kernels."""
    monkeypatch.setattr(cost, "COSTS", (1e-4, 0.1, 1.0))
    own, some = drawn_part(), images()
    decision = fitted("svm", own, CLASSES, kernel=kernel, C=None, seed=4)
    gamma = 1 / (7 * some.embeddings.astype(float).var())
    accuracies = {}
    for c in (1e-4, 0.1, 1.0):
        right = []
        for inside, outside in group_folds(some, classes=4, seed=4):
            machine = SVC(kernel=kernel, C=c, gamma=gamma).fit(some.embeddings[inside], some.codes[inside])
            right.append(machine.score(some.embeddings[outside], some.codes[outside]))
        accuracies[f"{c:g}"] = np.mean(right)
    assert decision.chosen["accuracies"] == pytest.approx(accuracies, abs=0.03)  # a vote that ties
    chosen = decision.chosen["cost"]
    assert f"{chosen:g}" == max(accuracies, key=lambda name: accuracies[name]) != "0.0001"
    again = fitted("svm", own, CLASSES, kernel=kernel, C=chosen)
    np.testing.assert_array_equal(decision.predict(asked(ASKED)).scores, again.predict(asked(ASKED)).scores)


def test_logistic_takes_the_best_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "COSTS", (1e-6, 1.0))
    decision = fitted("logistic", drawn_part(), CLASSES, C=None)
    assert decision.chosen["cost"] == decision.model[-1].C == 1.0
    assert decision.chosen["accuracies"]["1"] > decision.chosen["accuracies"]["1e-06"]


class Constant(DummyClassifier):
    """Answers the same at every cost."""

    def __init__(self, C: float = 1.0) -> None:
        super().__init__()
        self.C = C


def test_the_smallest_of_equals_wins() -> None:
    assert choose_cost(Constant(), images(), classes=4, seed=0)[0] == min(cost.COSTS)


def test_groups_stay_whole() -> None:
    own = images()
    folds = group_folds(own, classes=4, seed=0)
    assert sorted(np.concatenate([outside for _, outside in folds]).tolist()) == list(range(len(own.codes)))
    for inside, outside in folds:
        assert not set(own.groups[inside]) & set(own.groups[outside])
        assert len(set(own.codes[inside])) == 4


def test_one_group_a_class_is_refused() -> None:
    with pytest.raises(FingerprintsError, match="are in one group"):
        fitted("svm", drawn_part(group_size=90), CLASSES, C=None)


def test_search_sees_whole_groups() -> None:
    own = images()
    some = some_groups(own, most=51, seed=0)
    assert len(some.codes) == 50
    assert all((some.groups == name).sum() == 2 for name in set(some.groups))
    assert some_groups(own, most=51, seed=1).groups.tolist() != some.groups.tolist()
    assert some_groups(own, most=len(own.codes), seed=0) is own
