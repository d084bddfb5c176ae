"""Clusters of the real training images, each named by its majority (KDE-med-lab [O24])."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Embeddings, Fitting, Part
from fingerprints.decisions.scores.class_kmeans import fitted_kmeans, margin
from fingerprints.decisions.scores.settings import NamedKMeansSettings


def learn(settings: NamedKMeansSettings, fitting: Fitting) -> dict[str, Embeddings]:
    """`(a, d)` centres of the clusters called used and `(b, d)` of those called not used; a + b = `k`.

    k-means of the labelled real training images, without their labels. A cluster is called used if at least
    half of its images are used. The source does not say how its clusters get their names.

    Raises:
        FingerprintsError: If there are fewer labelled images than clusters.
    """
    real = fitting.part.real
    known = np.isin(real.labels, (USED, NOT_USED))
    own, used = real.embeddings[known], real.labels[known] == USED
    which = f"labelled training images, fewer than {settings.k} clusters"
    found = fitted_kmeans(own, settings.k, which=which, seed=fitting.seed)
    share = np.array([used[found.labels_ == number].mean() for number in range(settings.k)])
    centres = found.cluster_centers_.astype(np.float32)
    return {USED: centres[share >= 0.5], NOT_USED: centres[share < 0.5]}


def score(
    settings: NamedKMeansSettings, part: Part, learned: Mapping[str, Embeddings]
) -> NDArray[np.floating]:
    """`(n,)` Euclidean distance to the nearest centre called not used minus that to the nearest called used.

    If all clusters have the same name, every image gets it: all scores are 1 or all are -1.
    """
    own = part.queries.embeddings
    for label, answer in ((USED, -1.0), (NOT_USED, 1.0)):
        if not len(learned[label]):
            return np.full(len(own), answer)
    return margin(own, learned, metric="euclidean")
