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
