"""Logistic regression against scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tests.decisions.classifiers.drawn import ASKED, CLASSES, drawn_part
from tests.decisions.parts import asked, fitted


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_logistic_agrees_with_scikit_learn(standardise: bool, class_weight: Any) -> None:
    own = drawn_part()
    decision = fitted("logistic", own, CLASSES, C=0.3, standardise=standardise, class_weight=class_weight)
    scale = StandardScaler(with_mean=standardise, with_std=standardise).fit(own.real.embeddings.astype(float))
    weight = None if class_weight == "none" else class_weight
    reference = LogisticRegression(C=0.3, max_iter=1000, class_weight=weight)
    reference.fit(scale.transform(own.real.embeddings), own.real.labels)
    expected = reference.predict_proba(scale.transform(ASKED))
    np.testing.assert_allclose(decision.predict(asked(ASKED)).scores, expected, atol=5e-3)
