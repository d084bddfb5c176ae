"""Errors of an autoencoder of generated images, compared with those of used and of unused real images [A24].

The autoencoder has seen generated images of the training part only, and no label.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Embeddings, Fitting, Part
from fingerprints.decisions.scores.settings import ReconstructionSettings
from fingerprints.decisions.scores.structural import structural_similarities

Maps = Mapping[str, Embeddings]


def learn(settings: ReconstructionSettings, fitting: Fitting) -> dict[str, Embeddings]:
    """`(d,)` mean error map of the real training images of each label.

    Raises:
        FingerprintsError: If a label has no images.
    """
    real, means = fitting.part.real, {}
    for label in (USED, NOT_USED):
        own = real.embeddings[real.labels == label]
        if not len(own):
            raise FingerprintsError(
                f"There are no training images labelled {label}.",
                where=f"decision={settings.name}",
                fix="add real images of both labels to the training part",
            )
        means[label] = own.mean(axis=0, dtype=np.float64).astype(np.float32)
    return means


def mean_error(settings: ReconstructionSettings, part: Part, learned: Maps) -> NDArray[np.float64]:
    """`(n,)` distance of an image's mean error to that of unused images minus that to that of used images."""
    errors = part.queries.embeddings.mean(axis=1, dtype=np.float64)
    used, unused = (learned[label].mean(dtype=np.float64) for label in (USED, NOT_USED))
    return np.abs(errors - unused) - np.abs(errors - used)


def error_map(settings: ReconstructionSettings, part: Part, learned: Maps) -> NDArray[np.floating]:
    """`(n,)` structural similarity of an error map to the mean map of used images minus that to the other.

    Maps are divided by the range of the two mean maps together, since the constants of the similarity are
    for values of range 1 (ours: the source does not say how it treats the range).
    """
    means = np.stack([learned[USED], learned[NOT_USED]])
    extent = max(float(means.max() - means.min()), 1e-12)
    found = structural_similarities(part.queries.embeddings / extent, means / extent)
    return found[:, 0] - found[:, 1]
