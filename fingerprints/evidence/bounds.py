"""Exact bounds for the places where the bootstrap is silent.

A score of 1 stays 1 however often the images are resampled, so that a percentile interval would claim
certainty. These bounds say instead how bad the detector may be and still have shown no error.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import beta

from fingerprints.evidence.metrics import FloatArray, IntArray

LEVEL = 0.95


def clopper_pearson(*, successes: float, trials: float, level: float = LEVEL) -> tuple[float, float]:
    """Exact two-sided interval for a proportion (Clopper and Pearson 1934).

    `trials` may be a fraction, an effective number; no trial at all gives (0, 1).
    """
    tail = (1 - level) / 2
    low = 0.0 if successes <= 0 else float(beta.ppf(tail, successes, trials - successes + 1))
    high = 1.0 if successes >= trials else float(beta.ppf(1 - tail, successes + 1, trials - successes))
    return low, high


def effective_count(groups: IntArray) -> float:
    """How many equal groups the images are worth (Kish 1965): (sum of sizes)^2 / sum of squares.

    The number of groups where all have one size, near 1 where one group has nearly all images; 0
    without images.
    """
    sizes = np.bincount(groups).astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if groups.size else 0.0


def disjoint_pairs_bound(*, pairs: list[float], level: float = LEVEL) -> float:
    """Lower bound of an AUC of 1, macro-averaged over classes.

    `pairs[c]` independent pairs can be made of one positive and one negative of class c each, no
    group used twice. Each is a trial that succeeds with probability AUC, and all succeeded:
    Clopper-Pearson. Over several classes the error is shared out (Bonferroni).
    """
    shared = 1 - (1 - level) / len(pairs)
    lows = [clopper_pearson(successes=count, trials=count, level=shared)[0] for count in pairs]
    return sum(lows) / len(lows)


def adverse_tables(*, table: FloatArray, errors: float) -> FloatArray:
    """Tables that a perfect one may stand for if a weight of `errors` images were wrong.

    For every ordered pair of classes (i, j) the errors are taken from class i as far as it reaches,
    then from the other classes, smallest first, and called j (those of class j: i). Concentrated like
    that they do most harm to recall and kappa. Precision and F1 suffer more when a small class both
    loses images and gains strangers, mutual information when errors are strewn about, so that mixtures
    of these tables are there too: of two in steps of an eighth, and of all with weights drawn at
    random (always the same). A search, not a proof: it may miss the worst by some thousandths.

    Args:
        table: Shape (C, K), at most one cell above 0 in each row and column.
        errors: Weight of wrong images, at most the table's sum.

    Returns:
        Shape (tables, C, K); none where only one class has images.
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
    # All pairs of five classes' tables; with more classes a fixed choice, or memory grows with C^6.
    step = max(1, len(one) // 210)
    one, other = one[::step], other[::step]
    share = np.linspace(0, 1, 9)[:, None, None, None]
    pairs = (share * corners[one] + (1 - share) * corners[other]).reshape(-1, *table.shape)
    if len(corners) == 0:
        return pairs
    rng = np.random.default_rng(0)
    mixtures = np.concatenate([rng.dirichlet(np.full(len(corners), spread), 1000) for spread in (0.3, 2, 50)])
    return np.concatenate([pairs, np.tensordot(mixtures, corners, axes=1)])
