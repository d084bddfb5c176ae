"""Exact bounds by hand, and against a search by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from fingerprints.core.tasks import TASKS
from fingerprints.evidence.bounds import (
    adverse_tables,
    clopper_pearson,
    disjoint_pairs_bound,
    effective_count,
)
from fingerprints.evidence.intervals import table_figures

SUBSET, THREE = TASKS["subset"], ("t1", "t2", "t3")


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
