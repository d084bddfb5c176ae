"""Sources of lung masks (thresholds, a trained U-Net, or a folder of files), and their quality (Dice)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.files import digest
from fingerprints.data.decode import Preprocessing, decode
from fingerprints.data.layout import IMAGE_SUFFIXES, is_hidden
from fingerprints.images.lungs import lung_masks
from fingerprints.images.settings import MaskedRegionSettings

# Increase this number when the same settings give other masks, so that old caches are not read.
MASK_VERSION = 1
# A file with a larger share of grey pixels than this is a picture, not a mask saved as JPEG.
_GREY_SHARE = 0.05

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


def dice(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Dice coefficient in [0, 1] of two masks of the same shape; 1 if both are empty."""
    both = int(mask.sum()) + int(truth.sum())
    return 1.0 if both == 0 else 2 * int((mask & truth).sum()) / both


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
    by_path = _unique({_key(str(file.relative_to(folder).as_posix())): file for file in files}, files, folder)
    by_name: dict[str, list[Path]] = {}
    for file in files:
        by_name.setdefault(file.stem, []).append(file)
    asked: dict[str, int] = {}
    for name in names:
        stem = _key(name).rsplit("/", 1)[-1]
        asked[stem] = asked.get(stem, 0) + 1
    found: list[Path] = []
    lacking: list[str] = []
    for name in names:
        key = _key(name)
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


def read_mask(path: Path, *, size: int) -> NDArray[np.bool_]:
    """Read a mask file as `(size, size)`: true above half of its brightest grey level.

    Raises:
        FingerprintsError: If it cannot be read, or is a picture with many grey levels.
    """
    try:
        pixels = decode(path, Preprocessing(size)).pixels
    except Exception as error:  # PIL raises OSError, SyntaxError, ValueError, struct.error and more
        raise FingerprintsError(
            f"The mask cannot be read: {error or type(error).__name__}", where=path, fix="replace the file"
        ) from error
    share = pixels / max(int(pixels.max()), 1)
    mask = share > 0.5
    # Only count grey pixels away from outlines, because resizing makes outlines grey.
    grey = (share > 0.1) & (share < 0.9)
    inner = grey[1:-1, 1:-1] & grey[:-2, 1:-1] & grey[2:, 1:-1] & grey[1:-1, :-2] & grey[1:-1, 2:]
    if inner.mean() > _GREY_SHARE:
        raise FingerprintsError(
            f"The file is not a mask: {inner.mean():.0%} of its pixels are neither dark nor bright.",
            where=path,
            fix="give an image of two grey levels, bright in the lungs",
        )
    return mask


def image_files(folder: Path) -> list[Path]:
    """Image files in a folder and its subfolders, sorted by path, without hidden files and folders."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not any(is_hidden(name) for name in path.relative_to(folder).parts)
        and path.is_file()
    )


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
    stats = {row: file.stat() for row, file in files.items()}
    listed = [[row, str(file), stats[row].st_size, stats[row].st_mtime_ns] for row, file in files.items()]

    def block(images: NDArray[np.uint8], start: int) -> NDArray[np.bool_]:
        masks = np.zeros(images.shape, dtype=bool)
        for at in range(len(images)):
            if start + at in files:
                masks[at] = read_mask(files[start + at], size=images.shape[-1])
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


def _key(name: str) -> str:
    head, _, suffix = name.rpartition(".")
    return head if f".{suffix.lower()}" in IMAGE_SUFFIXES else name
