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

EXACT_TO = 64  # side in pixels up to which structural similarity is computed for all pairs
SHORTLIST = 50  # nearest images whose structural similarity is computed for larger ones


def score(settings: SimilaritySettings, part: Part, learned: Mapping[str, Any]) -> NDArray[np.floating]:
    """`(n,)` largest, mean, or mean of the k largest similarities of each query to the generated images.

    Euclidean and Manhattan similarity are minus the distance; the cosine is in [-1, 1]; structural similarity
    of large images is computed with the nearest ones by squared error (`structural`). Distances are computed
    in chunks of queries, so that memory does not grow with their number.

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
    """`(m,)` structural similarity, in [-1, 1], of one image `(side^2,)` with those of `(n, side^2)`.

    With all of them for images up to 64 x 64 or `rule=mean`, else with the nearest ones by squared error:
    that of 4,000 x 10,000 pairs of 256 x 256 would take weeks.
    Source: Wang et al. 2004, with a uniform 7 x 7 window (smaller for smaller images), for pixels in [0, 1].
    """
    from skimage.metrics import structural_similarity

    side = math.isqrt(image.size)
    nearest = settings.ssim_nearest
    if nearest is None and side > EXACT_TO and settings.rule != "mean":
        nearest = SHORTLIST
    if nearest is not None and nearest < len(made):
        away = pairwise_distances(image[None], made)[0]
        made = made[np.argpartition(away, nearest - 1)[:nearest]]
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
