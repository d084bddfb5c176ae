"""Filters: changes of grey levels, applied to every image before a system uses it.

Each takes `(n, S, S)` uint8 images, processes each image independently, and returns uint8 images of the same
shape; `colorize` returns `(n, 3, S, S)`. They are the preprocessing steps of the ImageCLEFmedical GANs
systems of 2024 (Inoue Koki: binarise, contrast, equalise, Laplacian; Csmorgan: morphological denoising;
Shitongcao: noise; KDElab: a colour map). None of the papers reports its settings, so the defaults are ours.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import exposure
from skimage.filters import threshold_otsu
from skimage.morphology import disk

from fingerprints.core.errors import FingerprintsError, nearest
from fingerprints.core.options import part_of, plain
from fingerprints.images.settings import FilterSettings

Images = NDArray[np.uint8]

# Increase this number when a filter gives other pixels, so that old caches are not read.
FILTER_VERSION = 1
COLOURS = 3  # channels of a coloured image


def unfiltered(images: Images) -> Images:
    """The images, unchanged."""
    return images


def equalize(images: Images) -> Images:
    """Histogram equalisation: each grey level becomes its rank within the image, scaled to [0, 255]."""
    return _each(images, lambda image: _as_bytes(255 * exposure.equalize_hist(image)))


def laplacian(images: Images, *, signed: bool = False) -> Images:
    """Second derivative: the sum of the four neighbours minus four times the pixel. Border pixels repeat.

    Args:
        images: `(n, S, S)`.
        signed: If true, 128 plus half the derivative; if false, its absolute value, clipped at 255.
    """

    def one(image: Images) -> Images:
        derivative = ndimage.laplace(image.astype(np.float32), mode="nearest")
        return _as_bytes(128 + derivative / 2 if signed else np.abs(derivative))

    return _each(images, one)


def binarize(images: Images, *, threshold: int | None = None) -> Images:
    """255 where a pixel is above the threshold, else 0.

    Args:
        images: `(n, S, S)`.
        threshold: Grey level; `None`: computed for each image (Otsu 1979, A threshold selection method from
            gray-level histograms). A constant image becomes black.
    """
    return _each(images, lambda image: _as_bytes(255.0 * (image > _threshold(image, threshold))))


def contrast(
    images: Images,
    *,
    method: str = "stretch",
    low: float = 2.0,
    high: float = 98.0,
    clip_limit: float = 0.01,
    tiles: int = 8,
) -> Images:
    """Increase the contrast of the whole image, or tile by tile.

    Args:
        images: `(n, S, S)`.
        method: `stretch` (two percentiles become 0 and 255) or `clahe` (contrast-limited adaptive
            histogram equalisation, Zuiderveld 1994).
        low: For `stretch`: percentile that becomes 0.
        high: For `stretch`: percentile that becomes 255.
        clip_limit: For `clahe`: largest share of a tile's pixels with one grey level, in (0, 1].
        tiles: For `clahe`: number of tiles along a side.

    Raises:
        FingerprintsError: If there is no such method, or `low` is not below `high`.
    """
    if method not in ("stretch", "clahe"):
        raise FingerprintsError(
            f"Contrast has no method '{method}'.", where="filter.method", fix="use stretch or clahe"
        )
    if not low < high:
        raise FingerprintsError(
            "The low percentile must be below the high one.",
            where=f"filter.low={low}, filter.high={high}",
            fix="for example filter.low=2 filter.high=98",
        )

    def one(image: Images) -> Images:
        if method == "clahe":
            if image.min() == image.max():  # scikit-image divides by the range
                return image
            tile = max(image.shape[-1] // tiles, 1)
            return _as_bytes(
                255 * exposure.equalize_adapthist(image, kernel_size=tile, clip_limit=clip_limit)
            )
        bottom, top = np.percentile(image, (low, high))
        if bottom == top:
            return image
        return _as_bytes((image - bottom) * (255 / (top - bottom)))

    return _each(images, one)


def denoise(images: Images, *, operation: str = "opening", radius: int = 1) -> Images:
    """Grey-level morphology with a disc: it removes small bright (`opening`) or dark (`closing`) spots.

    Args:
        images: `(n, S, S)`.
        operation: `opening`, `closing`, or `both`: an opening, then a closing.
        radius: Radius of the disc, in pixels.

    Raises:
        FingerprintsError: If there is no such operation.
    """
    steps = {
        "opening": (ndimage.grey_opening,),
        "closing": (ndimage.grey_closing,),
        "both": (ndimage.grey_opening, ndimage.grey_closing),
    }
    if operation not in steps:
        raise FingerprintsError(
            f"There is no operation '{operation}'.",
            where="filter.operation",
            fix=f"use one of {', '.join(steps)}",
        )
    footprint = disk(radius)[None]  # a disc within each image; images do not affect each other
    for step in steps[operation]:
        images = step(images, footprint=footprint, mode="reflect")
    return images


def noise(images: Images, *, kind: str = "gaussian", amount: float = 0.05, seed: int = 0) -> Images:
    """Add noise; its seed is computed from the image's pixels, so the same image always gets the same noise.

    Args:
        images: `(n, S, S)`.
        kind: `gaussian` or `salt_pepper`.
        amount: `gaussian`: standard deviation as a share of the full range; `salt_pepper`: share of pixels
            that change, half of them to 0 and half to 255.
        seed: Another seed gives other noise for the same images.

    Raises:
        FingerprintsError: If there is no such kind.
    """
    if kind not in ("gaussian", "salt_pepper"):
        raise FingerprintsError(
            f"There is no noise '{kind}'.", where="filter.kind", fix="use gaussian or salt_pepper"
        )

    def one(image: Images) -> Images:
        content = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        rng = np.random.default_rng([seed, int.from_bytes(content, "little")])
        if kind == "gaussian":
            return _as_bytes(image + 255 * amount * rng.standard_normal(image.shape))
        draws = rng.random(image.shape)
        return np.where(draws < amount / 2, 0, np.where(draws < amount, 255, image)).astype(np.uint8)

    return _each(images, one)


def colorize(images: Images, *, colormap: str = "viridis") -> Images:
    """Convert grey levels to colours: `(n, S, S)` to `(n, 3, S, S)`, in the order red, green, blue.

    Args:
        images: `(n, S, S)`.
        colormap: Name of a matplotlib colour map.

    Raises:
        FingerprintsError: If matplotlib has no such colour map; the error names the most similar one.
    """
    return palette(colormap)[:, images].swapaxes(0, 1)


def palette(colormap: str) -> Images:
    """`(3, 256)` uint8: red, green and blue of each grey level.

    Raises:
        FingerprintsError: If matplotlib has no such colour map.
    """
    from matplotlib import colormaps

    if colormap not in colormaps:
        near = nearest(colormap, colormaps)
        raise FingerprintsError(
            f"There is no colour map '{colormap}'.",
            where="filter.colormap",
            fix=f"did you mean '{near[0]}'?" if near else "use a colour map of matplotlib, such as viridis",
        )
    return np.ascontiguousarray(_as_bytes(255 * colormaps[colormap](np.arange(256))[:, :COLOURS].T))


def make_filter(settings: FilterSettings) -> Callable[[Images], Images]:
    """The filter with these settings; which images it is applied to is left to the caller."""
    options = {key: value for key, value in plain(settings).items() if key not in ("name", "domain")}
    return functools.partial(part_of(settings), **options)


def _each(images: Images, one: Callable[[Images], Images]) -> Images:
    return np.stack([one(image) for image in images]) if len(images) else images


def _as_bytes(values: NDArray[Any]) -> Images:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _threshold(image: Images, threshold: int | None) -> float:
    if threshold is not None:
        return threshold
    return 255.0 if image.min() == image.max() else float(threshold_otsu(image))
