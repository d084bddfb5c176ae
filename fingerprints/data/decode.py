"""Decoding image files to grey pixels, in the same way for every command, for images and for masks."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fingerprints.data.picture import open_picture

# Increase this number when decoding gives other pixels, so that old image stores are not read.
DECODER_VERSION = 2

FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
# 12 bits, as scanners measure them, end here. In a file of 16 bits, they are nearly black.
NARROW = 4095
# If a grey image was saved as colour JPEG, its decoded channels differ by a few levels. Channels of drawn
# marks or tinted images differ by more.
_COLOUR_SOMEWHERE, _COLOUR_ON_AVERAGE = 32, 4
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT, _ORIENTATION = 258, 262, 339, 274  # TIFF tags


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
    """A decoded image.

    Attributes:
        pixels: `(size, size)` uint8.
        native_size: The file's own width and height.
        digest: Digest of the unscaled pixels.
        narrow: Whether it is a file of 16 or more bits whose values end at 4,095 or lower.
    """

    pixels: NDArray[np.uint8]
    native_size: tuple[int, int]
    digest: bytes
    narrow: bool = False


def decode(path: str | Path, preprocessing: Preprocessing) -> Decoded:
    """Read one image file as grey.

    16-bit grey is scaled to 8 bits (65,535 becomes 255). Colour and palette images become luma (ITU-R 601).
    An alpha channel is dropped: it describes how to show a pixel, not what was measured. The orientation
    that a file states is applied. Images of another size are resampled with an antialiasing triangle filter.

    Raises:
        Unusable: If it has several pages, negative values, or no defined range of grey values.
        OSError: If the file is missing, truncated or not an image.
    """
    with _opened(path) as image:
        values = _values(image)
    native = eight_bits(values)
    digest = hashlib.blake2b(native.tobytes(), digest_size=16, key=str(native.shape).encode()).digest()
    size, pixels = (preprocessing.size, preprocessing.size), native
    if native.shape != size:
        pixels = np.asarray(Image.fromarray(native).resize(size, Image.Resampling.BILINEAR))
    height, width = native.shape
    return Decoded(pixels, native_size=(width, height), digest=digest, narrow=is_narrow(values))


def read_picture(path: str | Path) -> tuple[NDArray[np.uint8], bool]:
    """Read one image file as grey `(H, W)` in its original size; unlike `decode`, refuse colour.

    Returns:
        The pixels, and whether the file is narrow (see `Decoded`).

    Raises:
        Unusable: If its channels differ by more than JPEG noise, or as `decode`.
        OSError: As `decode`.
    """
    with _opened(path) as image:
        if is_coloured(image):
            raise Unusable("a colour picture", "slices must be grey")
        values = _values(image)
    return eight_bits(values), is_narrow(values)


def read_values(path: str | Path) -> NDArray:
    """Grey values `(H, W)` as the file stores them, unscaled; larger values are brighter.

    The type is bool, uint8, uint16, int32 (without negative values) or float32; colour becomes luma (uint8).

    Raises:
        Unusable: If it has several pages, negative values, or values that are not defined.
        OSError: As `decode`.
    """
    with _opened(path) as image:
        return _values(image)


def why_unusable(path: str | Path, error: Exception) -> Unusable:
    """The reason why a file cannot be used, in words without its path; the same for every command.

    Args:
        path: The file.
        error: What reading it raised: PIL raises OSError, SyntaxError, ValueError, struct.error and more.
    """
    file, detail = Path(path), ""
    with contextlib.suppress(OSError):
        if file.is_symlink() and not file.exists():
            detail = "it is a link to a file that does not exist"
        elif file.stat().st_size == 0:
            detail = "the file is empty"
    if not detail and isinstance(error, Unusable):
        return error
    if not detail and isinstance(error, UnidentifiedImageError):
        detail = _not_identified(file)
    text = str(error).replace(f"'{path}'", "the file").replace(str(path), "the file")
    return Unusable("cannot be read", detail or text or type(error).__name__)


def eight_bits(values: NDArray) -> NDArray[np.uint8]:
    """Grey levels of native values `(H, W)`: 65,535 becomes 255; true becomes 255.

    Raises:
        Unusable: If the values have no defined range (floats, values above 65,535).
    """
    if values.dtype == bool:
        return np.where(values, 255, 0).astype(np.uint8)
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "f":
        raise Unusable("no defined grey value range", "floating-point samples (image mode F)")
    if values.max() > 65_535:
        raise Unusable("no defined grey value range", "grey values outside 0..65535")
    return ((values.astype(np.int64) + 128) // 257).astype(np.uint8)


def is_narrow(values: NDArray) -> bool:
    """Whether native values need 12 bits or fewer, although the file has 16 or more; false if all are 0."""
    return values.dtype.kind in "iu" and values.dtype.itemsize > 1 and 0 < int(values.max()) <= NARROW


def narrow_notes(narrow: int, total: int) -> list[str]:
    """The note about images that are nearly black because of their bits; none if there are none."""
    if not narrow:
        return []
    return [
        f"{narrow:,} of {total:,} images have 16 bits but no value above {NARROW:,} (12 bits), so they are "
        "nearly black: 65,535 is white. Multiply their values by 16"
    ]


def counted(bad: Sequence[Unusable | str]) -> str:
    """The reasons of unusable files with their counts, such as `cannot be read (2), several pages (1)`."""
    reasons = [str(why).split(":")[0] for why in bad]
    return ", ".join(f"{reason} ({reasons.count(reason)})" for reason in dict.fromkeys(sorted(reasons)))


def is_coloured(image: Image.Image) -> bool:
    """Whether channels differ by more than the channels of a grey image that was saved as colour JPEG."""
    if image.mode in ("1", "L", "LA", "F") or image.mode.startswith("I"):
        return False
    channels = np.asarray(image.convert("RGB"))
    spread = channels.max(axis=2) - channels.min(axis=2)
    return bool(spread.max() > _COLOUR_SOMEWHERE or spread.mean() > _COLOUR_ON_AVERAGE)


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    """The only page of an image file, decoded and upright.

    Raises:
        Unusable: If it has several pages or frames, or only low values in channels of 16 bits, of which
            Pillow keeps the upper 8.
        OSError: As `decode`.
    """
    with open_picture(path, formats=FORMATS) as image:
        pages = getattr(image, "n_frames", 1)
        if pages > 1:
            raise Unusable("several pages", f"{pages}; save each page as its own file")
        deep = any(";16" in str(tile) for tile in getattr(image, "tile", ())) and not image.mode.startswith(
            "I"
        )
        image.load()  # turns a TIFF as its orientation says
        if (
            deep
            and np.asarray(image)[..., : len(image.getbands()) - ("A" in image.mode)].max() <= NARROW >> 8
        ):
            raise Unusable("nearly black", "its channels have 16 bits and low values; save it as grey")
        yield image if image.format == "TIFF" else _upright(image)


def _upright(image: Image.Image) -> Image.Image:
    """The image, turned as its EXIF orientation says; unreadable EXIF data say nothing."""
    try:
        turned = image.getexif().get(_ORIENTATION, 1) != 1
    except Exception:  # damaged EXIF data raise errors of many types
        turned = False
    return ImageOps.exif_transpose(image) if turned else image


def _values(image: Image.Image) -> NDArray:
    """Native grey values of a loaded image; see `read_values`."""
    mode, tags = image.mode, getattr(image, "tag_v2", {})
    if mode == "F" or mode.startswith("I"):
        return _deep(np.asarray(image), tags)
    if mode == "L":
        values = np.asarray(image)
        if tags.get(_SAMPLE_FORMAT) == (2,):  # Pillow reads signed samples as if they had no sign
            _refuse_negative(values.view(np.int8))
        return values
    if mode == "1":
        return np.asarray(image)
    if mode == "LA":
        return np.asarray(image.getchannel("L"))
    if mode in ("P", "PA", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"):
        return np.asarray(image.convert("RGB").convert("L"))
    if mode == "RGB":
        return np.asarray(image.convert("L"))
    raise Unusable("no defined grey value range", f"image mode {mode}")


def _deep(values: NDArray, tags: dict[int, tuple[int, ...]]) -> NDArray:
    """Values of more than 8 bits: without sign, and with black at 0 (Pillow leaves white at 0)."""
    _refuse_negative(values)
    inverted = tags.get(_PHOTOMETRIC) == 0
    if values.dtype.kind == "f":
        if inverted or not np.isfinite(values).all():
            raise Unusable("values that are not defined", "floating-point samples, white at 0 or not finite")
        return values
    if values.dtype.itemsize > 2:
        if inverted:
            raise Unusable("values that are not defined", "white is 0 in samples of 32 bits")
        return values
    values = values.astype(np.uint16)  # also from big-endian
    if tags.get(_BITS_PER_SAMPLE) == (12,):
        values = ((values.astype(np.uint32) * 65_535 + NARROW // 2) // NARROW).astype(np.uint16)
    return 65_535 - values if inverted else values


def _refuse_negative(values: NDArray) -> None:
    if values.size and values.min() < 0:
        raise Unusable("negative grey values", "black is not defined; save the file as unsigned grey")


def _not_identified(path: Path) -> str:
    """What a file that none of the `FORMATS` reads is, as far as it can be told."""
    wanted = f"not {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
    with contextlib.suppress(Exception), Image.open(path) as image:
        return f"its content is {image.format}, {wanted}"
    with contextlib.suppress(OSError), path.open("rb") as handle:
        if handle.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return "a TIFF of an unsupported kind; save it as unsigned grey of 8 or 16 bits"
    return f"its content is {wanted}"
