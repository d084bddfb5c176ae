"""Structural similarity of all pairs of two sets of images (Wang et al. 2004)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from fingerprints.decisions.contract import Embeddings

Matrix = NDArray[np.floating]
WINDOW = 7  # side of the uniform window; smaller for smaller images
C1, C2 = 0.01**2, 0.03**2  # constants of the source, for pixels in [0, 1]
PIXELS = 1 << 18  # pixels of `right` that are compared with an image of `left` at a time


def structural_similarities(left: Embeddings, right: Embeddings, *, same: bool = False) -> Matrix:
    """Cell [i, j] is the structural similarity, in [-1, 1], of `left[i]` and `right[j]`.

    The values are those of scikit-image's `structural_similarity`, which takes one pair at a time and
    computes the means and variances of both images anew: this is about seven times as fast.

    Args:
        left: `(n, side^2)`, pixels in [0, 1].
        right: `(m, side^2)`.
        same: `right` is `left`, so that half of the pairs are enough.

    Returns:
        `(n, m)`.
    """
    side = math.isqrt(left[0].size)
    means = _window_means(side)
    out = np.empty((len(left), len(right)), dtype=np.float32)
    for columns in gen_batches(len(right), max(1, PIXELS // side**2)):
        others = _Prepared.of(right[columns], means)
        for row in range(columns.stop if same else len(left)):
            out[row, columns] = _Prepared.of(left[row : row + 1], means).similarity(others, means)
    if same:
        lower = np.tril_indices(len(left), -1)
        out[lower] = out.T[lower]
    return out


@dataclass(frozen=True)
class _Prepared:
    """Images `(n, side, side)` with mean and sample variance of each window, `(n, windows, windows)`."""

    images: Matrix
    mean: Matrix
    variance: Matrix

    @classmethod
    def of(cls, flat: Embeddings, means: Matrix) -> _Prepared:
        side = means.shape[1]
        images = np.asarray(flat, dtype=np.float32).reshape(-1, side, side)
        mean = means @ images @ means.T
        return cls(images, mean, _sample(means @ (images * images) @ means.T - mean * mean, means))

    def similarity(self, others: _Prepared, means: Matrix) -> Matrix:
        """`(m,)` mean similarity of the only image here to each of the others."""
        product = self.mean * others.mean
        covariance = _sample(means @ (self.images * others.images) @ means.T - product, means)
        found = (2 * product + C1) * (2 * covariance + C2)
        found /= (self.mean**2 + others.mean**2 + C1) * (self.variance + others.variance + C2)
        return found.mean(axis=(1, 2))


def _window_means(side: int) -> Matrix:
    """`(windows, side)`: row i averages the pixels i to i + window - 1 of a line."""
    window = min(WINDOW, side if side % 2 else side - 1)
    out = np.zeros((side - window + 1, side), dtype=np.float32)
    for start, row in enumerate(out):
        row[start : start + window] = 1 / window
    return out


def _sample(values: Matrix, means: Matrix) -> Matrix:
    """Sample (co)variance from the mean over the pixels of a window."""
    count = (means.shape[1] - means.shape[0] + 1) ** 2
    return values * (count / (count - 1))
