"""Intervals of proportions, and bounds of figures that are 0 or 1.

A figure of 1 stays 1 without any of the groups, so that its spread cannot be seen. The bounds state instead
how bad a detector may be that made no error on these images.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import beta, binom, t

from fingerprints.evidence.metrics import BoolArray, FloatArray, IntArray

LEVEL = 0.95
_UPPER = (1 + LEVEL) / 2


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
    return _kish(np.bincount(groups).astype(np.float64)) if groups.size else 0.0


def _kish(sizes: FloatArray) -> float:
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def jackknife_half(without: FloatArray) -> float:
    """Half of the width of a 95 % interval, from a figure without each of B blocks of groups (Tukey 1958).

    Student's t with B - 1 degrees of freedom times the jackknife's standard error.
    """
    count = len(without)
    error = np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum())
    return float(t.ppf(_UPPER, count - 1) * error)


def jackknife_interval(value: float, without: FloatArray, *, signed: bool = False) -> tuple[float, float]:
    """Interval of a figure in (0, 1), or in (-1, 1) if `signed`, on a scale without bounds (logit; atanh)."""
    half = jackknife_half(without)
    if signed:
        middle, slope = np.arctanh(value), 1 - value**2
        return float(np.tanh(middle - half / slope)), float(np.tanh(middle + half / slope))
    middle, slope = logit(value), value * (1 - value)
    return float(expit(middle - half / slope)), float(expit(middle + half / slope))


def proportion_interval(*, hits: FloatArray, sizes: FloatArray) -> tuple[float, float]:
    """Interval of a proportion of images that come in groups (Korn and Graubard 1998).

    Clopper and Pearson's interval for an effective number of images, n* = v (1 - v) / SE^2, times (t_{n-1} /
    t_{G-1})^2 for the few groups that SE comes from. Where few groups have errors, SE says little about how
    errors cluster: with e such groups (or e with a hit, if these are fewer), n* is the harmonic mean of
    itself, with weight e^2 / (e^2 + 1), and the effective number of groups [ours]. No error counts as e = 1.

    Args:
        hits: Images that count, of each of G groups, at least 2.
        sizes: All images of each group, above 0.
    """
    total, groups = float(sizes.sum()), len(sizes)
    value = float(hits.sum()) / total
    few = (t.ppf(_UPPER, total - 1) / t.ppf(_UPPER, groups - 1)) ** 2
    variance = groups / (groups - 1) * float(((hits - value * sizes) ** 2).sum()) / total**2
    seen = min(value * (1 - value) / variance, total) * few if variance > 0 else total * few
    apart = min(_kish(sizes), seen)
    erring = max(1, min(int((hits < sizes).sum()), int((hits > 0).sum())))
    trust = erring**2 / (erring**2 + 1)
    trials = 1 / (trust / seen + (1 - trust) / apart)
    return clopper_pearson(successes=value * trials, trials=trials)


def tail_ranks(*, effective: float, count: int, fpr: float) -> tuple[int | None, int]:
    """Numbers of false positives between which the true threshold of a false positive rate lies (95 %).

    Of m non-members, Bin(m, fpr) lie above that threshold. So it is, with 95 % certainty, so high that only
    `least` of them are above it, or so low that `most` are.

    Args:
        effective: Effective number of non-members, at most `count`: groups, not images.
        count: Non-members.
        fpr: The rate, in (0, 1).

    Returns:
        `least`, `None` if the threshold may be above all of them (fewer than 368 for 1 %), and `most`.
    """
    m = max(1, round(effective))
    low, high = binom.ppf([1 - _UPPER, _UPPER], m, fpr)
    scale = count / m
    return (None if low == 0 else int(scale * low) - 1), int(np.ceil(scale * high))


def rate_limits(
    *, positive: BoolArray, scores: NDArray[Any], groups: IntArray, rates: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Pointwise 95 % limits of the true positive rate at true false positive rates, by order statistics.

    The threshold lies between two order statistics of the non-members (`tail_ranks`), at both of which the
    share of members above has an interval (`proportion_interval`). Groups are counted, not images.

    Args:
        positive: (n,) whether an image is a member.
        scores: (n,) higher is more likely a member.
        groups: (n,) group of each image, numbered from 0.
        rates: (k,) false positive rates, in (0, 1].

    Returns:
        Lower and upper limits, each of shape (k,), in [0, 1]; 0 and 1 where nothing is known.
    """
    own = np.unique(groups[positive], return_inverse=True)[1]
    others = np.sort(scores[~positive])[::-1]
    if own.max(initial=0) < 1 or not len(others):
        return np.zeros(len(rates)), np.ones(len(rates))
    sizes, effective = np.bincount(own).astype(np.float64), effective_count(groups[~positive])

    @cache
    def above(allowed: int) -> tuple[float, float]:
        """Interval of the share of members above all but that many non-members."""
        threshold = others[allowed] if allowed < len(others) else -np.inf
        hits = np.bincount(own, weights=scores[positive] > threshold).astype(np.float64)
        return proportion_interval(hits=hits, sizes=sizes)

    ranks = [tail_ranks(effective=effective, count=len(others), fpr=float(rate)) for rate in rates]
    low = [0.0 if least is None else above(least)[0] for least, _ in ranks]
    return np.array(low), np.array([above(most)[1] for _, most in ranks])


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
