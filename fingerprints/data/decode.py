"""Decoding image files to grey pixels, in the same way for training and prediction."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fingerprints.data.picture import open_picture

# Increase this number when decoding gives other pixels, so that old image stores are not read.
DECODER_VERSION = 1

# If a grey image was saved as colour JPEG, its decoded channels differ by a few levels. Channels of drawn
# marks or tinted images differ by more.
_COLOUR_SOMEWHERE, _COLOUR_ON_AVERAGE = 32, 4


class Unusable(ValueError):
    """A file that cannot be used as a grey image.

    Args:
        reason: Why, without any name or value from the file, because reasons are counted and saved.
        detail: More about this file, shown to the user but not saved.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason}: {detail}" if detail else reason)


@dataclass(frozen=True)
class Preprocessing:
    """How files become pixels: grey, 8-bit, square, with sides of `size` pixels."""

    size: int

    def describe(self) -> dict[str, int]:
        """Facts that identify the pixels, for cache keys and run folders."""
        return {**asdict(self), "decoder_version": DECODER_VERSION}


@dataclass(frozen=True)
class Decoded:
    """Pixels `(size, size)` uint8, the file's own width and height, and a digest of the unscaled pixels."""

    pixels: NDArray[np.uint8]
    native_size: tuple[int, int]
    digest: bytes


def decode(path: str | Path, preprocessing: Preprocessing) -> Decoded:
    """Read one image file as grey.

    16-bit grey is scaled to 8 bits (65,535 becomes 255). Colour and palette images become luma (ITU-R 601).
    An alpha channel is dropped: it describes how to show a pixel, not what was measured. Images of another
    size are resampled with an antialiasing triangle filter.

    Raises:
        OSError: If the file is missing, truncated or not an image.
        ValueError: If its mode has no defined range of grey values (32-bit float).
    """
    with open_picture(path) as image:
        grey = _to_grey(image)
    native = np.asarray(grey)
    digest = hashlib.blake2b(native.tobytes(), digest_size=16, key=str(native.shape).encode()).digest()
    if grey.size != (preprocessing.size, preprocessing.size):
        grey = grey.resize((preprocessing.size, preprocessing.size), Image.Resampling.BILINEAR)
    return Decoded(pixels=np.asarray(grey), native_size=grey_size(native), digest=digest)


def read_picture(path: str | Path) -> NDArray[np.uint8]:
    """Read one PNG, JPEG, BMP or TIFF as grey `(H, W)` in its original size; unlike `decode`, refuse colour.

    Raises:
        Unusable: If its channels differ by more than JPEG noise, or it has several pages.
        OSError, ValueError: As `decode`.
    """
    with open_picture(path, formats=("PNG", "JPEG", "BMP", "TIFF")) as image:
        pages = getattr(image, "n_frames", 1)
        if pages > 1:
            raise Unusable("several pages", f"{pages}; save each page as its own file")
        if is_coloured(image):
            raise Unusable("a colour picture", "slices must be grey")
        return np.asarray(_to_grey(image))


def is_coloured(image: Image.Image) -> bool:
    """Whether channels differ by more than the channels of a grey image that was saved as colour JPEG."""
    if image.mode in ("1", "L", "LA", "F") or image.mode.startswith("I"):
        return False
    channels = np.asarray(image.convert("RGB"))
    spread = channels.max(axis=2) - channels.min(axis=2)
    return bool(spread.max() > _COLOUR_SOMEWHERE or spread.mean() > _COLOUR_ON_AVERAGE)


def grey_size(native: NDArray[np.uint8]) -> tuple[int, int]:
    """Width and height of an array `(height, width)`."""
    height, width = native.shape
    return width, height


def _to_grey(image: Image.Image) -> Image.Image:
    mode = image.mode
    if mode == "L":
        return image
    if mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65_535:
            raise ValueError("grey values outside 0..65535")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if mode == "LA":
        return image.getchannel("L")
    if mode in ("P", "PA", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"):
        return image.convert("RGB").convert("L")
    if mode in ("RGB", "1"):
        return image.convert("L")
    raise ValueError(f"image mode {mode} has no defined grey value range")
