"""Distance to the nearest generated image, calibrated by the distance to the nearest other real image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.contract import Embeddings, Labels, Part
from fingerprints.decisions.distances import distance_to_set, euclidean
from fingerprints.decisions.scores.density_settings import CalibratedNeighbourSettings
from fingerprints.decisions.scores.needed import needed

BLOCK = 512  # images at a time
LEAST = 1e-6  # distance


def score(
    settings: CalibratedNeighbourSettings, part: Part, learned: Mapping[str, Any]
) -> NDArray[np.float64]:
    """`(n,)` how much nearer the nearest generated image is than the nearest real one of another patient.

    An image that is near everything is near the generated images, too. The calibrated attack of GAN-Leaks
    (Chen et al. 2020, arXiv 1909.03935, section 4.4) subtracts the distance to reference images
    (`by=difference`); `by=ratio` is minus the log of the ratio of both distances (compare Meehan et al.
    2020). Here the images asked about are the reference of one another, so that all of them are treated
    alike. Images without groups are all of different patients.

    Raises:
        FingerprintsError: If there are no generated images, or all images are of one patient.
    """
    own, made = part.queries.embeddings, part.references.embeddings
    needed(made, least=1, kind="generated")
    if not len(own):
        return np.empty(0)
    groups = part.queries.groups if len(part.queries.groups) == len(own) else np.arange(len(own)).astype(str)
    if len(np.unique(groups)) == 1:
        raise FingerprintsError(
            "decision=calibrated_neighbour compares images of different patients, and there is only one.",
            where="images asked about",
            fix="ask about images of two or more patients",
        )
    near = distance_to_set(own, made, nearest=1).astype(np.float64)
    other = to_other_groups(own, groups)
    if settings.by == "difference":
        return other - near
    return np.log(np.maximum(other, LEAST)) - np.log(np.maximum(near, LEAST))


def to_other_groups(images: Embeddings, groups: Labels) -> NDArray[np.float64]:
    """`(n,)` distance of each image to the nearest one of another group."""
    code = np.unique(groups, return_inverse=True)[1]
    found = np.empty(len(images))
    for rows in gen_batches(len(images), BLOCK):
        away = euclidean(images[rows], images)
        away[code[rows, None] == code] = np.inf
        found[rows] = away.min(axis=1)
    return found
