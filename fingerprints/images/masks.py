"""Sources of lung masks (thresholds, a trained U-Net, or a folder of files), and their quality (Dice)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.files import digest
from fingerprints.data.decode import read_values, why_unusable
from fingerprints.data.layout import IMAGE_SUFFIXES
from fingerprints.data.names import without_ending
from fingerprints.data.picture import open_picture
from fingerprints.data.walk import cannot_be_read, walk
from fingerprints.images.lungs import lung_masks
from fingerprints.images.settings import MaskedRegionSettings

# Increase this number when the same settings give other masks, so that old caches are not read.
MASK_VERSION = 2
# A file with a larger share of grey pixels than this is a picture, not a mask saved as JPEG.
_GREY_SHARE = 0.05
# A file with a larger share of even grey areas than this holds several labels; outlines are never even.
_EVEN_SHARE = 0.0005
_LABELS = 32  # whole numbers up to this value are labels, not grey levels

Block = Callable[[NDArray[np.uint8], int], NDArray[np.bool_]]


@dataclass(frozen=True)
class MaskSource:
    """One source of masks.

    Attributes:
        facts: Facts that identify the masks, for cache keys; plain data.
        block: Function from unfiltered images `(b, S, S)` and the number of the first one to masks
            `(b, S, S)`.
    """

    facts: dict[str, Any]
    block: Block


def mask_source(
    settings: MaskedRegionSettings, *, names: Sequence[str | None] | None = None, device: str = "cpu"
) -> MaskSource:
    """The source of masks for a region.

    Args:
        settings: The settings of the region.
        names: Path of each image relative to the data root, `None` for one that is not used; needed for
            `folder`.
        device: Device of a U-Net.

    Raises:
        FingerprintsError: If the weights or the folder are not given, weights do not load, or an image has
            no mask file.
    """
    if settings.mask == "unet":
        return _unet_source(_given(settings.weights, "unet", "weights"), device)
    if settings.mask == "folder":
        return _folder_source(_given(settings.folder, "folder", "folder"), names)
    facts = {"mask": settings.mask, "version": MASK_VERSION}
    return MaskSource(facts, lambda images, start: lung_masks(images))


def dice(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float | None:
    """Dice coefficient in [0, 1] of two masks of the same shape; `None` (0 / 0) if both are empty."""
    both = int(mask.sum()) + int(truth.sum())
    return None if both == 0 else 2 * int((mask & truth).sum()) / both


def match_masks(folder: Path, names: Sequence[str]) -> list[Path]:
    """The mask file of each image: the one with the same relative path, else the one with the same file name.

    Extensions are ignored. A file name matches only if no other image and no other mask has it.

    Args:
        folder: Folder of mask files.
        names: Paths of the images relative to their root, POSIX style.

    Raises:
        FingerprintsError: If the folder is missing, or images have no mask; the error lists them.
    """
    if not folder.is_dir():
        raise FingerprintsError(
            "The folder of masks does not exist.", where=folder, fix="give an existing folder of mask files"
        )
    files = image_files(folder)
    by_path = _unique(
        {without_ending(str(file.relative_to(folder).as_posix())): file for file in files}, files, folder
    )
    by_name: dict[str, list[Path]] = {}
    for file in files:
        by_name.setdefault(file.stem, []).append(file)
    asked: dict[str, int] = {}
    for name in names:
        stem = without_ending(name).rsplit("/", 1)[-1]
        asked[stem] = asked.get(stem, 0) + 1
    found: list[Path] = []
    lacking: list[str] = []
    for name in names:
        key = without_ending(name)
        stem = key.rsplit("/", 1)[-1]
        if key in by_path:
            found.append(by_path[key])
        elif len(by_name.get(stem, ())) == 1 and asked[stem] == 1:
            found.append(by_name[stem][0])
        else:
            lacking.append(name)
    if lacking:
        raise FingerprintsError(
            f"{len(lacking)} of {len(names)} images have no mask among the {len(files)} files:\n"
            f"{listing(lacking)}",
            where=folder,
            fix="give each image a mask with the same relative path, or with the same, unique file name; "
            "the extension may differ",
        )
    return found


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a mask file as `(H, W)`, in the file's own size.

    The values that the file stores are divided into two, whatever their type: 0 and 1, 0 and 255, 0 and
    65,535, 0.0 and 1.0, black and white, or two colours. The brighter of two values is true; of grey levels,
    as in a mask saved as JPEG, those above half of the brightest are. A file with one value is all true,
    or all false if the value is 0.

    Raises:
        FingerprintsError: If it cannot be read, or is a picture with many grey levels or a map of labels.
    """
    return as_mask(mask_values(path), path)


def mask_values(path: Path) -> NDArray:
    """The values of a mask file `(H, W)`, see `data.decode.read_values`.

    Raises:
        FingerprintsError: If it cannot be read.
    """
    try:
        return read_values(path)
    except Exception as error:  # PIL raises OSError, SyntaxError, ValueError, struct.error and more
        raise FingerprintsError(
            f"The mask cannot be used: {why_unusable(path, error)}", where=path, fix="replace the file"
        ) from error


