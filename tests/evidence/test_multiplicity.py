from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from fingerprints.evidence.multiplicity import benjamini_hochberg, holm


def holm_by_steps(p: list[float], family: int) -> list[float]:
    """Holm's test at every level: the adjusted p is the lowest level that rejects."""
    everything = sorted([*p, *[1.0] * (family - len(p))])
    adjusted = []
    for value in p:
        highest = 0.0
        for rank, other in enumerate(everything):
            highest = max(highest, (family - rank) * other)
            if other == value:
                break
        adjusted.append(min(1.0, highest))
    return adjusted


@pytest.mark.parametrize("seed", range(20))
def test_agree_with_the_definitions(seed):
    rng = np.random.default_rng(seed)
    p = rng.choice([0.001, 0.01, 0.01, 0.03, 0.2, 0.9, 1.0], size=6).tolist()
    np.testing.assert_allclose(holm(p), holm_by_steps(p, 6))
    np.testing.assert_allclose(holm(p, family=15), holm_by_steps(p, 15))
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p, method="bh"))
    padded = false_discovery_control([*p, *[1.0] * 9], method="bh")[:6]
    np.testing.assert_allclose(benjamini_hochberg(p, family=15), padded)


def test_holm_keeps_false_findings_rare_and_order_does_not_matter():
    rng = np.random.default_rng(0)
    any_found = [holm(rng.random(8)).min() <= 0.05 for _ in range(2000)]
    assert 0.03 < np.mean(any_found) < 0.065
    p = rng.random(8)
    order = rng.permutation(8)
    np.testing.assert_array_equal(holm(p)[order], holm(p[order]))


def test_nothing_and_nonsense():
    assert holm([]).shape == benjamini_hochberg([], family=3).shape == (0,)
    with pytest.raises(ValueError, match="cannot hold"):
        holm([0.1, 0.2], family=1)
    for bad in (1.2, float("nan")):
        with pytest.raises(ValueError, match="0, 1"):
            benjamini_hochberg([bad])
