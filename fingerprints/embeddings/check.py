"""Refusing features that no decision can use, and warning of networks that give most images the same."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError, listing

log = logging.getLogger(__name__)

SAME = 1e-3  # embeddings that differ by less, relative to the largest value, are called the same


def check_features(
    embeddings: NDArray[np.floating],
    names: Sequence[str] | None = None,
    *,
    where: str = "embeddings",
    constant: bool = False,
) -> None:
    """Refuse embeddings that are NaN or infinite, or that are the same for every image.

    Constant features are accepted if at least one feature varies. With fewer than two images, constant
    features are accepted, too.

    Args:
        embeddings: `(n, *feature_shape)`.
        names: n names of the images; `None`: the error gives their positions (from 0).
        where: The name of the embeddings in an error.
        constant: Whether all images may have the same features.

    Raises:
        FingerprintsError: If a feature is NaN or infinite (the error lists the images), or all are constant.
    """
    flat = embeddings.reshape(len(embeddings), math.prod(embeddings.shape[1:]))
    # Unless it overflows, the sum of a row is finite if all its values are: this needs no n x d mask.
    with np.errstate(over="ignore", invalid="ignore"):
        suspects = np.flatnonzero(~np.isfinite(flat.sum(axis=1, dtype=np.float64)))
    bad = [i for i in suspects.tolist() if not np.isfinite(flat[i]).all()]
    if bad:
        called = [f"number {i}" if names is None else names[i] for i in bad]
        raise FingerprintsError(
            f"{len(bad)} of {len(flat)} images have features that are NaN or infinite:\n{listing(called)}",
            where=where,
            fix="check these images; if they are valid, check the encoder's weights and precision"
            " (trainer.precision=32-true)",
        )
    if not constant and len(flat) > 1 and (flat == flat[0]).all():
        raise FingerprintsError(
            f"All {len(flat)} images have the same features ({flat.shape[1]} constants).",
            where=where,
            fix="check whether the encoder has collapsed, or a filter or region makes all images the same",
        )


def warn_of_collapse(embeddings: NDArray[np.floating], *, title: str) -> None:
    """Log a warning if more than half of the images have the same embedding.

    The loss of a training that diverges late can still fall in most epochs; the last training of a detector
    holds no images out that would show it.

    Args:
        embeddings: `(n, *feature_shape)`.
        title: Name of the training.
    """
    flat = embeddings.reshape(len(embeddings), -1)
    middle, scale = np.median(flat, axis=0), float(np.abs(flat).max(initial=0.0))
    same = np.abs(flat - middle).max(axis=1, initial=0.0) <= SAME * scale
    if same.mean() > 0.5:
        log.warning(
            "%s: the embeddings have collapsed (%d of %d training images have the same one): lower "
            "training.optimiser.lr or trainer.max_epochs, or encoder.final_relu=false",
            title,
            same.sum(),
            len(flat),
        )
