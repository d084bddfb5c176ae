"""Corrections of p-values for multiple comparisons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from fingerprints.evidence.metrics import FloatArray


def holm(p: Sequence[float] | NDArray[np.float64], *, family: int | None = None) -> FloatArray:
    """Step-down adjusted p-values (Holm 1979): the chance of any false finding stays below the level.

    Valid for dependent comparisons too, such as pairs of systems on the same test part.

    Args:
        p: Shape (m,), each in [0, 1].
        family: Number of comparisons that could have been shown, at least m; m by default. Comparisons
            without a given p-value count as the least significant, so that adjusted values are too large
            rather than too small.

    Returns:
        Shape (m,), in the order of `p`, each in [0, 1]. Holm's test rejects where they are at most alpha.

    Raises:
        ValueError: If a p-value lies outside [0, 1] or the family is smaller than m.
    """
    values, size = _checked(p, family)
    order = np.argsort(values, kind="stable")
    factors = size - np.arange(len(values))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * values[order]), 1.0)
    return adjusted


def benjamini_hochberg(p: Sequence[float] | NDArray[np.float64], *, family: int | None = None) -> FloatArray:
    """Step-up adjusted p-values (Benjamini and Hochberg 1995): the expected share of false findings.

    Proven for independent and positively dependent tests; comparisons with one reference mostly are such
    tests. If that is in doubt, use `holm`.

    Args:
        p: Shape (m,), each in [0, 1].
        family: As in `holm`.

    Returns:
        Shape (m,), in the order of `p`, each in [0, 1].

    Raises:
        ValueError: As in `holm`.
    """
    values, size = _checked(p, family)
    others = np.ones(size - len(values))
    return false_discovery_control(np.concatenate([values, others]))[: len(values)]


def _checked(p: Sequence[float] | NDArray[np.float64], family: int | None) -> tuple[FloatArray, int]:
    values = np.asarray(p, dtype=np.float64)
    size = len(values) if family is None else family
    if size < len(values):
        raise ValueError(f"a family of {size} comparisons cannot hold {len(values)} p-values")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p-values lie in [0, 1]")
    return values, size
