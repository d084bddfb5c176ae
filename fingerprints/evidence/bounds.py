"""Exact bounds for figures that do not change under resampling.

A score of 1 stays 1 in every resample, so that a percentile interval would claim certainty. These
bounds state instead how bad a detector may be that made no error on these images.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import beta

from fingerprints.evidence.metrics import FloatArray, IntArray

LEVEL = 0.95


def clopper_pearson(*, successes: float, trials: float, level: float = LEVEL) -> tuple[float, float]:
    """Exact two-sided interval for a proportion (Clopper and Pearson 1934).

    `trials` may be fractional (an effective number); without any trial the interval is (0, 1).
    """
    tail = (1 - level) / 2
    low = 0.0 if successes <= 0 else float(beta.ppf(tail, successes, trials - successes + 1))
    high = 1.0 if successes >= trials else float(beta.ppf(1 - tail, successes + 1, trials - successes))
    return low, high


def effective_count(groups: IntArray) -> float:
    """How many equal groups the images are worth (Kish 1965): (sum of sizes)^2 / sum of squares.

    This is the number of groups if all have the same size, and near 1 if one group has nearly all images.
    Without images it is 0.
    """
    sizes = np.bincount(groups).astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if groups.size else 0.0


def disjoint_pairs_bound(*, pairs: list[float], level: float = LEVEL) -> float:
    """Lower bound of an AUC of 1, macro-averaged over classes.

    For class c, `pairs[c]` independent pairs of one positive and one negative can be formed without using
    a group twice. Each pair is a trial that succeeds with probability AUC, and all succeeded: this gives
    the Clopper-Pearson bound. With several classes the error level is divided among them (Bonferroni).
    """
    shared = 1 - (1 - level) / len(pairs)
    lows = [clopper_pearson(successes=count, trials=count, level=shared)[0] for count in pairs]
    return sum(lows) / len(lows)


def adverse_tables(*, table: FloatArray, errors: float) -> FloatArray:
    """Tables that result from a perfect one if a weight of `errors` images were wrong.

    For every ordered pair of classes (i, j) the errors are taken from class i until it is empty, then
    from the other classes, smallest first. They are predicted as j (those of class j as i). Concentrated
    errors lower recall and kappa most. Precision and F1 fall more if a small class both loses and gains
    images, and mutual information falls more if errors are spread. Therefore mixtures of these tables
    are included: mixtures of two in steps of an eighth, and mixtures of all with random weights (the
    same in every call). This is a search, not a proof: it may miss the worst case by some thousandths.

    Args:
        table: Shape (C, K), at most one cell above 0 in each row and column.
        errors: Weight of wrong images, at most the table's sum.

    Returns:
        Shape (tables, C, K); no table if only one class has images.
    """
    support = table.sum(axis=1)
    home = table.argmax(axis=1)
    present = [int(row) for row in np.flatnonzero(support)]
    tables = []
    for first in present:
        for target in present:
            if target == first:
                continue
            changed, left = table.copy(), errors
            rest = sorted((row for row in present if row != first), key=lambda row: float(support[row]))
            for row in [first, *rest]:
                moved = min(left, float(support[row]))
                changed[row, home[row]] -= moved
                changed[row, home[first if row == target else target]] += moved
                left -= moved
            tables.append(changed)
    corners = np.array(tables).reshape(-1, *table.shape)
    one, other = np.triu_indices(len(corners))
    # Up to five classes: all pairs of tables. More classes: a fixed choice, since memory grows with C^6.
    step = max(1, len(one) // 210)
    one, other = one[::step], other[::step]
    share = np.linspace(0, 1, 9)[:, None, None, None]
    pairs = (share * corners[one] + (1 - share) * corners[other]).reshape(-1, *table.shape)
    if len(corners) == 0:
        return pairs
    rng = np.random.default_rng(0)
    mixtures = np.concatenate([rng.dirichlet(np.full(len(corners), spread), 1000) for spread in (0.3, 2, 50)])
    return np.concatenate([pairs, np.tensordot(mixtures, corners, axes=1)])
