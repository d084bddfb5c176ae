"""Distance from a real image to the generated images of the same part, in embedding space.

The papers do not describe how the Siamese network decides `usage`; the rules here are our interpretation.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.contract import Embeddings, Fitting, Part
from fingerprints.decisions.distances import distance_to_set
from fingerprints.decisions.scores.settings import DistanceSettings

REFERENCES = "references"


def learn(settings: DistanceSettings, fitting: Fitting) -> dict[str, Embeddings]:
    """The real training images as references if `scaled_by=training`; otherwise an array `(0, 0)`."""
    none = np.empty((0, 0), np.float32)
    return {REFERENCES: fitting.part.real.embeddings if settings.scaled_by == "training" else none}


def score(settings: DistanceSettings, part: Part, learned: Mapping[str, Embeddings]) -> NDArray[np.floating]:
    """`(n,)` closeness of each query to the generated images of its part.

    The raw score is minus the distance to the generated set. With references, local scaling is applied first
    (Zelnik-Manor and Perona 2004, section 2.1): each distance is divided by the geometric mean of the
    distances from its two images to their nearest references, and the score is minus the log. A generated
    image near a real image counts as evidence only if they are closer to each other than to other real images
    (calibration by a reference set: Chen et al. 2020, arXiv 1909.03935, section 4.4).

    Scores are standardised by the scores of the generated images against the other generated images, so that
    scores and thresholds of different generators can be compared.

    Raises:
        FingerprintsError: If there are fewer than 2 generated images.
    """
    generated, references = part.references.embeddings, learned[REFERENCES]
    if len(generated) < 2:
        raise FingerprintsError(
            f"Distance scores need at least 2 generated images; there are {len(generated)}.",
            where="generated images of the part",
            fix="give more images of this generator",
        )
    raw = _closeness(settings, part.queries.embeddings, generated, references, leave_one_out=False)
    if not settings.standardise:
        return raw
    own = _closeness(settings, generated, generated, references, leave_one_out=True)
    return (raw - own.mean()) / max(float(own.std()), 1e-12)


def _closeness(
    settings: DistanceSettings,
    queries: Embeddings,
    generated: Embeddings,
    references: Embeddings,
    *,
    leave_one_out: bool,
) -> NDArray[np.float32]:
    nearest = {"mean": None, "nearest": 1, "k_nearest": settings.k}[settings.rule]
    if not len(references):
        return -distance_to_set(queries, generated, nearest=nearest, leave_one_out=leave_one_out)
    of_queries, of_generated = (
        np.sqrt(np.maximum(distance_to_set(side, references, nearest=settings.reference_k), 1e-6))
        for side in (queries, generated)
    )
    scaled = distance_to_set(
        queries, generated, nearest=nearest, leave_one_out=leave_one_out, scales=of_generated
    )
    return -np.log(np.maximum(scaled / of_queries, 1e-6))
