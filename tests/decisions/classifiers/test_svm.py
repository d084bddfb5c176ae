"""The support vector machine against scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from fingerprints.decisions.classifiers import pipeline, svm
from tests.decisions.classifiers.drawn import ASKED, CLASSES, drawn_part
from tests.decisions.parts import asked, fitted


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("cost", [0.03, 1.0])
def test_agrees_with_scikit_learn(kernel: Any, cost: float, standardise: bool) -> None:
    own = drawn_part()
    decision = fitted("svm", own, CLASSES, kernel=kernel, C=cost, standardise=standardise)
    answers = decision.predict(asked(ASKED))
    scale = StandardScaler(with_mean=standardise, with_std=standardise).fit(own.real.embeddings.astype(float))
    reference = SVC(kernel=kernel, C=cost, break_ties=True, decision_function_shape="ovr")
    reference.fit(scale.transform(own.real.embeddings), own.real.labels)
    expected = reference.decision_function(scale.transform(ASKED))
    np.testing.assert_allclose(answers.scores, expected, atol=2e-3)
    assert answers.labels.tolist() == reference.predict(scale.transform(ASKED)).tolist()


def test_published_machine_is_linear_on_raw_real_features() -> None:
    own = drawn_part()
    reference = SVC(kernel="linear", C=1, break_ties=True).fit(own.real.embeddings, own.real.labels)
    found = fitted("svm", own, CLASSES).predict(asked(ASKED))
    assert found.labels.tolist() == reference.predict(ASKED).tolist()


def test_balanced_weights() -> None:
    own = drawn_part()
    answers = fitted("svm", own, CLASSES, class_weight="balanced").predict(asked(ASKED))
    reference = SVC(kernel="linear", C=1, class_weight="balanced").fit(own.real.embeddings, own.real.labels)
    np.testing.assert_allclose(answers.scores, reference.decision_function(ASKED), atol=2e-3)


def test_two_classes() -> None:
    own = drawn_part(classes=2)
    decision = fitted("svm", own, CLASSES[:2])
    reference = SVC(kernel="linear", C=1).fit(own.real.embeddings, own.real.labels)
    answers = decision.predict(asked(ASKED))
    assert answers.scores.shape == (120, 2)
    assert answers.labels.tolist() == reference.predict(ASKED).tolist()
    backwards = fitted("svm", own, CLASSES[1::-1]).predict(asked(ASKED))
    np.testing.assert_allclose(backwards.scores, answers.scores[:, ::-1], rtol=2e-2, atol=5e-3)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_many_images_go_to_libsvm_itself(kernel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fitted("svm", drawn_part(), CLASSES, kernel=kernel).predict(asked(ASKED)).scores
    monkeypatch.setattr(svm, "KERNEL_ROWS", 30)
    monkeypatch.setattr(pipeline, "BLOCK", 50)
    scores = fitted("svm", drawn_part(), CLASSES, kernel=kernel).predict(asked(ASKED)).scores
    np.testing.assert_allclose(scores, expected, atol=2e-3)


def test_gamma() -> None:
    own = drawn_part()
    answers = fitted("svm", own, CLASSES, kernel="rbf", gamma=0.5).predict(asked(ASKED))
    reference = SVC(kernel="rbf", gamma=0.5).fit(own.real.embeddings, own.real.labels)
    np.testing.assert_allclose(answers.scores, reference.decision_function(ASKED), atol=2e-3)


def test_no_image_no_answer() -> None:
    answers = fitted("svm", drawn_part(), CLASSES).predict(asked(ASKED[:0]))
    assert answers.labels.shape == (0,)
    assert answers.scores.shape == (0, 4)
