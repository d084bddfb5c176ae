"""Exact bounds by hand, and against a search by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binom, binomtest, t

from fingerprints.evidence import metrics
from fingerprints.evidence.bounds import (
    adverse_tables,
    clopper_pearson,
    disjoint_pairs_bound,
    effective_count,
    proportion_interval,
    tail_ranks,
)
from fingerprints.evidence.intervals import estimate_metrics, table_figures
from tests.evidence.parts import SUBSET, THREE, perfect, usage


def test_adverse_tables_bound_every_way_to_err() -> None:
    """Errors of the same weight, strewn in 3000 random ways, never score lower by more than 0.005."""
    rng = np.random.default_rng(0)
    perfect, errors = np.diag([40.0, 25.0, 10.0]), 6.0
    worst = table_figures(
        adverse_tables(table=perfect, errors=errors), task=SUBSET, classes=THREE, clusters=False
    )
    off = np.argwhere(~np.eye(3, dtype=bool))
    strewn = []
    for concentration in np.repeat([0.1, 0.5, 5.0], 1000):
        table = perfect.copy()
        for (row, column), share in zip(off, rng.dirichlet(np.full(6, concentration)), strict=True):
            table[row, row] -= errors * share
            table[row, column] += errors * share
        strewn.append(table)
    for name, values in table_figures(np.array(strewn), task=SUBSET, classes=THREE, clusters=False).items():
        assert worst[name].min() <= values.min() + 0.005, name
    assert worst["accuracy"] == pytest.approx(69 / 75)


def test_bounds_by_hand() -> None:
    low, high = clopper_pearson(successes=8, trials=10)
    exact = binomtest(8, 10).proportion_ci(method="exact")
    assert (low, high) == pytest.approx((exact.low, exact.high))
    assert clopper_pearson(successes=0, trials=0) == (0.0, 1.0)
    assert effective_count(np.repeat(np.arange(7), 4)) == pytest.approx(7)
    assert effective_count(np.r_[np.zeros(1000, dtype=np.int64), 1, 2]) < 1.01
    assert disjoint_pairs_bound(pairs=[12.0]) == pytest.approx(0.025 ** (1 / 12))


@pytest.mark.parametrize("trials", [1, 2, 9])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_of_proportions_agree_with_scipy(trials: int, level: float) -> None:
    for successes in range(trials + 1):
        exact = binomtest(successes, trials).proportion_ci(level, method="exact")
        found = clopper_pearson(successes=successes, trials=trials, level=level)
        assert found == pytest.approx((exact.low, exact.high)), successes


def test_no_image_is_no_group() -> None:
    assert effective_count(np.empty(0, dtype=np.int64)) == 0


def test_bound_of_several_classes_shares_out_the_error() -> None:
    # Two classes: 2.5 % in all, two sides: 1.25 % each.
    expected = (0.0125 ** (1 / 12) + 0.0125 ** (1 / 20)) / 2
    assert disjoint_pairs_bound(pairs=[12.0, 20.0]) == pytest.approx(expected)


def test_errors_come_from_one_class_as_far_as_it_reaches() -> None:
    # The third column is of class 1 here, and none of class 0 stands in the first.
    table = np.array([[0.0, 3.0, 0.0], [0.0, 0.0, 5.0]])
    found = adverse_tables(table=table, errors=4.0)
    for corner in ([[0, 0, 3], [0, 1, 4]], [[0, 3, 0], [0, 4, 1]]):
        assert (np.abs(found - np.array(corner)) < 1e-12).all(axis=(1, 2)).any(), corner
    np.testing.assert_allclose(found.sum(axis=2), np.broadcast_to([3.0, 5.0], (len(found), 2)))
    np.testing.assert_allclose(found[:, 0, 2] + found[:, 1, 1], 4)
    assert (found >= 0).all()


def test_classes_after_the_first_err_smallest_first() -> None:
    found = adverse_tables(table=np.diag([2.0, 6.0, 3.0]), errors=4.0)
    # Class 0 called 1; of the two errors left, both are of class 2.
    assert (np.abs(found - np.array([[0, 2, 0], [0, 6, 0], [0, 2, 1]])) < 1e-12).all(axis=(1, 2)).any()


def test_one_class_cannot_be_mistaken_for_another() -> None:
    assert adverse_tables(table=np.diag([5.0, 0.0]), errors=1.0).shape == (0, 2, 2)


def test_korn_graubard_by_hand() -> None:
    """Six groups of 2 images with 1, 2, 1, 2, 0, 2 hits: 8 of 12."""
    errors = np.array([1, 2, 1, 2, 0, 2]) - 2 * 8 / 12
    variance = 6 / 5 * np.sum(errors**2) / 12**2
    effective = 8 / 12 * 4 / 12 / variance * (t.ppf(0.975, 11) / t.ppf(0.975, 5)) ** 2
    # Three groups err: weight 9 / 10 for what their spread says, 1 / 10 for the number of groups.
    trials = 1 / (0.9 / effective + 0.1 / min(6, effective))
    hits = trials * 8 / 12
    expected = (beta.ppf(0.025, hits, trials - hits + 1), beta.ppf(0.975, hits + 1, trials - hits))
    found = proportion_interval(hits=np.array([1.0, 2, 1, 2, 0, 2]), sizes=np.full(6, 2.0))
    assert found == pytest.approx(expected)


def test_images_that_are_their_own_groups_have_the_exact_interval() -> None:
    for hits in (0, 1, 7, 39, 40):
        exact = binomtest(hits, 40).proportion_ci(method="exact")
        low, high = proportion_interval(hits=(np.arange(40) < hits) * 1.0, sizes=np.ones(40))
        # n / (n - 1) of the variance makes it wider by as little as 1 in 40.
        assert (low, high) == pytest.approx((exact.low, exact.high), abs=0.006), hits
        assert low <= exact.low + 1e-12


def test_images_of_one_mind_count_as_their_group() -> None:
    """20 groups whose 30 images are all right or all wrong: nearly the interval of 20 images."""
    right = np.arange(20) < 12
    low, high = proportion_interval(hits=30.0 * right, sizes=np.full(20, 30.0))
    exact = binomtest(12, 20).proportion_ci(method="exact")
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=0.03)


def test_368_independent_non_members_are_the_least_for_one_percent() -> None:
    assert tail_ranks(effective=367, count=367, fpr=0.01)[0] is None
    assert tail_ranks(effective=368, count=368, fpr=0.01)[0] == 0
    assert tail_ranks(effective=367, count=5000, fpr=0.01)[0] is None


@pytest.mark.parametrize("count", [100, 500, 3000])
def test_true_threshold_lies_between_its_ranks(count: int) -> None:
    """The chance that the number of non-members above it is outside is at most 2.5 % on either side."""
    least, most = tail_ranks(effective=count, count=count, fpr=0.01)
    above = binom(count, 0.01)
    if least is not None:  # at least `least` + 1 are above
        assert above.cdf(least) <= 0.025 < above.cdf(least + 1)
    assert above.sf(most) <= 0.025 < above.sf(most - 1)


def test_ranks_scale_with_images_of_a_group() -> None:
    least, most = tail_ranks(effective=500, count=500, fpr=0.01)
    assert (least, most) == (0, 10)
    assert tail_ranks(effective=500, count=5000, fpr=0.01) == (9, 100)


def test_perfect_scores_have_exact_bounds() -> None:
    evaluation, given = usage(n=40, shift=50)
    low = 0.025 ** (1 / 40)
    assert evaluation.metrics["accuracy"].value == 1
    assert evaluation.metrics["accuracy"].low == pytest.approx(low)
    for name in ("recall_used", "specificity_used", "precision_used", "auc"):
        assert evaluation.metrics[name].low == pytest.approx(0.025 ** (1 / 20)), name
    for name in ("precision", "f1", "kappa", "f1_used", "recall"):
        bound = evaluation.metrics[name].low
        assert bound is not None, name
        assert 0.5 < bound <= low + 1e-12, name
    assert all(estimate.high == 1 for estimate in evaluation.metrics.values() if estimate.value == 1)
    paired = estimate_metrics(**{**given, "groups": (np.arange(40) // 4).astype(str)})
    # Half way, harmonically, from 10 groups to 40 images, of which 0.8 are left by the 9 degrees of freedom.
    images = 40 * (t.ppf(0.975, 39) / t.ppf(0.975, 9)) ** 2
    assert paired.metrics["accuracy"].low == pytest.approx(0.025 ** (0.5 / images + 0.5 / 10))


def test_score_of_zero_has_an_exact_bound() -> None:
    _, given = usage(n=40, shift=50)
    flipped = np.where(given["truth"] == "used", "not_used", "used")
    evaluation = estimate_metrics(**{**given, "predicted": flipped, "scores": -given["scores"]})
    assert evaluation.metrics["accuracy"].to_json()["low"] == 0
    assert evaluation.metrics["accuracy"].high == pytest.approx(1 - 0.025 ** (1 / 40))
    assert evaluation.metrics["auc"].high == pytest.approx(1 - 0.025 ** (1 / 20))


def test_bounds_count_the_images_that_a_figure_is_about() -> None:
    found = perfect(used=30, others=10).metrics
    trials = {"accuracy": 40, "recall_weighted": 40, "recall_used": 30, "specificity_used": 10}
    trials |= {"precision_used": 30, "auc": 10}
    for name, count in trials.items():
        assert (found[name].low, found[name].high) == (pytest.approx(0.025 ** (1 / count)), 1), name
    timid = np.repeat(["used", "not_used"], [12, 28])
    found = perfect(used=30, others=10, predicted=timid).metrics
    assert found["precision_used"].low == pytest.approx(0.025 ** (1 / 12))
    assert found["specificity_used"].low == pytest.approx(0.025 ** (1 / 10))
    wrong = np.repeat(["not_used", "used"], [30, 10])
    found = perfect(used=30, others=10, predicted=wrong).metrics
    trials = {"recall_used": 30, "specificity_used": 10, "precision_used": 10}
    for name, count in trials.items():
        assert (found[name].low, found[name].high) == (0, pytest.approx(1 - 0.025 ** (1 / count))), name
    assert "10 non-members" in str(found["tpr_at_fpr_0.01"].reason)
    reversed_scores = np.repeat([0.0, 1.0], [30, 10])
    auc = perfect(used=30, others=10, scores=reversed_scores).metrics["auc"]
    assert (auc.value, auc.low, auc.high) == (0, 0, pytest.approx(1 - 0.025 ** (1 / 10)))
    found = perfect(used=30, others=120).metrics
    assert found["tpr_at_fpr_0.01"].low == 0
    assert "120 independent ones: one image decides" in str(found["tpr_at_fpr_0.01"].reason)
    found = perfect(used=30, others=368).metrics
    assert found["tpr_at_fpr_0.01"].low == pytest.approx(0.025 ** (1 / 30))
    assert found["tpr_at_fpr_0.01"].reason is None
    pairs = np.r_[np.arange(30), 30 + np.arange(368) // 2].astype(str)
    assert "184 independent" in str(
        perfect(used=30, others=368, groups=pairs).metrics["tpr_at_fpr_0.01"].reason
    )


def test_pairs_are_of_two_groups_each() -> None:
    """Twenty groups with an image of both labels: ten disjoint pairs of groups, not twenty."""
    groups = np.tile(np.arange(20), 2).astype(str)
    found = perfect(used=20, others=20, groups=groups)
    assert found.n_groups == 20
    assert found.metrics["auc"].low == pytest.approx(0.025 ** (1 / 10))


def test_auc_bound_of_three_classes_is_of_their_pairs() -> None:
    truth = np.repeat(THREE, [8, 12, 30])
    scores = (truth[:, None] == np.array(THREE)).astype(float)
    groups = np.arange(50).astype(str)
    evaluation = estimate_metrics(
        task=SUBSET, classes=THREE, truth=truth, predicted=truth, scores=scores, groups=groups, seed=0,
        permutations=19,
    )  # fmt: skip
    expected = np.mean([(0.05 / 3 / 2) ** (1 / pairs) for pairs in (8, 12, 20)])
    assert evaluation.metrics["auc"].low == pytest.approx(expected)


def test_bounds_of_few_images_allow_more_errors_than_hits() -> None:
    """Five images may hide 2.6 errors; answers are not renamed to make the best of them."""
    errors = 5 * (1 - 0.025 ** (1 / 5))
    worst = metrics.from_confusion(np.array([[5 - errors, errors - 2], [2, 0]]))["kappa"]
    assert worst < -0.2
    assert perfect(used=2, others=3).metrics["kappa"].low == pytest.approx(float(worst), abs=0.01)
