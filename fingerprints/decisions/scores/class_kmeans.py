"""Nearest centre of the used and of the unused real training images (Biomedical Imaging Goa [O24]).

No generated image enters: what it finds is what distinguishes used from unused images before any generator.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin_min

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Embeddings, Fitting, Part
from fingerprints.decisions.scores.settings import ClassKMeansSettings


def learn(settings: ClassKMeansSettings, fitting: Fitting) -> dict[str, Embeddings]:
    """`(k, d)` centres of the real training images of each label, by k-means.

    Raises:
        FingerprintsError: If a label has fewer images than centres.
    """
    real, centres = fitting.part.real, {}
    for label in (USED, NOT_USED):
        own = real.embeddings[real.labels == label]
        which = f"training images labelled {label}, fewer than {settings.k} centres"
        found = fitted_kmeans(own, settings.k, which=which, seed=fitting.seed)
        centres[label] = found.cluster_centers_.astype(np.float32)
    return centres


def fitted_kmeans(images: Embeddings, k: int, *, which: str, seed: int) -> KMeans:
    """k-means of images `(n, d)`.

    Raises:
        FingerprintsError: If there are fewer than k; `which` says of which images there are too few for what.
    """
    if len(images) < k:
        raise FingerprintsError(
            f"There are {len(images)} {which}.",
            where="decision.k",
            fix=f"decision.k={max(1, len(images))}, or more images",
        )
    return KMeans(k, n_init=10, random_state=seed).fit(images)


def score(
    settings: ClassKMeansSettings, part: Part, learned: Mapping[str, Embeddings]
) -> NDArray[np.floating]:
    """`(n,)` Manhattan distance to the nearest unused centre minus that to the nearest used one."""
    return margin(part.queries.embeddings, learned, metric="manhattan")


def margin(own: Embeddings, centres: Mapping[str, Embeddings], *, metric: str) -> NDArray[np.floating]:
    """`(n,)` distance of images `(n, d)` to the nearest centre of `not_used` minus that of `used`."""
    to_unused, to_used = (
        pairwise_distances_argmin_min(own, centres[label], metric=metric)[1] for label in (NOT_USED, USED)
    )
    return to_unused - to_used
