"""Intervals over patients and generators, against formulas, and by how often they hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, studentized_range, t, ttest_1samp

from fingerprints.evidence.factors import Factor, half_widths, joint_level, p_values

PAIR = np.array([[1.0, -1.0]])


def left_out(units):
    """Means of (B, k) values without each of the B units."""
    return (units.sum(axis=0) - units) / (len(units) - 1)


def pairs(k):
    one, other = np.triu_indices(k, k=1)
    return np.eye(k)[one] - np.eye(k)[other]


def test_of_means_the_jackknife_is_the_variance_of_a_mean_and_of_one_factor_students_t():
    values = np.random.default_rng(0).normal(size=(9, 2))
    factor = Factor.jackknife("groups", left_out(values))
    np.testing.assert_allclose(factor.covariance, np.cov(values.T) / 9)
    apart = values[:, 0] - values[:, 1]
    test = ttest_1samp(apart, 0)
    (half,), (p,) = half_widths([factor], PAIR), p_values([factor], PAIR, np.array([apart.mean()]))
    assert half == pytest.approx(test.confidence_interval().high - apart.mean())
    assert p == pytest.approx(test.pvalue, rel=1e-6)


def test_two_factors_join_and_p_is_where_the_interval_ends_at_0():
    rng = np.random.default_rng(1)
    patients, generators = (Factor.jackknife("", left_out(rng.normal(size=(n, 2)))) for n in (12, 3))
    each = [half_widths([factor], PAIR)[0] for factor in (patients, generators)]
    both = [patients, generators]
    assert half_widths(both, PAIR)[0] == pytest.approx(np.hypot(*each))
    (p,) = p_values(both, PAIR, np.array([0.7]))
    assert half_widths(both, PAIR, level=1 - p)[0] == pytest.approx(0.7)
    assert p_values(both, PAIR, np.array([0.0])) == pytest.approx(1)


def test_what_no_unit_changes_has_no_interval():
    factor = Factor.jackknife("groups", np.column_stack([np.zeros(6), np.zeros(6), np.arange(6.0)]))
    halves = half_widths([factor], pairs(3))
    assert np.isnan(halves).tolist() == [True, False, False]
    assert p_values([factor], PAIR @ np.eye(2, 3), np.array([0.3])).tolist() == [1]
    assert joint_level([factor], PAIR @ np.eye(2, 3)) == 0.95


def test_jointly_is_tukeys_range_for_independent_systems_and_no_change_for_two():
    factor = Factor("groups", 10_000, np.eye(6))
    level = joint_level([factor], pairs(6))
    expected = studentized_range.ppf(0.95, 6, np.inf) / np.sqrt(2)
    assert norm.ppf((1 + level) / 2) == pytest.approx(expected, abs=0.05)
    assert joint_level([factor], pairs(6)[:1]) == 0.95
    copies = Factor("groups", 10_000, np.kron(np.eye(2), np.ones((3, 3))))  # three copies of two systems
    assert joint_level([copies], pairs(6)) == pytest.approx(0.95, abs=0.01)


def test_with_generators_that_vary_only_the_interval_over_both_holds():
    rng, hits = np.random.default_rng(2), np.zeros(2)
    for _ in range(400):
        patient, generator = rng.normal(size=(20, 1)), rng.normal(size=(1, 4)) * 0.8
        cells = patient + generator + rng.normal(size=(20, 4))  # a difference of two systems, true mean 0
        factors = [
            Factor.jackknife("", left_out(cells.mean(axis=axis)[:, None])) for axis in (1, 0)
        ]  # patients, generators
        halves = [half_widths(of, np.ones((1, 1)))[0] for of in (factors[:1], factors)]
        hits += abs(cells.mean()) < np.array(halves)
    alone, both = hits / 400
    assert alone < 0.8
    assert both > 0.94


def test_among_equal_systems_differences_to_the_best_hold_jointly():
    rng, alone, jointly, runs, k = np.random.default_rng(3), 0, 0, 100, 8
    for _ in range(runs):
        values = rng.normal(size=(25, 1)) + rng.normal(size=(25, k))
        factor = Factor.jackknife("groups", left_out(values))
        means = values.mean(axis=0)
        contrasts = np.delete(np.eye(k), means.argmax(), axis=0) - np.eye(k)[means.argmax()]
        level = joint_level([factor], pairs(k))
        alone += bool((abs(contrasts @ means) < half_widths([factor], contrasts)).all())
        jointly += bool((abs(contrasts @ means) < half_widths([factor], contrasts, level=level)).all())
    assert alone / runs < 0.75
    assert jointly / runs > 0.92
    assert t.ppf((1 + level) / 2, 24) < 4
