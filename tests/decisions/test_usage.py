"""A score and a cut as one decision."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Calibration
from fingerprints.decisions.cuts import best_threshold
from fingerprints.decisions.registry import restore_decision
from tests.decisions.parts import fitted
from tests.decisions.scores.test_distance import part

CLASSES = (NOT_USED, USED)


def decision(**options):
    return fitted("distance", part(1), CLASSES, **options)


def test_before_calibration_nothing_is_used_and_the_decision_says_so() -> None:
    before = decision()
    assert not before.calibrated
    assert set(before.predict(part()).labels) == {NOT_USED}
    assert before.explain().threshold is None


def test_the_learnt_threshold_is_the_best_of_unseen_scores() -> None:
    own = part()
    scores = decision().scores(own)
    after = decision().calibrate(Calibration(scores, own.queries.labels.tolist(), "validation"))
    threshold = best_threshold(scores, own.queries.labels.tolist())
    assert after.calibrated
    assert (after.explain().threshold, after.explain().source) == (threshold, "validation")
    answers = after.predict(own)
    assert answers.labels.tolist() == np.where(scores >= threshold, USED, NOT_USED).tolist()
    np.testing.assert_array_equal(answers.scores, scores)


@pytest.mark.parametrize("n", [2, 7, 10])
def test_half_calls_the_upper_half_of_each_part(n: int) -> None:
    halves = decision(cut="half")
    rng = np.random.default_rng(n)
    for shift in (0, 100):
        scores = rng.permutation(n) + shift
        called = halves.decide(scores).labels
        assert (called == USED).sum() == (n + 1) // 2
        assert scores[called == USED].min() > scores[called == NOT_USED].max()


@pytest.mark.parametrize("cut", ["half", "mean", "mode"])
def test_other_cuts_need_no_calibration_and_ignore_it(cut) -> None:
    own = decision(cut=cut)
    assert own.calibrated
    assert own.calibrate(Calibration(np.arange(4.0), [USED, NOT_USED] * 2, "validation")) is own
    assert set(own.predict(part()).labels) == {USED, NOT_USED}


def test_a_fixed_cut_is_the_number_given() -> None:
    fixed = decision(cut="fixed", cut_at=0.5)
    assert fixed.decide(np.array([0.4, 0.5, 0.6])).labels.tolist() == [NOT_USED, USED, USED]
    assert fixed.explain().threshold == 0.5


@pytest.mark.parametrize(
    "options", [{"reference": "training"}, {"cut": "half"}, {"cut": "fixed", "cut_at": 1.0}]
)
def test_it_comes_back_from_its_state(options) -> None:
    own = decision(**options)
    again = restore_decision(own.state())
    np.testing.assert_array_equal(again.scores(part()), own.scores(part()))
    assert again.settings == own.settings
    assert again.explain() == own.explain()
    assert again.predict(part()).labels.tolist() == own.predict(part()).labels.tolist()
