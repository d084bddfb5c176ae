"""Rules on the similarities of all real images asked about, with each other and with the generated ones.

Source: VCMI [V23], and its authors' public script [script] where the paper leaves a step open. A score is the
distance to the rule's threshold: 0 or more is used. The source uses no labels and no reference images.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import euclidean_distances
from sklearn.utils import gen_batches

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.memory import require_memory
from fingerprints.decisions.contract import Embeddings, Part
from fingerprints.decisions.scores.settings import SimilarityMatrixSettings
from fingerprints.decisions.scores.structural import structural_similarities

Matrix = NDArray[np.float32]
Margin = NDArray[np.float64]
BLOCK = 512  # rows or columns at a time
MOST_WORK = 10**12  # pixels times pairs that structural similarity may take: five to eight hours
JUST_BELOW = float(np.nextafter(np.float32(0), np.float32(-1)))


@dataclass(frozen=True)
class Matrices:
    """Similarities, each computed when a rule asks for it. Higher is more similar.

    Attributes:
        metric: `ssim`: structural similarity of pixels in [0, 1]; `mse`: 1 minus the mean squared error.
        own: `(n, d)` real images asked about.
        made: `(m, d)` generated images.
    """

    metric: str
    own: Embeddings
    made: Embeddings

    @functools.cached_property
    def crossed(self) -> Matrix:
        """`(n, m)`: real with generated images."""
        return self._similarities(self.own, self.made)

    @functools.cached_property
    def real(self) -> Matrix:
        """`(n, n)`: real with real images; its diagonal is the mean of the row with its own 1 [script]."""
        return self._among(self.own)

    @functools.cached_property
    def generated(self) -> Matrix:
        """`(m, m)`: as `real`, for the generated images."""
        return self._among(self.made)

    def _similarities(self, left: Embeddings, right: Embeddings, *, same: bool = False) -> Matrix:
        if self.metric == "ssim":
            return structural_similarities(left, right, same=same)
        return (1 - euclidean_distances(left, right, squared=True) / left.shape[1]).astype(np.float32)

    def _among(self, images: Embeddings) -> Matrix:
        found = self._similarities(images, images, same=True)
        np.fill_diagonal(found, 1)
        np.fill_diagonal(found, found.mean(axis=1, dtype=np.float64))
        return found


def tell(settings: SimilarityMatrixSettings, learned: Mapping[str, Any]) -> str:
    """A warning, if the answers depend on the order of the images."""
    if settings.rule not in ("ranking", "ensemble") or settings.places == "rank":
        return ""
    return (
        "by argsort, as in the authors' script: answers depend on the order of the images. In a training "
        "part that is listed label by label they read off the labels, so its figures mean nothing"
    )


def score(settings: SimilarityMatrixSettings, part: Part, learned: Mapping[str, Any]) -> Margin:
    """`(n,)` distance of each query to the threshold of the rule; 0 or more is used.

    Raises:
        FingerprintsError: If there are no generated images or fewer than two queries, or the matrices need
            too much memory or time.
    """
    own, made = part.queries.embeddings, part.references.embeddings
    n, m = len(own), len(made)
    if n < 2 or not m:
        raise FingerprintsError(
            "Similarity matrices need at least 2 real images and a generated one; there are "
            f"{n:,} and {m:,}.",
            where="images of the part",
            fix="add images",
        )
    pairs = n * m + n * n + (m * m if settings.rule == "clustering" else 0)
    require_memory(
        4 * pairs,
        purpose=f"decision=similarity_matrix on {n:,} x {m:,} images",
        where="decision",
        fix="use fewer generated images",
    )
    if settings.metric == "ssim" and pairs * own[0].size > MOST_WORK:
        raise FingerprintsError(
            f"Structural similarity of {pairs:,} pairs of images would take more than five hours.",
            where="decision.metric=ssim",
            fix="encoder.side=64, or fewer generated images",
        )
    return RULES[settings.rule](settings, Matrices(settings.metric, own, made))


def threshold_max(settings: SimilarityMatrixSettings, found: Matrices) -> Margin:
    """Used if the best generated similarity exceeds the highest similarity of any two real images."""
    return _exceeds(_best(found.crossed), float(found.real.max()))


def threshold_avg(settings: SimilarityMatrixSettings, found: Matrices) -> Margin:
    """Used if the best generated similarity exceeds mean + 3 standard deviations of real with real images."""
    return _exceeds(_best(found.crossed), _mean_and_three_sd([found.real]))


def retrieval(settings: SimilarityMatrixSettings, found: Matrices) -> Margin:
    """Used if it is the most similar real image of some generated one; equally similar ones all are [ours].

    The distance is, for the generated image where it is largest, that to the best other real image.
    """
    n, m = found.crossed.shape
    margin = np.full(n, -np.inf)
    for columns in gen_batches(m, BLOCK):
        block = found.crossed[:, columns].astype(np.float64)
        second, best = np.partition(block, (n - 2, n - 1), axis=0)[-2:]
        others = np.where(block == best, second, best)
        margin = np.maximum(margin, (block - others).max(axis=1))
    return margin


def ranking(settings: SimilarityMatrixSettings, found: Matrices) -> Margin:
    """Used if its mean place is better than the middle one.

    The script takes a single `argsort` over the real images for a ranking (`places=argsort`). It gives at
    place i not the rank of image i, but the number of the image that is i-th in the order. So the answer
    depends on the order of the images: where they are sorted by label, it gives the labels away.
    `places=rank` are ranks, which the authors probably meant.

    The source compares with the mean place among real images. That is the middle for any similarities, since
    every row of places is a permutation.
    """
    n, m = found.crossed.shape
    total = np.zeros(n)
    for columns in gen_batches(m, BLOCK):
        block = found.crossed[:, columns]
        if settings.places == "rank":
            places = rankdata(block, axis=0) - 1
        else:
            places = np.argsort(block, axis=0, kind="stable")
        total += places.sum(axis=1)
    return _exceeds(total / m, (n - 1) / 2)


def clustering(settings: SimilarityMatrixSettings, found: Matrices) -> Margin:
    """Used if its highest similarity to any image is at least mean + 3 sd of all images with all images."""
    everything = [found.real, found.crossed, found.crossed, found.generated]
    highest = np.maximum(_best(found.crossed), _best(found.real))
    return highest - _mean_and_three_sd(everything)


def ensemble(settings: SimilarityMatrixSettings, found: Matrices) -> Margin:
    """`ranking`; then `threshold_max` makes images used; then `retrieval` makes images not used.

    As a number: the smaller of `retrieval` and the larger of the two others, each in units of its standard
    deviation [ours].
    """
    first, second, third = (_in_units(rule(settings, found)) for rule in (ranking, threshold_max, retrieval))
    return np.minimum(np.maximum(first, second), third)


RULES: dict[str, Callable[[SimilarityMatrixSettings, Matrices], Margin]] = {
    rule.__name__: rule for rule in (threshold_max, threshold_avg, retrieval, ranking, clustering, ensemble)
}


def _best(matrix: Matrix) -> Margin:
    return matrix.max(axis=1).astype(np.float64)


def _exceeds(values: Margin, threshold: float) -> Margin:
    """Distance to a threshold that must be exceeded: at the threshold, just below 0."""
    margin = values - threshold
    return np.where(margin == 0, JUST_BELOW, margin)


def _in_units(margin: Margin) -> Margin:
    spread = float(margin.std())
    return margin if spread == 0 else np.where(margin == JUST_BELOW, margin, margin / spread)


def _mean_and_three_sd(blocks: list[Matrix]) -> float:
    """Mean + 3 standard deviations of all cells of the blocks."""
    count = sum(block.size for block in blocks)
    mean = sum(float(block.sum(dtype=np.float64)) for block in blocks) / count
    squares = 0.0
    for block in blocks:
        for rows in gen_batches(len(block), BLOCK):
            squares += float(((block[rows].astype(np.float64) - mean) ** 2).sum())
    return mean + 3 * float(np.sqrt(squares / count))
