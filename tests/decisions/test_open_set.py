"""A classifier that may answer "none of these"."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.centroid import CentroidDecision
from fingerprints.decisions.open_set import OpenSetDecision, cut_at

CENTRES = np.array([[0.0, 0.0], [10.0, 0.0]], dtype=np.float32)
INNER = CentroidDecision(CENTRES, ("t1", "t2"))


@pytest.mark.parametrize(("share", "kept"), [(0.95, 19), (1.0, 20), (0.5, 10), (0.01, 1), (0.96, 20)])
def test_the_cut_keeps_the_share(share: float, kept: int) -> None:
    scores = np.random.default_rng(0).normal(size=(20, 3))
    assert (scores.max(axis=1) >= cut_at(scores, share_kept=share)).sum() == kept


@pytest.mark.parametrize(("share", "n"), [(0.0, 3), (1.1, 3), (0.5, 0)])
def test_no_cut_for_nothing(share: float, n: int) -> None:
    with pytest.raises(FingerprintsError, match="No cut keeps"):
        cut_at(np.zeros((n, 2)), share_kept=share)


def test_far_images_are_none_of_these() -> None:
    decision = OpenSetDecision(INNER, cut=-3.0)
    asked = np.array([[1, 0], [9, 0], [5, 0], [0, 40], [3, 0]], dtype=np.float32)
    answers = decision.answer(asked)
    assert answers.labels.tolist() == ["t1", "t2", "none", "none", "t1"]  # the last just reaches the cut
    assert decision.classes == ("t1", "t2", "none")
    np.testing.assert_array_equal(answers.scores[:, :2], INNER.answer(asked).scores)
    np.testing.assert_allclose(answers.scores[:, 2], [-5, -5, -1, 34, -3])
    assert np.array(decision.classes)[answers.scores.argmax(axis=1)].tolist() == answers.labels.tolist()


def test_the_cut_comes_from_validation() -> None:
    validation = np.array([[0, y] for y in range(20)], dtype=np.float32)
    decision = OpenSetDecision.of(INNER, validation)
    assert decision.cut == -18.0
    assert (decision.answer(validation).labels == "none").sum() == 1
    assert OpenSetDecision.of(INNER, validation, share_kept=0.5).cut == -9.0
