"""What a score needs before it answers: images, and memory."""

from __future__ import annotations

import numpy as np

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.memory import require_memory
from fingerprints.decisions.contract import Embeddings, Fitting


def needed_reference(fitting: Fitting, *, least: int = 1) -> Embeddings:
    """`(m, d)` the reference images that a score may learn from.

    Raises:
        FingerprintsError: If there are fewer than `least`.
    """
    images = np.empty((0, 0), np.float32) if fitting.reference is None else fitting.reference.embeddings
    return needed(images, least=least, kind="reference")


def needed(images: Embeddings, *, least: int, kind: str) -> Embeddings:
    """The images `(n, d)`, if there are at least `least`.

    Raises:
        FingerprintsError: If there are fewer; `kind` says of which images.
    """
    if len(images) >= least:
        return images
    fix = "give more images of this generator"
    if kind == "reference":
        fix = "give more real images that no generator was trained on: data.reference=DIR"
    raise FingerprintsError(
        f"The score needs at least {least} {kind} image(s); there are {len(images)}.",
        where=f"{kind} images",
        fix=fix,
    )


def require_pairs(decision: str, real: int, generated: int) -> None:
    """Refuse two numbers (float32) for each pair of images, if there is not enough memory for them.

    Raises:
        FingerprintsError: If there is not.
    """
    require_memory(
        2 * 4 * real * generated,
        purpose=f"decision={decision} on {real:,} x {generated:,} images",
        where="decision",
        fix="use fewer generated images",
    )
