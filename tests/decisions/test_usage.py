"""A score and a cut as one decision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Calibration, Fitting
from fingerprints.decisions.cuts import best_threshold
from fingerprints.decisions.registry import restore_decision
from fingerprints.decisions.usage import UsageDecision
from tests.decisions.parts import about_real, fitted, images, settings
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


def test_a_cut_at_zero_answers_by_the_sign() -> None:
    by_sign = decision(cut="zero")
    assert by_sign.decide(np.array([-1e-9, 0.0, 1.0])).labels.tolist() == [NOT_USED, USED, USED]
    assert (by_sign.calibrated, by_sign.explain().threshold) == (True, 0.0)


@pytest.mark.parametrize(
    "options",
    [
        {"scaled_by": "training"},
        {"scaled_by": "reference", "cut": "reference"},
        {"cut": "half"},
        {"cut": "zero"},
        {"cut": "fixed", "cut_at": 1.0},
    ],
)
def test_it_comes_back_from_its_state(options) -> None:
    own = decision(**options)
    again = restore_decision(own.state())
    np.testing.assert_array_equal(again.scores(part()), own.scores(part()))
    assert again.settings == own.settings
    assert again.explain() == own.explain()
    assert again.predict(part()).labels.tolist() == own.predict(part()).labels.tolist()


def test_reference_images_are_scored_with_the_others_and_set_the_cut() -> None:
    training, own = part(1), part(2)
    again = restore_decision(decision(cut="reference").state())
    unused = training.queries.embeddings[training.queries.labels == NOT_USED]
    assert again.calibrated
    np.testing.assert_array_equal(again.reference.embeddings, unused)
    highest = again.scores(about_real(images(unused), own.references)).max()
    found = again.predict(own)
    assert found.labels.tolist() == np.where(found.scores > highest, USED, NOT_USED).tolist()
    assert "false alarms 0.0909, not 0.01" in again.explain().source


def test_scores_of_the_reference_come_with_their_patients() -> None:
    own = part(1)
    patients = np.array([f"p{k // 2}" for k in range(len(own.queries))])
    known = replace(own, queries=replace(own.queries, groups=patients))
    fitted_on = UsageDecision.fit(settings("distance", cut="reference"), Fitting(part=known, classes=CLASSES))
    found = restore_decision(fitted_on.state()).predict(part(2)).reference
    unused = own.queries.labels == NOT_USED
    alone = fitted_on.scores(replace(part(2), queries=own.queries.only(unused)))
    np.testing.assert_array_equal(found.scores, alone)
    codes = np.unique(patients[unused], return_inverse=True)[1]
    assert found.groups.tolist() == [
        f"reference {code}" for code in codes
    ]  # names of patients are not stored
    assert len(decision(cut="reference").predict(part(2)).reference.groups) == 0
    assert len(decision(cut="half").predict(part(2)).reference.scores) == 0


def test_members_are_a_reference_for_another_generator_only() -> None:
    own = decision(cut="reference", reference="real")
    assert (len(own.reference), len(own.for_other_generator().reference)) == (10, 20)
    assert own.for_other_generator().explain() != own.explain()
    plain = decision()
    assert plain.for_other_generator() is plain


def test_a_given_reference_comes_first_and_a_missing_one_is_named() -> None:
    given = images(np.zeros((3, 8), np.float32))
    for name, count in [("auto", 3), ("given", 3), ("not_used", 10)]:
        own = settings("distance", cut="reference", reference=name)
        fitting = Fitting(part=part(1), classes=CLASSES, reference=given)
        assert len(UsageDecision.fit(own, fitting).reference) == count
    with pytest.raises(FingerprintsError, match="no reference images"):
        decision(cut="reference", reference="given")
    all_used = about_real(images(np.ones((4, 8), np.float32), [USED] * 4), part().references)
    with pytest.raises(FingerprintsError, match="no unused real images"):
        fitted("distance", all_used, CLASSES, cut="reference")


def test_a_cut_by_rank_says_that_no_error_rate_is_known() -> None:
    assert "ranks only" in decision(cut="half").explain().source
