"""One way from an image file to grey pixels, for training and prediction alike."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Raised when the pixels that a file decodes to change, so that old image stores are not read.
DECODER_VERSION = 1


@dataclass(frozen=True)
class Preprocessing:
    """How files become pixels: grey, 8-bit, square, `size` pixels a side."""

    size: int

    def describe(self) -> dict[str, int]:
        """What identifies the pixels, for cache keys and run folders."""
        return {**asdict(self), "decoder_version": DECODER_VERSION}


@dataclass(frozen=True)
class Decoded:
    """Pixels `(size, size)` uint8, the file's own width and height, and a digest of its own pixels."""

    pixels: NDArray[np.uint8]
    native_size: tuple[int, int]
    digest: bytes


def decode(path: str | Path, preprocessing: Preprocessing) -> Decoded:
    """Read one image file as grey.

    Grey of 16 bits is scaled to 8 (65,535 becomes 255), colour and palette images become luma
    (ITU-R 601), an alpha channel is dropped: it says how to show a pixel, not what was measured.
    Other sizes are resampled with an antialiasing triangle filter.

    Raises:
        OSError: If the file is missing, truncated or no image.
        ValueError: If its mode is one that has no defined grey value range (32-bit float).
    """
    with Image.open(path) as image:
        image.load()
        grey = _to_grey(image)
    native = np.asarray(grey)
    digest = hashlib.blake2b(native.tobytes(), digest_size=16, key=str(native.shape).encode()).digest()
    if grey.size != (preprocessing.size, preprocessing.size):
        grey = grey.resize((preprocessing.size, preprocessing.size), Image.Resampling.BILINEAR)
    return Decoded(pixels=np.asarray(grey), native_size=grey_size(native), digest=digest)


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
