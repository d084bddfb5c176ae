"""Trains a segmenter on folders of images and masks, and measures its quality."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.files import write_atomically
from fingerprints.data.decode import Preprocessing, decode
from fingerprints.data.groups import read_groups
from fingerprints.data.picture import open_picture
from fingerprints.data.splits import hold_out
from fingerprints.detector.settings import SegmentSettings
from fingerprints.images.lungs import lung_masks
from fingerprints.images.masks import dice, image_files, match_masks, read_mask
from fingerprints.images.unet import check_side, predict_masks, save_unet
from fingerprints.training.hardware import resolve
from fingerprints.training.segmenter import SegmenterSettings, fit_segmenter
from fingerprints.training.settings import TrainerSettings

WEIGHTS, FIGURES, OVERLAYS = "segmenter.safetensors", "dice.json", "overlays.png"
_SHOWN = 24  # held-out images in the picture
_TRUTH, _UNET, _DEFAULT = (255, 60, 60), (60, 255, 60), (90, 140, 255)


@dataclass(frozen=True)
class Pairs:
    """Images and masks.

    Attributes:
        names: n paths relative to the folder of images.
        images: `(n, size, size)` uint8.
        masks: `(n, size, size)`.
    """

    names: list[str]
    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]


def segment(settings: SegmentSettings) -> dict[str, Any]:
    """Train a segmenter, compare it with the default mask on held-out pairs, and write segmenter and figures.

    Returns:
        Content of `dice.json`.

    Raises:
        FingerprintsError: If `out` already exists, pairs do not fit, or hardware is missing.
    """
    if settings.out.exists():
        raise FingerprintsError(
            "The folder already exists.", where=settings.out, fix="out=DIR with a new folder"
        )
    segmenter = SegmenterSettings(widths=settings.widths, batch_size=settings.batch_size, lr=settings.lr)
    check_side(settings.size, segmenter.widths)
    trainer = resolve(TrainerSettings(accelerator=settings.accelerator, max_epochs=settings.epochs))
    pairs = read_pairs(settings.images, settings.masks, size=settings.size)
    held = held_out(pairs.names, settings)
    started = time.monotonic()
    network = fit_segmenter(
        pairs.images[~held],
        pairs.masks[~held],
        settings=segmenter,
        trainer=trainer,
        seed=settings.seed,
        callbacks=_progress(),
    )
    seconds = time.monotonic() - started
    device = "cuda" if trainer.accelerator == "gpu" else "cpu"
    images, truth = pairs.images[held], pairs.masks[held]
    ours = predict_masks(network, images, size=settings.size, device=device)
    default = lung_masks(images)
    names = [name for name, out in zip(pairs.names, held, strict=True) if out]
    rows = [
        {"image": name, "segmenter": dice(a, t), "threshold": dice(b, t)}
        for name, a, b, t in zip(names, ours, default, truth, strict=True)
    ]
    figures: dict[str, Any] = {
        "mean": {key: float(np.mean([row[key] for row in rows])) for key in ("segmenter", "threshold")},
        "least": {key: float(np.min([row[key] for row in rows])) for key in ("segmenter", "threshold")},
        "held_out": rows,
        "trained_on": [name for name, out in zip(pairs.names, held, strict=True) if not out],
        "size": settings.size,
        "seed": settings.seed,
        "epochs": trainer.max_epochs,
        "segmenter": asdict(segmenter),
        "seconds": round(seconds, 1),
    }
    settings.out.mkdir(parents=True)
    save_unet(settings.out / WEIGHTS, network, size=settings.size)
    write_atomically(settings.out / FIGURES, (json.dumps(figures, indent=1) + "\n").encode())
    shown = slice(0, _SHOWN)
    save_overlays(
        settings.out / OVERLAYS,
        images[shown],
        [(truth[shown], _TRUTH), (default[shown], _DEFAULT), (ours[shown], _UNET)],
    )
    return figures


def describe(figures: dict[str, Any], out: Path) -> str:
    """The figures, in words."""
    mean, least = figures["mean"], figures["least"]
    return (
        f"trained on {len(figures['trained_on'])} pairs in {figures['seconds']:.0f} s; "
        f"Dice on {len(figures['held_out'])} held-out pairs: "
        f"segmenter mean {mean['segmenter']:.4f}, lowest {least['segmenter']:.4f}; "
        f"default mask mean {mean['threshold']:.4f}, lowest {least['threshold']:.4f}\n"
        f"{out / OVERLAYS}: given masks in red, masks of the segmenter in green, default masks in blue\n"
        f"use it with region=lung region.mask=unet region.weights={out / WEIGHTS}"
    )


def read_pairs(images: Path, masks: Path, *, size: int) -> Pairs:
    """Every image of a folder with its mask, at `size` pixels a side.

    Raises:
        FingerprintsError: If a folder is missing or empty, an image has no mask, or files cannot be read,
            differ in size or are not masks; the message lists all of them.
    """
    if not images.is_dir():
        raise FingerprintsError(
            "The folder of images does not exist.", where=images, fix="images=DIR with an existing folder"
        )
    files = image_files(images)
    if not files:
        raise FingerprintsError("The folder holds no images.", where=images, fix="images=DIR, masks=DIR")
    names = [file.relative_to(images).as_posix() for file in files]
    read: list[tuple[NDArray[np.uint8], NDArray[np.bool_]]] = []
    bad: list[str] = []
    for name, file, mask in zip(names, files, match_masks(masks, names), strict=True):
        try:
            read.append(_read_pair(file, mask, size))
        except FingerprintsError as error:
            bad.append(f"{name}: {error.what}")
    if bad:
        raise FingerprintsError(
            f"{len(bad)} of {len(names)} pairs cannot be used:\n{listing(bad)}",
            where=images,
            fix="replace these files, or take them out of both folders",
        )
    return Pairs(names, np.stack([image for image, _ in read]), np.stack([mask for _, mask in read]))


def held_out(names: list[str], settings: SegmentSettings) -> NDArray[np.bool_]:
    """`(n,)` bool: the pairs that are held out for measuring; whole groups, seeded.

    Raises:
        FingerprintsError: If groups are missing, or there is only one.
    """
    groups: list[str] = list(names)
    if settings.groups is not None:
        found, _ = read_groups(settings.groups, names)
        lacking = [name for name, group in zip(names, found, strict=True) if group is None]
        if lacking:
            raise FingerprintsError(
                f"{len(lacking)} images have no group:\n{listing(lacking)}",
                where=settings.groups,
                fix="give each image a row in the table",
            )
        groups = [str(group) for group in found]
    if len(set(groups)) < 2:
        raise FingerprintsError(
            "All pairs are in one group, so that they cannot be split.",
            where=settings.images,
            fix="give at least two pairs of different patients",
        )
    return hold_out(["pair"] * len(names), groups, fraction=settings.validation, seed=settings.seed)


def save_overlays(
    path: Path,
    images: NDArray[np.uint8],
    layers: list[tuple[NDArray[np.bool_], tuple[int, int, int]]],
    *,
    side: int = 256,
) -> None:
    """A picture of `(n, S, S)` images with the outlines of masks `(n, S, S)`, one colour for each kind."""
    columns = min(len(images), 6)
    rows = -(-len(images) // columns)
    sheet = np.zeros((rows * side, columns * side, 3), dtype=np.uint8)
    for number, image in enumerate(images):
        tile = np.stack([_resized(image, side)] * 3, axis=-1)
        for masks, colour in layers:
            tile[_outline(_resized(masks[number].astype(np.uint8) * 255, side) > 127)] = colour
        top, left = number // columns * side, number % columns * side
        sheet[top : top + side, left : left + side] = tile
    Image.fromarray(sheet).save(path)


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a mask that have a neighbour outside it."""
    padded = np.pad(mask, 1, mode="edge")
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    outline: NDArray[np.bool_] = mask & ~inside
    return outline


def _resized(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))


def _read_pair(file: Path, mask: Path, size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    try:
        image = decode(file, Preprocessing(size))
        with open_picture(mask, load=False) as opened:
            own = opened.size
    except Exception as error:  # PIL raises OSError, SyntaxError, ValueError, struct.error and more
        raise FingerprintsError(f"cannot be read: {error or type(error).__name__}") from error
    if image.native_size != own:
        raise FingerprintsError(
            "the image has {} x {} pixels, its mask {} x {}".format(*image.native_size, *own)
        )
    return image.pixels, read_mask(mask, size=size)


def _progress() -> list[Any]:
    from pytorch_lightning.callbacks import TQDMProgressBar

    return [TQDMProgressBar()] if sys.stderr.isatty() else []
