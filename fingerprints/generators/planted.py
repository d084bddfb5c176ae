"""Planted leakage: slightly changed copies of training images among the generated ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import rotate

from fingerprints.core.errors import FingerprintsError
from fingerprints.generators.settings import PlantedKind

Image = NDArray[np.float32]  # (S, S) in [0, 1]


def _exact(image: Image, rng: np.random.Generator) -> Image:
    return image


def _noise(image: Image, rng: np.random.Generator) -> Image:
    return image + rng.normal(0, 0.03, image.shape).astype(np.float32)


def _shift(image: Image, rng: np.random.Generator) -> Image:
    """Shift by one to three of 64 pixels along each axis; edge pixels are repeated."""
    reach = max(1, round(3 * len(image) / 64))
    down, right = (int(rng.integers(1, reach + 1) * rng.choice([-1, 1])) for _ in range(2))
    rows = np.clip(np.arange(len(image)) + down, 0, len(image) - 1)
    columns = np.clip(np.arange(len(image)) + right, 0, len(image) - 1)
    return image[rows][:, columns]


def _contrast(image: Image, rng: np.random.Generator) -> Image:
    factor = 1 + rng.choice([-1, 1]) * rng.uniform(0.1, 0.25)
    return (image - image.mean()) * factor + image.mean()


def _rotation(image: Image, rng: np.random.Generator) -> Image:
    """Rotate by two to eight degrees about the centre; edge pixels are repeated."""
    angle = float(rng.uniform(2, 8) * rng.choice([-1, 1]))
    return rotate(image, angle, reshape=False, order=1, mode="nearest")


CHANGES: dict[PlantedKind, Callable[[Image, np.random.Generator], Image]] = {
    "exact": _exact,
    "noise": _noise,
    "shift": _shift,
    "rotation": _rotation,
    "contrast": _contrast,
}
BLEND: PlantedKind = "blend"  # the only kind that is made of two images
KINDS: tuple[PlantedKind, ...] = get_args(PlantedKind)


@dataclass(frozen=True)
class PlantedCopy:
    """One planted copy.

    Attributes:
        row: Its row among the generated images.
        member: Row of the training image that it was made from.
        kind: Kind of the change.
        second: Row of the other training image of a blend; `None` for other kinds.
    """

    row: int
    member: int
    kind: PlantedKind
    second: int | None = None


def plant(
    generated: NDArray[np.uint8],
    members: NDArray[np.uint8],
    *,
    fraction: float,
    kinds: Sequence[PlantedKind],
    seed: int,
) -> tuple[NDArray[np.uint8], list[PlantedCopy]]:
    """Replace a fraction of the generated images by changed copies of training images.

    Args:
        generated: `(n, S, S)`.
        members: Training images, `(m, S, S)`.
        fraction: Share of the generated images to replace, in [0, 1].
        kinds: Kinds of changes, at least one; each copy gets one kind, drawn at random. A blend mixes
            50 to 70 % of one image with another image.
        seed: Seed of every choice.

    Returns:
        The images and the copies. Members are used evenly: no member is copied twice before every member
        was copied once (as the first image of a blend).

    Raises:
        FingerprintsError: If a blend would need a second training image.
    """
    if BLEND in kinds and fraction > 0 and len(members) < 2:
        raise FingerprintsError(
            "A blend needs two training images; there is one.", where="planted.kinds", fix="other kinds"
        )
    rng = np.random.default_rng([seed, 0xC0B1])
    count = round(fraction * len(generated))
    rows = np.sort(rng.permutation(len(generated))[:count])
    rounds = -(-count // len(members))
    chosen = np.concatenate([rng.permutation(len(members)) for _ in range(rounds)] or [np.empty(0, int)])
    out, copies = generated.copy(), []
    for row, member in zip(rows.tolist(), chosen[:count].tolist(), strict=True):
        kind = kinds[int(rng.integers(len(kinds)))]
        image, second = members[member].astype(np.float32) / 255, None
        if kind == BLEND:
            second = (member + 1 + int(rng.integers(len(members) - 1))) % len(members)
            share = np.float32(rng.uniform(0.5, 0.7))
            changed = share * image + (1 - share) * members[second].astype(np.float32) / 255
        else:
            changed = CHANGES[kind](image, rng)
        out[row] = np.clip(np.rint(changed * 255), 0, 255).astype(np.uint8)
        copies.append(PlantedCopy(row, member, kind, second))
    return out, copies
