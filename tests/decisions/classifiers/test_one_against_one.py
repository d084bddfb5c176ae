from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import rbf_kernel

from fingerprints.decisions.classifiers.one_against_one import Kernel, against_rest, class_weights

RNG = np.random.default_rng(0)


def test_kernels() -> None:
    left, right = RNG.normal(size=(5, 3)), RNG.normal(size=(4, 3))
    np.testing.assert_allclose(Kernel("linear", 1.0)(left, right), left @ right.T)
    np.testing.assert_allclose(Kernel("rbf", 0.3)(left, right), rbf_kernel(left, right, gamma=0.3))
    np.testing.assert_allclose(Kernel("rbf", 0.3)(left, left), rbf_kernel(left, left, gamma=0.3))


def test_weights_of_classes() -> None:
    codes = np.array([0, 0, 0, 1])
    assert class_weights(codes, classes=2, kind="none").tolist() == [1.0, 1.0]
    assert class_weights(codes, classes=2, kind="balanced") == pytest.approx([4 / 6, 4 / 2])


def test_votes_come_first_and_confidences_decide_ties() -> None:
    # Pairs (0, 1), (0, 2), (1, 2): every class wins once; class 2 by the widest margin.
    cyclic = np.array([[0.1, -3.0, 0.2]])
    scores = against_rest(cyclic, classes=3)
    assert scores.argmax() == 2
    assert np.floor(scores + 0.5).tolist() == [[1.0, 1.0, 1.0]]
    assert against_rest(np.array([[1.0, 1.0, -9.0]]), classes=3).argmax() == 0
