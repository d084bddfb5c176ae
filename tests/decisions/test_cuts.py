"""Cuts, the learnt one against brute force."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.cuts import above_reference, allowed_alarms, best_threshold, mode, threshold_of
from tests.decisions.parts import settings

ONE = np.float32(1)
ABOVE_ONE = np.nextafter(ONE, np.float32(2))


def kappa(truth: list[str], called: list[str]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = cohen_kappa_score(truth, called)
    return 0.0 if np.isnan(value) else float(value)


numbers = st.floats(-10, 10, width=32, allow_nan=False, allow_subnormal=False)
ties = st.integers(-3, 3).map(float)


@given(st.lists(st.tuples(numbers | ties, st.booleans()), min_size=2, max_size=14))
@example([(float(ONE), False), (float(ABOVE_ONE), True)])
@example([(float(ABOVE_ONE), False), (float(np.nextafter(ABOVE_ONE, np.float32(2))), True)])
@example([(1e9, True), (-1e9, False)])
@example([(3e8, False), (2e8, True)])
@example([(-1e17, True), (0.0, False), (5.0, False)])  # float64 has no number 1 below the lowest score
@example([(0.0, True), (1e17, False)])  # nor 1 above the highest one here
def test_threshold_is_the_best_of_all_cuts(images: list[tuple[float, bool]]) -> None:
    scores = np.array([score for score, _ in images], dtype=np.float32)
    labels = [USED if used else NOT_USED for _, used in images]
    if len(set(labels)) < 2:
        return
    threshold = best_threshold(scores, labels)
    cuts = [*np.unique(scores), np.inf]
    best = max(kappa(labels, np.where(scores >= cut, USED, NOT_USED).tolist()) for cut in cuts)
    called = np.where(scores.astype(np.float64) >= threshold, USED, NOT_USED).tolist()
    assert kappa(labels, called) == pytest.approx(best, abs=1e-9)


def test_threshold_lies_in_the_middle_of_the_widest_gap() -> None:
    assert best_threshold(np.array([0.0, 1.0, 3.0, 4.0]), [NOT_USED, NOT_USED, USED, USED]) == 2.0
    # Two cuts are equally good here: between 0 and 1, and between 4 and 9.
    tied = best_threshold(np.array([0.0, 1.0, 4.0, 9.0]), [NOT_USED, USED, NOT_USED, USED])
    assert tied == 6.5


def test_of_equal_plateaus_the_lowest_counts() -> None:
    # No cut beats chance here: all are called used, by half of the distance 1 that is kept from the scores.
    assert best_threshold(np.array([0.0, 1.0]), [USED, NOT_USED]) == -0.5
    assert best_threshold(np.array([0.0, 1.0, 2.0, 3.0]), [NOT_USED, USED, NOT_USED, USED]) == 0.5


SCORES = np.array([0.0, 0.1, 0.2, 0.3, 5.0], dtype=np.float32)


def test_cuts_that_look_at_the_images_asked_about() -> None:
    assert threshold_of("half", SCORES, known=9.0) == pytest.approx(0.2)
    assert threshold_of("mean", SCORES, known=9.0) == pytest.approx(1.12)
    assert threshold_of("mode", SCORES, known=9.0) == mode(SCORES) < 2
    for cut in ("out_of_fold", "fixed"):
        assert threshold_of(cut, SCORES, known=9.0) == 9.0


def test_mode_is_where_most_scores_are() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(3, 0.1, 500), rng.uniform(-10, 10, 100)])
    assert mode(scores) == pytest.approx(3, abs=0.4)
    assert mode(np.full(5, 2.0)) == 2.0


def test_mode_is_the_middle_of_the_lowest_of_the_fullest_bins() -> None:
    # Three bins from 0 to 10, with two, none and two scores.
    assert mode(np.array([0.0, 0.0, 10.0, 10.0])) == pytest.approx(10 / 6)


def test_a_fixed_cut_has_a_threshold_and_no_other_and_a_reference_cut_has_a_reference() -> None:
    for options, message in [
        ({"cut": "fixed"}, "needs a threshold"),
        ({"cut": "half", "cut_at": 0.5}, "cut=half takes no threshold"),
        ({"cut": "reference", "reference": "none"}, "needs reference images"),
    ]:
        with pytest.raises(FingerprintsError, match=message):
            settings("distance", **options)
    assert settings("distance", cut="fixed", cut_at=0.5).cut_at == 0.5


@pytest.mark.parametrize(("count", "k"), [(5, 1), (98, 1), (99, 1), (198, 1), (199, 2), (200, 2), (999, 10)])
def test_a_reference_cut_lets_one_in_a_hundred_pass(count, k) -> None:
    assert allowed_alarms(count, rate=0.01) == k
    reference = np.random.default_rng(0).permutation(count) / 7
    cut = above_reference(reference, rate=0.01)
    assert (reference >= cut).sum() == k - 1
    assert cut > np.sort(reference)[-k]


def test_exchangeable_images_pass_a_reference_cut_at_the_stated_rate() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(20_000, 41))
    alarms = np.array([row[0] >= above_reference(row[1:], rate=0.1) for row in drawn])
    assert alarms.mean() == pytest.approx(4 / 41, abs=0.006)
