"""Similarity of a real image to the generated images of its part (Robot, Shitongcao [O24])."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances, pairwise_distances_chunked

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.contract import Embeddings, Part
from fingerprints.decisions.settings import SimilaritySettings


def score(settings: SimilaritySettings, part: Part, learned: Mapping[str, Any]) -> NDArray[np.floating]:
    """`(n,)` largest, mean, or mean of the k largest similarities of each query to the generated images.

    Euclidean and Manhattan similarity are minus the distance; the cosine is in [-1, 1]; structural similarity
    is computed with the nearest images by squared error, because that of all pairs is out of reach for many
    images. Distances are computed in chunks of queries, so that memory does not grow with their number.

    Raises:
        FingerprintsError: If there are no generated images.
    """
    own, made = part.queries.embeddings, part.references.embeddings
    if not len(made):
        raise FingerprintsError(
            "There are no generated images to compare with.",
            where="generated images of the part",
            fix="add images of this generator",
        )
    if settings.metric == "ssim":
        return np.array([_reduced(settings, structural(settings, image, made)) for image in own])
    offset = 1.0 if settings.metric == "cosine" else 0.0
    chunks = pairwise_distances_chunked(
        own,
        made,
        metric=settings.metric,
        reduce_func=lambda block, start: _reduced(settings, offset - block),
    )
    return np.concatenate(list(chunks))


def structural(settings: SimilaritySettings, image: Embeddings, made: Embeddings) -> NDArray[np.float64]:
    """`(m,)` structural similarity of one image `(side^2,)` with the nearest of `(n, side^2)`, in [-1, 1].

    Source: Wang et al. 2004, with a uniform 7 x 7 window (smaller for smaller images), for pixels in [0, 1].
    """
    from skimage.metrics import structural_similarity

    side = math.isqrt(image.size)
    if settings.ssim_nearest is not None and settings.ssim_nearest < len(made):
        away = pairwise_distances(image[None], made)[0]
        made = made[np.argpartition(away, settings.ssim_nearest - 1)[: settings.ssim_nearest]]
    window = min(7, side if side % 2 else side - 1)
    compare = functools.partial(structural_similarity, data_range=1.0, win_size=window)
    square = image.reshape(side, side)
    return np.array([compare(square, other.reshape(side, side)) for other in made])


def _reduced(settings: SimilaritySettings, similarities: NDArray[np.floating]) -> NDArray[np.floating]:
    """The largest, the mean, or the mean of the k largest along the last axis."""
    if settings.rule == "mean":
        return similarities.mean(axis=-1)
    count = 1 if settings.rule == "max" else min(settings.k, similarities.shape[-1])
    return np.partition(similarities, -count, axis=-1)[..., -count:].mean(axis=-1)
