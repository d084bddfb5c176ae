"""Distance from a real image to the generated images of the same part, in embedding space.

The papers do not describe how the Siamese network decides `usage`; the rules here are our interpretation.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fingerprints.decisions.contract import Embeddings, Fitting, Part
from fingerprints.decisions.distances import distance_to_set
from fingerprints.decisions.scores.needed import needed, needed_reference
from fingerprints.decisions.scores.settings import DistanceSettings

REFERENCES = "references"


def learn(settings: DistanceSettings, fitting: Fitting) -> dict[str, Embeddings]:
    """The images of `scaled_by`: real training images, or the reference; otherwise an array `(0, 0)`."""
    if settings.scaled_by == "training":
        return {REFERENCES: fitting.part.real.embeddings}
    if settings.scaled_by == "reference":
        return {REFERENCES: needed_reference(fitting)}
    return {REFERENCES: np.empty((0, 0), np.float32)}


def score(settings: DistanceSettings, part: Part, learned: Mapping[str, Embeddings]) -> NDArray[np.floating]:
    """`(n,)` closeness of each query to the generated images of its part.

    The raw score is minus the distance to the generated set; that of the nearest image is the full black-box
    attack of GAN-Leaks (Chen et al. 2020, arXiv 1909.03935).

    `scaled_by=reference` is its calibrated attack (section 4.4): the distance to the reference set is
    subtracted, by the same rule, since an image that is near everything is near the generated images, too. In
    the paper the reference set are images of a second generator; real images are our reading, and images of a
    second generator can be given as `data.reference`.

    `scaled_by=training` is ours: local scaling (Zelnik-Manor and Perona 2004, section 2.1) divides each
    distance by the geometric mean of the distances from its two images to their nearest real training images,
    and the score is minus the log. A generated image near a real image counts as evidence only if they are
    closer to each other than to other real images.

    Scores are standardised by the scores of the generated images against the other generated images, so that
    scores and thresholds of different generators can be compared. Within a part the order stays the same.

    Raises:
        FingerprintsError: If there are fewer than 2 generated images.
    """
    generated, references = part.references.embeddings, learned[REFERENCES]
    needed(generated, least=2, kind="generated")
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
    if settings.scaled_by != "training":
        near = distance_to_set(queries, generated, nearest=nearest, leave_one_out=leave_one_out)
        return distance_to_set(queries, references, nearest=nearest) - near if len(references) else -near
    of_queries, of_generated = (
        np.sqrt(np.maximum(distance_to_set(side, references, nearest=settings.reference_k), 1e-6))
        for side in (queries, generated)
    )
    scaled = distance_to_set(
        queries, generated, nearest=nearest, leave_one_out=leave_one_out, scales=of_generated
    )
    return -np.log(np.maximum(scaled / of_queries, 1e-6))
