"""Features that no decision can use, refused before any work is done."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError, listing


def check_features(
    embeddings: NDArray[np.floating],
    names: Sequence[str] | None = None,
    *,
    where: str = "embeddings",
    constant: bool = False,
) -> None:
    """Refuse embeddings that are not numbers, or that are the same for every image.

    Features that are constant are fine as long as some vary. One image, or none, has nothing to vary
    against and is fine.

    Args:
        embeddings: `(n, *feature_shape)`.
        names: n names of the images; their positions (from 0) where nobody knows names.
        where: What the error calls the embeddings.
        constant: Whether they may all be the same.

    Raises:
        FingerprintsError: If a feature is NaN or infinite (names the images), or all are constant.
    """
    flat = embeddings.reshape(len(embeddings), math.prod(embeddings.shape[1:]))
    # The sum of a row is finite exactly if all of it is, short of an overflow: no mask of n x d cells.
    with np.errstate(over="ignore", invalid="ignore"):
        suspects = np.flatnonzero(~np.isfinite(flat.sum(axis=1, dtype=np.float64)))
    bad = [i for i in suspects.tolist() if not np.isfinite(flat[i]).all()]
    if bad:
        called = [f"number {i}" if names is None else names[i] for i in bad]
        raise FingerprintsError(
            f"{len(bad)} of {len(flat)} images have features that are NaN or infinite:\n{listing(called)}",
            where=where,
            fix="look at these images; if they are sound, the encoder's weights or precision are not"
            " (trainer.precision=32-true)",
        )
    if not constant and len(flat) > 1 and (flat == flat[0]).all():
        raise FingerprintsError(
            f"All {len(flat)} images have the same features ({flat.shape[1]} constants).",
            where=where,
            fix="look for a collapsed encoder, or a filter or region that leaves nothing of the images",
        )
