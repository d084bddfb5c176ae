"""Similarity of a real image to the generated images of its part (Robot, Shitongcao [O24])."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_chunked
from sklearn.utils import gen_batches

from fingerprints.decisions.contract import Embeddings, Part
from fingerprints.decisions.distances import CELLS, euclidean
from fingerprints.decisions.scores.needed import needed
from fingerprints.decisions.scores.settings import SimilaritySettings
from fingerprints.decisions.scores.structural import structural_similarities

EXACT_TO = 64  # side in pixels up to which structural similarity is computed for all pairs
SHORTLIST = 50  # nearest images whose structural similarity is computed for larger ones
BLOCK = 512  # queries at a time


def score(settings: SimilaritySettings, part: Part, learned: Mapping[str, Any]) -> NDArray[np.floating]:
    """`(n,)` largest, mean, or mean of the k largest similarities of each query to the generated images.

    Euclidean and Manhattan similarity are minus the distance; the cosine is in [-1, 1]; structural similarity
    of large images is computed with the nearest ones by squared error (`_structural`). Distances are computed
    in chunks of queries, so that memory does not grow with their number.

    Raises:
        FingerprintsError: If there are no generated images.
    """
    own, made = part.queries.embeddings, part.references.embeddings
    needed(made, least=1, kind="generated")
    if settings.metric == "ssim":
        return _structural(settings, own, made)
    offset = 1.0 if settings.metric == "cosine" else 0.0
    chunks = pairwise_distances_chunked(
        own,
        made,
        metric=settings.metric,
        reduce_func=lambda block, start: _reduced(settings, offset - block),
    )
    return np.concatenate(list(chunks))


def _structural(settings: SimilaritySettings, own: Embeddings, made: Embeddings) -> NDArray[np.floating]:
    """`(n,)` structural similarities, in [-1, 1], of `(n, side^2)` with `(m, side^2)` images, reduced.

    With all of them for images up to 64 x 64 or `rule=mean`, else with the nearest ones by squared error:
    that of 4,000 x 10,000 pairs of 256 x 256 would take days.
    """
    nearest = settings.ssim_nearest
    if nearest is None and made.shape[1] > EXACT_TO**2 and settings.rule != "mean":
        nearest = SHORTLIST
    if nearest is None or nearest >= len(made):
        blocks = (structural_similarities(own[rows], made) for rows in gen_batches(len(own), BLOCK))
        return np.concatenate([_reduced(settings, block) for block in blocks])
    found = []
    for rows in gen_batches(len(own), max(1, CELLS // len(made))):
        near = np.argpartition(euclidean(own[rows], made), nearest - 1, axis=1)[:, :nearest]
        for image, places in zip(own[rows], near, strict=True):
            found.append(_reduced(settings, structural_similarities(image[None], made[places])[0]))
    return np.array(found)


def _reduced(settings: SimilaritySettings, similarities: NDArray[np.floating]) -> NDArray[np.floating]:
    """The largest, the mean, or the mean of the k largest along the last axis."""
    if settings.rule == "mean":
        return similarities.mean(axis=-1)
    count = 1 if settings.rule == "max" else min(settings.k, similarities.shape[-1])
    return np.partition(similarities, -count, axis=-1)[..., -count:].mean(axis=-1)