def as_mask(values: NDArray, path: Path) -> NDArray[np.bool_]:
    """The mask `(H, W)` of a file's values; see `read_mask`."""
    levels = np.unique(values)
    if len(levels) <= 2:
        _require_visible(path, levels)
        return values > (0 if len(levels) == 1 else levels[0])
    share = values / levels[-1]
    grey = (share > 0.1) & (share < 0.9)
    # Only grey areas count, because resizing makes outlines grey.
    inner = _inner(grey)
    whole = values.dtype.kind in "iu" or (levels % 1 == 0).all()
    even = inner & _even(values)
    few = len(levels) <= _LABELS and even.any() and even.mean() > _EVEN_SHARE
    if few or (whole and levels[-1] <= _LABELS):
        shown = ", ".join(f"{level:g}" for level in levels[:8]) + (", ..." if len(levels) > 8 else "")
        raise FingerprintsError(
            f"The file is not a mask but a map of labels: it holds the values {shown}.",
            where=path,
            fix="save a file of two values: one in all lungs, and 0 elsewhere",
        )
    if inner.any() and inner.mean() > _GREY_SHARE:
        raise FingerprintsError(
            f"The file is not a mask: {inner.mean():.0%} of its pixels are neither dark nor bright.",
            where=path,
            fix="give an image of two grey levels, bright in the lungs",
        )
    return share > 0.5


def resized_mask(mask: NDArray[np.bool_], *, size: int) -> NDArray[np.bool_]:
    """A mask `(H, W)` as `(size, size)`: true where more than half of the area is true."""
    if mask.shape == (size, size):
        return mask
    pixels = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8))
    return np.asarray(pixels.resize((size, size), Image.Resampling.BILINEAR)) > 127


def _inner(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels `(H - 2, W - 2)` that are true with all four neighbours."""
    return mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]


def _even(values: NDArray) -> NDArray[np.bool_]:
    """Pixels `(H - 2, W - 2)`, all but the border, that have the value of all four neighbours."""
    middle = values[1:-1, 1:-1]
    return (
        (middle == values[:-2, 1:-1])
        & (middle == values[2:, 1:-1])
        & (middle == values[1:-1, :-2])
        & (middle == values[1:-1, 2:])
    )


def _require_visible(path: Path, levels: NDArray) -> None:
    """Refuse a mask of one grey level that is drawn in what the grey levels leave out: colours or alpha."""
    if len(levels) > 1:
        return
    with open_picture(path) as image:
        grey = image.mode in ("1", "L", "F") or image.mode.startswith("I")
        bands = [] if grey else [np.asarray(band) for band in image.split()]
    if any(band.min() != band.max() for band in bands):
        raise FingerprintsError(
            "The mask cannot be used: it is drawn in its transparency or in colours of one brightness.",
            where=path,
            fix="save it in grey: bright in the lungs, black elsewhere",
        )


def image_files(folder: Path) -> list[Path]:
    """Image files in a folder and its subfolders, sorted by path, without litter.

    A link that leads nowhere is listed, so that reading it reports the error.

    Raises:
        FingerprintsError: If a folder cannot be read.
    """
    try:
        found = [
            file for file in walk(folder) if file.suffix in IMAGE_SUFFIXES and file.kind in ("file", "dead")
        ]
    except OSError as error:
        raise cannot_be_read(error, folder) from error
    return sorted(Path(file.path) for file in found)


def _unet_source(weights: Path, device: str) -> MaskSource:
    # Imported late: the other masks do not need torch.
    from fingerprints.images.unet import load_unet, predict_masks

    network, size = load_unet(weights)
    return MaskSource(
        {"mask": "unet", "version": MASK_VERSION, "weights": digest(weights)},
        lambda images, start: predict_masks(network, images, size=size, device=device),
    )


def _folder_source(folder: Path, names: Sequence[str | None] | None) -> MaskSource:
    if names is None:
        raise FingerprintsError(
            "Masks from a folder need the names of the images.",
            where="region.mask=folder",
            fix="give names, or use region.mask=threshold",
        )
    rows = [row for row, name in enumerate(names) if name is not None]
    matched = match_masks(folder, [name for name in names if name is not None])
    files: dict[int, Path] = dict(zip(rows, matched, strict=True))
    dead = [file for file in matched if not file.exists()]
    if dead:
        raise FingerprintsError(
            f"{len(dead)} mask(s) are links that lead nowhere:\n{listing(dead)}",
            where=folder,
            fix="fetch or restore the files that they name",
        )
    stats = {row: file.stat() for row, file in files.items()}
    listed = [[row, str(file), stats[row].st_size, stats[row].st_mtime_ns] for row, file in files.items()]

    def block(images: NDArray[np.uint8], start: int) -> NDArray[np.bool_]:
        masks = np.zeros(images.shape, dtype=bool)
        for at in range(len(images)):
            if start + at in files:
                masks[at] = resized_mask(read_mask(files[start + at]), size=images.shape[-1])
        return masks

    return MaskSource({"mask": "folder", "version": MASK_VERSION, "files": listed}, block)


def _given(path: Path | None, mask: str, key: str) -> Path:
    if path is None:
        raise FingerprintsError(
            f"region.mask={mask} needs region.{key}.",
            where="region",
            fix=f"give region.{key}=PATH, or use region.mask=threshold",
        )
    return path


def _unique(by_path: dict[str, Path], files: Sequence[Path], folder: Path) -> dict[str, Path]:
    if len(by_path) < len(files):
        twice = sorted(str(f.relative_to(folder)) for f in set(files) - set(by_path.values()))
        raise FingerprintsError(
            f"{len(twice)} masks differ from another mask only by their extension:\n{listing(twice)}",
            where=folder,
            fix="keep one of them",
        )
    return by_path
