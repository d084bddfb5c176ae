"""One p-value from several scores, valid where images of a patient are alike.

Westfall and Young 1993, "Resampling-based multiple testing" (section 2.2, single-step min-p), as a conformal
p-value; patients are counted as in Lee, Barber and Willett 2023, "Distribution-free inference with
hierarchical data" (section 3, hierarchical conformal prediction).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fingerprints.evidence.metrics import FloatArray, Labels

CLOSE = 1e-9  # sums of shares that differ by less are equal


def joint_p(
    scores: FloatArray,
    groups: Labels,
    *,
    compared_with: FloatArray,
    compared_groups: Labels,
    weights: FloatArray | None = None,
) -> FloatArray:
    """p-values `(n,)` in (0, 1] of images by d scores, against the images of K other groups.

    A group asked about is joined with the K groups of the reference. Within these K + 1 groups, the tail of
    an image in one score is the sum over all *other* groups of the share of their images with at least its
    score. Its strength is the smallest (1 + tail) / weight over the scores; the mean over the scores, divided
    by K + 1, breaks ties. p is (1 + sum over the K groups of the share of their images that are at least as
    strong) / (K + 1).

    All K + 1 groups are treated alike. p is therefore valid (P(p <= a) <= a) for an image of a group that is
    exchangeable with those of the reference, if images are exchangeable within groups, however images of a
    group and scores depend on one another, and whatever other groups are asked about. If each image is a
    group of its own, it is the min-p over the ranks among the image and the reference.

    Args:
        scores: `(d, n)`, higher is stronger.
        groups: `(n,)` group (patient) of each image.
        compared_with: `(d, m)`.
        compared_groups: `(m,)`; m is at least 1.
        weights: `(d,)` positive numbers; `None`: all equal. A score of twice the weight counts as if its tail
            were half as large.
    """
    reference, code, sizes = _coded(compared_groups)
    count = len(reference)
    share = 1 / sizes[code]
    heavy = np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=np.float64)
    ordered = [np.sort(row) for row in compared_with]
    at_least = [_from_the_top(row, share) for row in compared_with]

    def tails(own: FloatArray) -> FloatArray:
        """`(d, k)` sum over the reference's groups of the share with at least each of the scores `(d, k)`."""
        parts = zip(ordered, own, at_least, strict=True)
        return np.array([total[np.searchsorted(row, asked)] for row, asked, total in parts])

    base = tails(compared_with)
    for rows in _members(code):
        base[:, rows] -= _share_above(compared_with[:, rows], compared_with[:, rows])
    strength = _strength(tails(scores), heavy, count)
    found = np.empty(scores.shape[1])
    for rows in _members(_coded(groups)[1]):
        others = _strength(base + _share_above(scores[:, rows], compared_with), heavy, count)
        order = np.argsort(others)
        sums = np.concatenate([[0.0], np.cumsum(share[order])])
        stronger = np.searchsorted(others[order], strength[rows] + CLOSE, side="right")
        found[rows] = (1 + sums[stronger]) / (count + 1)
    return np.minimum(found, 1.0)


def _coded(groups: Labels) -> tuple[NDArray[np.str_], NDArray[np.int64], NDArray[np.int64]]:
    return np.unique(np.asarray(groups), return_inverse=True, return_counts=True)


def _members(code: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Rows of each group, for groups numbered from 0."""
    order = np.argsort(code, kind="stable")
    yield from np.split(order, np.cumsum(np.bincount(code))[:-1])


def _from_the_top(row: FloatArray, share: FloatArray) -> FloatArray:
    """`(m + 1,)` sum of the shares of the sorted scores from each place on."""
    sums = np.cumsum(share[np.argsort(row)][::-1])[::-1]
    return np.concatenate([sums, [0.0]])


def _share_above(own: FloatArray, others: FloatArray) -> FloatArray:
    """`(d, k)` share of a group's images `(d, g)` with at least each of the scores `(d, k)`."""
    size = own.shape[1]
    if size == 1:
        return (own >= others).astype(np.float64)
    below = [np.searchsorted(np.sort(row), other) for row, other in zip(own, others, strict=True)]
    return 1 - np.array(below) / size


def _strength(tails: FloatArray, weights: FloatArray, count: int) -> FloatArray:
    """`(k,)` from tails `(d, k)`; lower is stronger."""
    ranks = (1 + tails) / weights[:, None]
    return ranks.min(axis=0) + ranks.mean(axis=0) / (count + 1)
