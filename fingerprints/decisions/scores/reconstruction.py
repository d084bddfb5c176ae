"""Errors of an autoencoder of generated images, compared with those of used and of unused real images [A24].

The autoencoder has seen generated images of the training part only, and no label.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Embeddings, Fitting, Part
from fingerprints.decisions.scores.settings import ReconstructionSettings

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


def error_map(settings: ReconstructionSettings, part: Part, learned: Maps) -> NDArray[np.float64]:
    """`(n,)` structural similarity of an error map to the mean map of used images minus that to the other.

    Source of the similarity: Wang et al. 2004, with a uniform 7 x 7 window (smaller for smaller maps). Its
    range of values is that of the two mean maps together (ours; the source does not name it).
    """
    from skimage.metrics import structural_similarity

    side = math.isqrt(learned[USED].size)
    # float64: constants of the similarity are squares of the range, which may be tiny.
    used, unused = (learned[label].reshape(side, side).astype(np.float64) for label in (USED, NOT_USED))
    values = np.concatenate([used, unused])
    extent = max(float(values.max() - values.min()), 1e-12)
    window = min(7, side if side % 2 else side - 1)

    def similarity(image: Embeddings, mean: NDArray[np.float64]) -> float:
        square = image.reshape(side, side).astype(np.float64)
        return structural_similarity(square, mean, data_range=extent, win_size=window)

    found = [similarity(image, used) - similarity(image, unused) for image in part.queries.embeddings]
    return np.array(found, dtype=np.float64)
