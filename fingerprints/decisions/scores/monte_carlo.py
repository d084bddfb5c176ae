"""Share of the generated images in a small ball around a real image (Hilprecht et al. 2019, PoPETs)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.contract import Images, Part
from fingerprints.decisions.distances import euclidean
from fingerprints.decisions.scores.density_settings import MonteCarloSettings
from fingerprints.decisions.scores.needed import needed, require_pairs

BLOCK = 512  # images at a time
CLOSEST = 1e-6  # smallest distance, as a share of the radius


def score(settings: MonteCarloSettings, part: Part, learned: Mapping[str, Any]) -> NDArray[np.float64]:
    """`(n,)` sum over the generated images within a radius of each query, divided by their number.

    The radius is the median over the queries of the distance to the nearest generated image (median
    heuristic), or a percentile of all distances, as in the source. It depends on all queries together, but on
    no label, and is each part's own.

    Each generated image within the radius counts one, or with `weight=log` minus the log of its distance. We
    divide this distance by the radius: minus the log of a distance above 1 is negative, so that near images
    would count against membership, and the score would depend on the unit of the distances.

    With `member=group` all images of a group get the group's mean (set membership). The source adds up
    sets of one size; the mean is ours, as a sum would call large groups members.

    Raises:
        FingerprintsError: If there are no generated images, groups are wanted but not known, or there is not
            enough memory.
    """
    own, made = part.queries.embeddings, part.references.embeddings
    needed(made, least=1, kind="generated")
    if not len(own):
        return np.empty(0)
    require_pairs(settings.name, len(own), len(made))
    away = np.concatenate([euclidean(own[rows], made) for rows in gen_batches(len(own), BLOCK)])
    radius = _radius(settings, away)
    found = np.concatenate([_counted(settings, away[rows], radius) for rows in gen_batches(len(own), BLOCK)])
    return found if settings.member == "image" else _of_groups(found, part.queries)


def _radius(settings: MonteCarloSettings, away: NDArray[np.float32]) -> float:
    if settings.near == "median":
        return float(np.median(away.min(axis=1)))
    return float(np.percentile(away, settings.percent))


def _counted(settings: MonteCarloSettings, away: NDArray[np.float32], radius: float) -> NDArray[np.float64]:
    """`(n,)` mean count of distances `(n, m)`; those beyond the radius count 0."""
    within = away <= radius
    if settings.weight == "one":
        return within.mean(axis=1)
    share = np.where(within, away / (radius or 1), 1)  # a radius of 0 holds copies only
    return -np.log(np.maximum(share, CLOSEST)).mean(axis=1, dtype=np.float64)


def _of_groups(found: NDArray[np.float64], queries: Images) -> NDArray[np.float64]:
    """The mean over each image's group."""
    if len(queries.groups) != len(found):
        raise FingerprintsError(
            "Set membership needs the group (patient) of each image asked about, and none are known here.",
            where="decision.member=group",
            fix="ask about the images as test part of a training run with data.groups, or train with "
            "decision.member=image",
        )
    number = np.unique(queries.groups, return_inverse=True)[1]
    return (np.bincount(number, found) / np.bincount(number))[number]
