"""Intervals of several figures of the same units, where more than one thing is a sample.

Patients and trained generators are two crossed factors: other patients would give other figures, and so would
the same generator trained again. Each factor has a delete-one jackknife (Tukey 1958). Their half widths are
joined as the root of the sum of squares, each with its own quantile of Student's t (MOVER, Zou and Donner
2008). One t with the degrees of freedom of Satterthwaite (1946) covers only 88 to 95 % with two or three
generators. The variation between generators already has some of that between patients in it, so that the sum
is rather too large: the two-way formula of Cameron, Gelbach and Miller (2011) subtracts that share, but its
variance may then be negative.

The best of several systems was chosen by the figures that are compared. An interval of a difference to it
must hold whichever pair is shown, that is, for all pairs jointly: the quantile is that of the largest |t| of
all pairs (Westfall and Young 1993; with unequal degrees of freedom: Hasler and Hothorn 2008). Comparisons
with the best (Hsu 1996, chapter 4) are narrower, but about the unknown best and not the system in the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm, t

from fingerprints.evidence.bounds import LEVEL
from fingerprints.evidence.metrics import FloatArray

_DRAWS, _BLOCK = 10_000, 500
_NOTHING = 1e-24
"""A variance below this is rounding."""


@dataclass(frozen=True, eq=False)
class Factor:
    """Something of which the units at hand are a sample.

    Attributes:
        name: What its units are, in the plural.
        count: Number of units, at least 2.
        covariance: Of k figures, as far as it comes from this factor, `(k, k)`.
    """

    name: str
    count: int
    covariance: FloatArray

    @classmethod
    def jackknife(cls, name: str, without: FloatArray) -> Factor:
        """The factor from k figures without each of its B units, `(B, k)`."""
        apart = without - without.mean(axis=0)
        return cls(name, len(without), (len(without) - 1) / len(without) * apart.T @ apart)

    def variances(self, contrasts: FloatArray) -> FloatArray:
        """Variances of sums of the figures with these weights: `(m, k)` to `(m,)`."""
        return np.maximum(((contrasts @ self.covariance) * contrasts).sum(axis=1), 0.0)  # rounding


def half_widths(factors: Sequence[Factor], contrasts: FloatArray, *, level: float = LEVEL) -> FloatArray:
    """Half of the width of each interval, `(m,)`; NaN where a figure has no value without some unit, or where
    it is the same without any unit, so that its spread is unknown.

    Args:
        factors: What the intervals cover.
        contrasts: Weights of the figures in each sum, `(m, k)`.
        level: Of one interval.
    """
    squares = np.zeros(len(contrasts))
    for factor in factors:
        squares += t.ppf((1 + level) / 2, factor.count - 1) ** 2 * factor.variances(contrasts)
    return np.sqrt(np.where(_variances(factors, contrasts) > _NOTHING, squares, np.nan))


def p_values(factors: Sequence[Factor], contrasts: FloatArray, values: FloatArray) -> FloatArray:
    """Two-sided p-value of each sum, `(m,)`: 1 minus the level at which its interval ends at 0.

    It is 1 where there is no interval.
    """

    def p_of(contrast: FloatArray, value: float) -> float:
        def past(tail: float) -> float:
            return abs(value) - float(half_widths(factors, contrast[None], level=1 - np.exp(tail))[0])

        if not np.isfinite(past(-1.0)):
            return 1.0
        least = np.log(1e-12)  # 1 - level loses its digits below
        return float(np.exp(brentq(past, least, 0.0))) if past(least) < 0 else 1e-12

    return np.array([p_of(contrast, float(value)) for contrast, value in zip(contrasts, values, strict=True)])


def joint_level(factors: Sequence[Factor], contrasts: FloatArray, *, seed: int = 0) -> float:
    """The level that each interval needs, so that all of them hold jointly with 95 %.

    From normal draws with the correlations of the sums. Sums without an interval are left out.

    Args:
        factors: As in `half_widths`.
        contrasts: All sums whose intervals shall hold jointly, `(m, k)`.
        seed: Seed of the draws.
    """
    variances = _variances(factors, contrasts)
    asked = contrasts[variances > _NOTHING]
    if len(asked) < 2:
        return LEVEL
    there = np.flatnonzero(np.abs(asked).sum(axis=0))
    covariance = np.sum([factor.covariance for factor in factors], axis=0)[np.ix_(there, there)]
    values, vectors = np.linalg.eigh(covariance)
    spread = vectors * np.sqrt(np.maximum(values, 0))  # (k, k), a square root of the covariance
    scaled = asked[:, there] / np.sqrt(variances[variances > _NOTHING])[:, None] @ spread
    rng = np.random.default_rng(seed)
    largest = [
        np.abs(rng.standard_normal((_BLOCK, len(there))) @ scaled.T).max(axis=1)
        for _ in range(_DRAWS // _BLOCK)
    ]
    return float(2 * norm.cdf(np.quantile(np.concatenate(largest), LEVEL)) - 1)


def _variances(factors: Sequence[Factor], contrasts: FloatArray) -> FloatArray:
    return np.asarray(np.sum([factor.variances(contrasts) for factor in factors], axis=0))
