"""Evidence by patient, against counting pairs one by one and against known populations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t
from sklearn.metrics import roc_auc_score

from fingerprints.evidence.multiplicity import benjamini_hochberg
from fingerprints.evidence.patients import (
    auc_by_patient,
    conformal_p,
    evidence_beside_reference,
    patient_evidence,
    roc_band,
)


def drawn(seed: int, n: int = 60, groups: int = 12):
    rng = np.random.default_rng(seed)
    group = np.array([f"p{k}" for k in rng.integers(groups, size=n)])
    positive = rng.random(n) < 0.5
    scores = rng.integers(0, 9, size=n).astype(float) + positive  # with ties
    return positive, scores, group


def slow_auc(positive, scores, group, *, same: bool) -> float:
    won = [
        1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0
        for i in np.flatnonzero(positive)
        for j in np.flatnonzero(~positive)
        if (group[i] == group[j]) == same
    ]
    return float(np.mean(won)) if won else float("nan")


@pytest.mark.parametrize("seed", range(3))
def test_auc_within_and_between_against_counting_pairs(seed):
    positive, scores, group = drawn(seed)
    for same, found in zip(
        (True, False), auc_by_patient(positive=positive, scores=scores, groups=group), strict=True
    ):
        value = slow_auc(positive, scores, group, same=same)
        assert found.value == pytest.approx(value)
        mixed = [g for g in np.unique(group) if len(set(positive[group == g])) == 2]
        left_out = mixed if same else list(np.unique(group))
        without = np.array(
            [
                slow_auc(positive[group != g], scores[group != g], group[group != g], same=same)
                for g in left_out
            ]
        )
        count = len(without)
        error = np.sqrt((count - 1) / count * np.sum((without - without.mean()) ** 2))
        wide = (np.log(found.high / (1 - found.high)) - np.log(found.low / (1 - found.low))) / 2
        assert wide == pytest.approx(t.ppf(0.975, count - 1) * error / (value * (1 - value)))
        assert found.low < value < found.high


def test_a_detector_of_patients_and_one_of_images():
    group = np.repeat([f"p{k}" for k in range(20)], 4)
    positive = np.tile([True, True, False, False], 20)
    rng = np.random.default_rng(0)
    images = auc_by_patient(positive=positive, scores=positive + 0.1 * rng.random(80), groups=group)
    assert [one.value for one in images] == [1.0, 1.0]
    assert images[0].low is None
    assert "spread" in images[0].reason
    own = np.repeat(rng.normal(size=20), 4)  # a score of the patient alone
    within, between = auc_by_patient(positive=positive, scores=own, groups=group)
    assert (within.value, between.value) == (0.5, pytest.approx(0.5))
    pure = np.repeat(np.arange(20) < 10, 4)
    within, between = auc_by_patient(positive=pure, scores=own, groups=group)
    assert within.value is None
    assert within.reason
    assert between.value == pytest.approx(roc_auc_score(pure, own))


def test_conformal_p_by_hand_and_uniform_under_the_null():
    assert conformal_p([5, 2, 0], compared_with=[1, 2, 3]).tolist() == [1 / 4, 3 / 4, 1]
    rng = np.random.default_rng(1)
    low = [conformal_p(rng.normal(size=1), compared_with=rng.normal(size=19))[0] <= 0.05 for _ in range(2000)]
    assert 0.035 < np.mean(low) < 0.065


def test_the_table_of_patients_by_hand():
    group = np.array(["a", "a", "b", "b", "c", "d", "e"])
    truth = np.array(["used", "not_used", "not_used", "not_used", "not_used", "used", "not_used"])
    called = np.array(["used", "not_used", "used", "not_used", "not_used", "not_used", "not_used"])
    scores = np.array([9.0, 1.0, 4.0, 2.0, 3.0, 3.0, 1.0])
    found = patient_evidence(truth=truth, predicted=called, scores=scores, groups=group)
    assert (found.compared_with, found.least_p) == (3, 1 / 4)
    rows = [(one.name, one.images, one.members, one.called, one.highest, one.p) for one in found.patients]
    assert rows == [
        ("a", 2, 1, 1, 9.0, 1 / 4),
        ("d", 1, 1, 0, 3.0, 3 / 4),
        ("b", 2, 0, 1, 4.0, None),
        ("c", 1, 0, 0, 3.0, None),
        ("e", 1, 0, 0, 1.0, None),
    ]
    adjusted = [one.adjusted for one in found.patients[:2]]
    assert adjusted == benjamini_hochberg([1 / 4, 3 / 4]).tolist()
    assert found.to_json()["patients"][0]["name"] == "a"


def test_without_truth_or_without_non_members_nothing_is_claimed():
    group, scores = np.array(["a", "b"]), np.array([1.0, 2.0])
    for label, members in (("", [None, None]), ("used", [1, 1])):
        found = patient_evidence(
            truth=np.array([label] * 2), predicted=np.array(["used"] * 2), scores=scores, groups=group
        )
        assert [one.members for one in found.patients] == members
        assert [one.p for one in found.patients] == [None, None]
        assert found.least_p is None
        assert found.auc_between.value is None
        assert found.auc_between.reason


def test_false_findings_among_patients_stay_rare():
    """No member differs from non-members: any finding is false, and 5 % of runs at most may have one."""
    rng, runs = np.random.default_rng(2), 300
    group = np.repeat([f"p{k}" for k in range(60)], 3)
    truth = np.repeat(np.where(np.arange(60) < 40, "not_used", "used"), 3)
    false = 0
    for _ in range(runs):
        scores = rng.normal(size=180) + np.repeat(rng.normal(size=60), 3)
        found = patient_evidence(truth=truth, predicted=truth, scores=scores, groups=group)
        false += any(one.adjusted is not None and one.adjusted <= 0.05 for one in found.patients)
    assert false / runs <= 0.08


def test_the_band_covers_the_true_curve():
    rng, rates, runs = np.random.default_rng(1), np.array([0.01, 0.05, 0.2, 0.5]), 200
    expected = norm.sf(norm.isf(rates) - 1)
    positive, group = np.arange(300) < 100, np.arange(300).astype(str)
    inside = np.zeros(len(rates))
    for _ in range(runs):
        low, high = roc_band(
            positive=positive, scores=rng.normal(size=300) + positive, groups=group, rates=rates
        )
        assert (low <= high).all()
        inside += (low <= expected) & (expected <= high)
    assert (inside / runs >= 0.94).all()
    assert low[0] == 0  # one of 200 non-members decides
    assert low[2] > 0.1


def test_the_band_counts_patients():
    positive = np.arange(400) < 200
    scores = np.random.default_rng(0).normal(size=400) + positive
    alone, few = (
        roc_band(positive=positive, scores=scores, groups=group, rates=np.array([0.2]))
        for group in (np.arange(400).astype(str), (np.arange(400) // 20).astype(str))
    )
    assert few[0] < alone[0] < alone[1] < few[1]
    nobody = roc_band(
        positive=np.zeros(3, bool), scores=np.ones(3), groups=np.array(["a"] * 3), rates=np.array([0.5, 1.0])
    )
    assert [x.tolist() for x in nobody] == [[0, 0], [1, 1]]


def test_patients_of_whom_nothing_is_known_are_compared_with_those_of_the_reference():
    rng = np.random.default_rng(1)
    scores, groups = rng.random(20), np.array([f"p{k}" for k in rng.integers(5, size=20)])
    others, beside = rng.random(30), np.array([f"p{k}" for k in rng.integers(9, size=30)])  # the same names
    given = {"predicted": np.where(scores > 0.5, "used", "not_used"), "scores": scores, "groups": groups}
    found = evidence_beside_reference(**given, reference_scores=others, reference_groups=beside)
    rival = [others[beside == name].max() for name in np.unique(beside)]
    p = {
        name: (1 + sum(r >= scores[groups == name].max() for r in rival)) / (len(rival) + 1)
        for name in np.unique(groups)
    }
    assert {one.name: one.p for one in found.patients} == pytest.approx(p)
    assert (found.compared_with, found.least_p) == (len(rival), 1 / (len(rival) + 1))
    assert sum(one.called for one in found.patients) == (scores > 0.5).sum()
    unknown = evidence_beside_reference(
        **given, reference_scores=others, reference_groups=np.empty(0, dtype=str)
    )
    assert (unknown.least_p, {one.p for one in unknown.patients}) == (None, {None})
    assert len(unknown.patients) == len(p)
