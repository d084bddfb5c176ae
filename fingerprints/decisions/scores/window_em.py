"""All candidates explain the generated set together: similarity by windows, then mixture weights by EM.

Images of a leaking generator are noisy near-copies of some training image. "Which real image explains this
generated image best" is therefore sharper than "how near is the nearest generated image".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from sklearn.decomposition import PCA
from sklearn.utils import gen_batches

from fingerprints.decisions.contract import Embeddings, Part
from fingerprints.decisions.scores.needed import needed, require_pairs
from fingerprints.decisions.scores.settings import WindowEMSettings

Matrix = NDArray[np.float32]
FLOOR = 0.1  # share of the largest eigenvalue that is added to each before it scales its component
LEAST_WEIGHT = 1e-6
BLOCK = 512  # images or columns at a time
TINY = 1e-12


def score(settings: WindowEMSettings, part: Part, learned: Mapping[str, Any]) -> NDArray[np.float64]:
    """`(n,)` log of each candidate's weight in a mixture that explains the generated images.

    1. Laplacian of Gaussian of each image `(side, side)`.
    2. In each window: principal components of the generated images, scaled by (e_j / e_1 + 0.1)^(-1/2) with
       eigenvalues e; cosine of each candidate and each generated image.
    3. For each generated image the cosines are standardised over the candidates; mean over the windows;
       standardised again: Z.
    4. EM for the weights w of a mixture in which candidate c has the likelihood exp(sharpness Z[c, g]).

    The score is log(n w + 1e-6): 0 is an average candidate. Weights add up to 1, so that scores say nothing
    without reference images: with a generator that was trained on none of them, some candidates still score
    high.

    Raises:
        FingerprintsError: If there are fewer than 2 generated images, or there is not enough memory.
    """
    candidates, generated = part.queries.embeddings, part.references.embeddings
    needed(generated, least=2, kind="generated")
    if not len(candidates):
        return np.empty(0)
    require_pairs(settings.name, len(candidates), len(generated))
    explained = similarity(settings, edges(candidates, settings.sigma), edges(generated, settings.sigma))
    return np.log(len(candidates) * weights(settings, explained) + LEAST_WEIGHT)


def edges(images: Embeddings, sigma: float) -> Matrix:
    """Laplacian of Gaussian, `(n, side, side)`, of images `(n, side^2)`."""
    side = math.isqrt(images[0].size)
    out = np.empty((len(images), side, side), dtype=np.float32)
    for rows in gen_batches(len(images), BLOCK):
        block = np.asarray(images[rows], dtype=np.float32).reshape(-1, side, side)
        # Not `gaussian_laplace`: it would add a term for the axis of the images.
        out[rows] = sum(
            gaussian_filter(block, (0, sigma, sigma), order=way) for way in ((0, 2, 0), (0, 0, 2))
        )
    return out


def windows(side: int, window: int | None, stride: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of each window; one window if it is as large as the image or larger."""
    if window is None or window >= side:
        yield slice(0, side), slice(0, side)
        return
    starts = range(0, side - window + 1, stride)
    yield from ((slice(y, y + window), slice(x, x + window)) for y in starts for x in starts)


def similarity(settings: WindowEMSettings, candidates: Matrix, generated: Matrix) -> Matrix:
    """Z `(n, m)` of candidates `(n, side, side)` and generated images `(m, side, side)`, window by window."""
    total = np.zeros((len(candidates), len(generated)), dtype=np.float32)
    for rows, columns in windows(candidates.shape[1], settings.window, settings.stride):
        own = candidates[:, rows, columns].reshape(len(candidates), -1)
        made = generated[:, rows, columns].reshape(len(generated), -1)
        count = min(settings.components, made.shape[1], len(made) - 1)
        space = PCA(n_components=count, svd_solver="covariance_eigh").fit(made)
        if space.explained_variance_[0] <= TINY:  # an empty corner
            continue
        scale = (space.explained_variance_ / space.explained_variance_[0] + FLOOR) ** -0.5
        left, right = (_unit(space.transform(side) * scale) for side in (own, made))
        for block in gen_batches(len(right), BLOCK):
            total[:, block] += _standardised(left @ right[block].T)
    for block in gen_batches(len(generated), BLOCK):
        total[:, block] = _standardised(total[:, block])
    return total


def weights(settings: WindowEMSettings, explained: Matrix) -> NDArray[np.float64]:
    """`(n,)` mixture weights, adding up to 1, after some rounds of EM from equal weights; overwrites Z."""
    for block in gen_batches(explained.shape[1], BLOCK):
        part = explained[:, block]
        explained[:, block] = np.exp(settings.sharpness * (part - part.max(axis=0)))
    found = np.full(len(explained), 1 / len(explained))
    for _ in range(settings.rounds):
        shares = (found.astype(np.float32) @ explained).clip(TINY)
        found = found * (explained @ (1 / shares)) / explained.shape[1]
        found /= found.sum()
    return found


def _unit(rows: NDArray[np.floating]) -> Matrix:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(norms, TINY)).astype(np.float32, copy=False)


def _standardised(columns: Matrix) -> Matrix:
    """Mean 0 and standard deviation 1 over the candidates; zero if all are the same."""
    spread = columns.std(axis=0)
    return (columns - columns.mean(axis=0)) / np.where(spread > 1e-7, spread, np.inf)
