"""Regions: the part of a slice that a system uses [A24, "medically relevant regions"]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fingerprints.core.errors import FingerprintsError

# Increase this number when a region gives other pixels, so that old caches are not read.
REGION_VERSION = 1
REGIONS = ("full", "lung", "outer")

Box = tuple[int, int, int, int]


def restrict(
    images: NDArray[np.uint8], masks: NDArray[np.bool_], *, region: str, crop: bool = True
) -> NDArray[np.uint8]:
    """Images with only the lungs, or with everything but the lungs.

    An image with an empty mask is not changed.

    Args:
        images: `(n, S, S)` or, in colour, `(n, 3, S, S)` uint8.
        masks: `(n, S, S)`, true in the lungs.
        region: `full`: unchanged; `lung`: all other pixels become 0, and the mask's bounding box is stretched
            to `S x S`, which changes the aspect ratio; `outer`: the lungs become 0.
        crop: Whether `lung` is cut to the mask's bounding box; otherwise the lungs stay in place.

    Returns:
        Images of the same shape.

    Raises:
        FingerprintsError: If there is no such region.
    """
    if region not in REGIONS:
        raise FingerprintsError(
            f"There is no region '{region}'.", where="region", fix=f"use one of {', '.join(REGIONS)}"
        )
    if region == "full" or not len(images):
        return images
    return np.stack(
        [_restrict_one(image, mask, region, crop=crop) for image, mask in zip(images, masks, strict=True)]
    )


def mask_box(mask: NDArray[np.bool_]) -> Box:
    """Left, top, right and bottom of a mask that is not empty; right and bottom are exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _restrict_one(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], region: str, *, crop: bool
) -> NDArray[np.uint8]:
    if not mask.any():
        return image
    kept = np.where(mask if region == "lung" else ~mask, image, 0).astype(np.uint8)
    if region == "outer" or not crop:
        return kept
    if kept.ndim == 2:
        return _stretched(kept, mask_box(mask))
    return np.stack([_stretched(channel, mask_box(mask)) for channel in kept])


def _stretched(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Resize a box of an `(S, S)` image to `(S, S)`; the antialiasing triangle filter is that of decoding."""
    height, width = image.shape
    cut = Image.fromarray(image).crop(box)
    return np.asarray(cut.resize((width, height), Image.Resampling.BILINEAR))
