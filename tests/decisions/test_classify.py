"""Classifiers against scikit-learn's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions import classify
from fingerprints.decisions.classify import (
    LogisticDecision,
    NeighboursDecision,
    SVMDecision,
    choose_cost,
    some_groups,
)
from fingerprints.decisions.part import EmbeddedPart, FitSet

CLASSES = ("t1", "t2", "t3", "t4")
KINDS = (SVMDecision, LogisticDecision, NeighboursDecision)


def draw(seed: int, n: int, *, classes: int = 4, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes of different sizes on features of different scales, one of them constant."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, 6))
    codes = np.concatenate([np.arange(classes), (classes * rng.random(n - classes) ** 2).astype(int)])
    points = (centres[codes] + rng.normal(size=(n, 6)) + shift) * np.array([1, 5, 0.2, 1, 2, 1])
    return np.column_stack([points, np.full(n, 7.0)]).astype(np.float32), np.array(CLASSES)[codes]


def part(*, classes: int = 4, group_size: int = 2) -> EmbeddedPart:
    real, labels = draw(0, 90, classes=classes)
    made, answers = draw(1, 70, classes=classes, shift=0.7)
    groups = np.array([f"p{i // group_size}" for i in range(90)])
    return EmbeddedPart(real, labels, made, answers, groups)


ASKED = draw(2, 120)[0]


class TestSVM:
    @pytest.mark.parametrize("standardise", [False, True])
    @pytest.mark.parametrize("kernel", ["linear", "rbf"])
    @pytest.mark.parametrize("cost", [0.03, 1.0])
    def test_agrees_with_scikit_learn(self, kernel: Any, cost: float, standardise: bool) -> None:
        own = part()
        answers = SVMDecision.fit(own, CLASSES, kernel=kernel, C=cost, standardise=standardise).answer(ASKED)
        scale = StandardScaler(with_mean=standardise, with_std=standardise).fit(own.real.astype(float))
        reference = SVC(kernel=kernel, C=cost, break_ties=True, decision_function_shape="ovr")
        reference.fit(scale.transform(own.real), own.real_labels)
        expected = reference.decision_function(scale.transform(ASKED))
        np.testing.assert_allclose(answers.scores, expected, atol=2e-3)
        assert answers.labels.tolist() == reference.predict(scale.transform(ASKED)).tolist()

    def test_published_machine_is_linear_on_raw_real_features(self) -> None:
        own = part()
        expected = SVC(kernel="linear", C=1, break_ties=True).fit(own.real, own.real_labels).predict(ASKED)
        assert SVMDecision.fit(own, CLASSES).answer(ASKED).labels.tolist() == expected.tolist()

    def test_balanced_weights(self) -> None:
        own = part()
        answers = SVMDecision.fit(own, CLASSES, class_weight="balanced").answer(ASKED)
        reference = SVC(kernel="linear", C=1, class_weight="balanced").fit(own.real, own.real_labels)
        np.testing.assert_allclose(answers.scores, reference.decision_function(ASKED), atol=2e-3)

    def test_two_classes(self) -> None:
        own = part(classes=2)
        decision = SVMDecision.fit(own, CLASSES[:2])
        reference = SVC(kernel="linear", C=1).fit(own.real, own.real_labels)
        answers = decision.answer(ASKED)
        assert answers.scores.shape == (120, 2)
        assert answers.labels.tolist() == reference.predict(ASKED).tolist()
        backwards = SVMDecision.fit(own, CLASSES[1::-1]).answer(ASKED)
        np.testing.assert_allclose(backwards.scores, answers.scores[:, ::-1], atol=2e-3)

    @pytest.mark.parametrize("kernel", ["linear", "rbf"])
    def test_many_images_go_to_libsvm_itself(self, kernel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = SVMDecision.fit(part(), CLASSES, kernel=kernel).answer(ASKED).scores
        monkeypatch.setattr(classify, "GRAM_ROWS", 30)
        monkeypatch.setattr(classify, "BLOCK", 50)
        scores = SVMDecision.fit(part(), CLASSES, kernel=kernel).answer(ASKED).scores
        np.testing.assert_allclose(scores, expected, atol=2e-3)

    def test_gamma(self) -> None:
        own = part()
        answers = SVMDecision.fit(own, CLASSES, kernel="rbf", gamma=0.5).answer(ASKED)
        reference = SVC(kernel="rbf", gamma=0.5).fit(own.real, own.real_labels)
        np.testing.assert_allclose(answers.scores, reference.decision_function(ASKED), atol=2e-3)

    def test_no_image_no_answer(self) -> None:
        answers = SVMDecision.fit(part(), CLASSES).answer(ASKED[:0])
        assert answers.labels.shape == (0,)
        assert answers.scores.shape == (0, 4)


class TestCost:
    @pytest.mark.parametrize("kernel", ["linear", "rbf"])
    def test_svm_takes_the_best_of_a_group_k_fold(self, kernel: Any) -> None:
        own = part()
        decision = SVMDecision.fit(own, CLASSES, kernel=kernel, C=None, costs=[1e-4, 0.1, 1], folds=3, seed=4)
        images = FitSet(own.real, np.searchsorted(CLASSES, own.real_labels), own.real_groups)

        def predict(inside: np.ndarray, outside: np.ndarray, cost: float) -> np.ndarray:
            gamma = 1 / (7 * own.real.astype(float).var())
            machine = SVC(kernel=kernel, C=cost, gamma=gamma, break_ties=True)
            return machine.fit(images.embeddings[inside], images.codes[inside]).predict(
                images.embeddings[outside]
            )

        cost, accuracies = choose_cost(predict, images, classes=4, costs=[1, 0.1, 1e-4], folds=3, seed=4)
        assert decision.cost == cost != 1e-4
        assert decision.accuracies == pytest.approx(accuracies)
        again = SVMDecision.fit(own, CLASSES, kernel=kernel, C=cost)
        np.testing.assert_array_equal(decision.answer(ASKED).scores, again.answer(ASKED).scores)

    def test_logistic_takes_the_best_too(self) -> None:
        decision = LogisticDecision.fit(part(), CLASSES, C=None, costs=[1e-6, 1.0], folds=3)
        assert decision.cost == 1.0
        assert decision.accuracies["1"] > decision.accuracies["1e-06"]

    def test_groups_stay_whole_and_the_smallest_of_equals_wins(self) -> None:
        own = part()
        images = FitSet(own.real, np.searchsorted(CLASSES, own.real_labels), own.real_groups)

        def predict(inside: np.ndarray, outside: np.ndarray, cost: float) -> np.ndarray:
            assert not set(images.groups[inside]) & set(images.groups[outside])
            assert len(set(images.codes[inside])) == 4
            return images.codes[outside]

        assert choose_cost(predict, images, classes=4, costs=[3, 1, 2], folds=3, seed=0)[0] == 1

    def test_one_group_a_class_is_refused(self) -> None:
        with pytest.raises(FingerprintsError, match="one group only"):
            SVMDecision.fit(part(group_size=90), CLASSES, C=None)

    def test_search_sees_whole_groups(self) -> None:
        own = part()
        images = FitSet(own.real, np.searchsorted(CLASSES, own.real_labels), own.real_groups)
        some = some_groups(images, most=51, seed=0)
        assert len(some.codes) == 50
        assert all((some.groups == name).sum() == 2 for name in set(some.groups))
        assert some_groups(images, most=51, seed=1).groups.tolist() != some.groups.tolist()
        assert some_groups(images, most=None, seed=0) is images


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_logistic_agrees_with_scikit_learn(standardise: bool, class_weight: Any) -> None:
    own = part()
    decision = LogisticDecision.fit(own, CLASSES, C=0.3, standardise=standardise, class_weight=class_weight)
    scale = StandardScaler(with_mean=standardise, with_std=standardise).fit(own.real.astype(float))
    weight = None if class_weight == "none" else class_weight
    reference = LogisticRegression(C=0.3, max_iter=1000, class_weight=weight)
    reference.fit(scale.transform(own.real), own.real_labels)
    expected = reference.predict_proba(scale.transform(ASKED))
    np.testing.assert_allclose(decision.answer(ASKED).scores, expected, atol=5e-3)


@pytest.mark.parametrize(
    ("k", "distance", "weights"), [(1, "euclidean", "uniform"), (5, "cosine", "distance")]
)
def test_neighbours_agree_with_scikit_learn(k: int, distance: Any, weights: Any) -> None:
    own = part()
    answers = NeighboursDecision.fit(own, CLASSES, k=k, distance=distance, weights=weights).answer(ASKED)
    reference = KNeighborsClassifier(k, metric=distance, weights=weights).fit(own.real, own.real_labels)
    np.testing.assert_allclose(answers.scores, reference.predict_proba(ASKED), atol=1e-3)
    assert answers.labels.tolist() == reference.predict(ASKED).tolist()


OPTIONS = [
    (SVMDecision, {"kernel": "rbf"}),
    (SVMDecision, {"C": 0.01}),
    (SVMDecision, {"standardise": True, "C": 0.01}),
    (SVMDecision, {"class_weight": "balanced"}),
    (LogisticDecision, {"C": 0.01}),
    (LogisticDecision, {"standardise": False}),
    (LogisticDecision, {"class_weight": "balanced"}),
    (LogisticDecision, {"iterations": 2}),
    (NeighboursDecision, {"k": 1}),
    (NeighboursDecision, {"distance": "cosine"}),
    (NeighboursDecision, {"distance": "manhattan"}),
    (NeighboursDecision, {"weights": "distance"}),
    (NeighboursDecision, {"standardise": True}),
    *((kind, {"fit_on": name}) for kind in KINDS for name in ("generated", "both")),
]


@pytest.mark.filterwarnings("ignore:lbfgs failed")
@pytest.mark.parametrize(("kind", "options"), OPTIONS, ids=lambda x: getattr(x, "name", str(x)))
def test_each_option_changes_labels(kind: Any, options: dict) -> None:
    plain, other = (kind.fit(part(), CLASSES, **o).answer(ASKED).labels for o in ({}, options))
    assert (plain != other).any()


@pytest.mark.parametrize("kind", KINDS)
def test_scores_follow_the_order_of_classes(kind: Any) -> None:
    answers = kind.fit(part(), CLASSES).answer(ASKED)
    backwards = kind.fit(part(), CLASSES[::-1]).answer(ASKED)
    np.testing.assert_allclose(backwards.scores, answers.scores[:, ::-1], atol=5e-3)
    assert (np.array(CLASSES)[answers.scores.argmax(axis=1)] == answers.labels).all()


@pytest.mark.parametrize("kind", KINDS)
def test_bad_training_parts_are_refused(kind: Any) -> None:
    own = part()
    single = EmbeddedPart(own.real, np.full(90, "t1"), own.generated, own.generated_labels)
    with pytest.raises(FingerprintsError, match="only 't1'"):
        kind.fit(single, CLASSES)
    constant = EmbeddedPart(np.ones_like(own.real), own.real_labels, own.generated, own.generated_labels)
    with pytest.raises(FingerprintsError, match="same features"):
        kind.fit(constant, CLASSES)


@pytest.mark.parametrize("k", [0, 91])
def test_more_neighbours_than_images_are_refused(k: int) -> None:
    with pytest.raises(FingerprintsError, match=rf"{k} neighbours(.|\n)*1 to 90"):
        NeighboursDecision.fit(part(), CLASSES, k=k)
