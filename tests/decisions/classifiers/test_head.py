from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.options import part_of
from fingerprints.decisions.contract import Fitting
from fingerprints.encoders.head import Head
from tests.decisions.parts import answers, asked, settings

HEAD = Head(np.eye(2, 5, dtype=np.float32), np.array([0, 9], np.float32), ("a", "b"))
POINTS = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


def test_answers_are_the_classifiers_own() -> None:
    own = settings("head")
    decision = part_of(own).fit(own, Fitting(asked(POINTS), ("other",), head=HEAD))
    found = answers(decision, POINTS)
    np.testing.assert_allclose(found.scores, POINTS[:, :2] + [0, 9], rtol=1e-6)
    assert set(found.labels) == {"b"}


def test_without_a_trained_classifier_there_is_none() -> None:
    own = settings("head")
    with pytest.raises(ValueError, match="trained classifier"):
        part_of(own).fit(own, Fitting(asked(POINTS), ("a", "b")))
