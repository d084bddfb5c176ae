"""What the scikit-learn pipelines share: scaling, blocks, state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fingerprints.core.fitted_state import load_fitted, save_fitted
from fingerprints.decisions.classifiers import pipeline
from fingerprints.decisions.registry import restore_decision
from tests.decisions.classifiers.drawn import ASKED, CLASSES, drawn_part
from tests.decisions.parts import asked, fitted

CASES = [
    ("svm", {}),
    ("svm", {"kernel": "rbf", "standardise": True}),
    ("svm", {"C": None}),
    ("logistic", {}),
    ("knn", {"standardise": True}),
]


def test_scaling_is_the_training_parts() -> None:
    own = drawn_part()
    found = fitted("logistic", own, CLASSES, standardise=True).predict(asked(ASKED)).scores
    reference = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    reference.fit(own.real.embeddings, own.real.labels)
    np.testing.assert_allclose(found, reference.predict_proba(ASKED), atol=1e-5)
    raw = fitted("logistic", own, CLASSES, standardise=False).predict(asked(ASKED)).scores
    assert np.abs(raw - found).max() > 1e-3


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_scores_do_not_depend_on_what_else_is_asked(
    name: str, options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = fitted(name, drawn_part(), CLASSES, **options)
    whole = decision.scores(ASKED)
    monkeypatch.setattr(pipeline, "BLOCK", 50)
    np.testing.assert_allclose(decision.scores(ASKED), whole, atol=1e-5)
    np.testing.assert_allclose(decision.scores(ASKED[7:8]), whole[7:8], atol=1e-5)
    assert decision.scores(ASKED[:0]).shape == (0, 4)


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_a_file_gives_the_same_decision(name: str, options: dict, tmp_path: Path) -> None:
    decision = fitted(name, drawn_part(), CLASSES, **options)
    save_fitted(decision.state(), tmp_path, stem="decision")
    again = restore_decision(load_fitted(tmp_path, stem="decision"))
    assert (again.settings, again.classes, again.chosen) == (
        decision.settings,
        decision.classes,
        decision.chosen,
    )
    np.testing.assert_array_equal(again.scores(ASKED), decision.scores(ASKED))
