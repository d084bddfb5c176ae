"""Planted leakage: copies of training images, slightly changed, among the generated ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fingerprints.errors import FingerprintsError

Image = NDArray[np.float32]  # (S, S) in [0, 1]


def _exact(image: Image, rng: np.random.Generator) -> Image:
    return image


def _noise(image: Image, rng: np.random.Generator) -> Image:
    return image + rng.normal(0, 0.03, image.shape).astype(np.float32)


def _shift(image: Image, rng: np.random.Generator) -> Image:
    """By one to three of 64 pixels along each axis; edges repeat."""
    reach = max(1, round(3 * len(image) / 64))
    down, right = (int(rng.integers(1, reach + 1) * rng.choice([-1, 1])) for _ in range(2))
    rows = np.clip(np.arange(len(image)) + down, 0, len(image) - 1)
    columns = np.clip(np.arange(len(image)) + right, 0, len(image) - 1)
    return image[rows][:, columns]


def _contrast(image: Image, rng: np.random.Generator) -> Image:
    factor = 1 + rng.choice([-1, 1]) * rng.uniform(0.1, 0.25)
    return (image - image.mean()) * factor + image.mean()


KINDS: dict[str, Callable[[Image, np.random.Generator], Image]] = {
    "exact": _exact,
    "noise": _noise,
    "shift": _shift,
    "contrast": _contrast,
}


def check_kinds(kinds: Sequence[str]) -> None:
    """Refuse kinds of copies that there are not.

    Raises:
        FingerprintsError: Naming those that there are.
    """
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown or not kinds:
        raise FingerprintsError(
            f"There is no planted copy of kind {', '.join(unknown)}."
            if unknown
            else "No kind of copy is given.",
            where="planted.kinds",
            fix=f"some of {', '.join(KINDS)}",
        )


def plant(
    generated: NDArray[np.uint8],
    members: NDArray[np.uint8],
    *,
    fraction: float,
    kinds: Sequence[str],
    seed: int,
) -> tuple[NDArray[np.uint8], list[tuple[int, int, str]]]:
    """Replace a fraction of the generated images by changed copies of training images.

    Args:
        generated: `(n, S, S)`.
        members: Training images, `(m, S, S)`.
        fraction: Share of the generated images to replace, in [0, 1].
        kinds: How copies are changed, names of `KINDS`; each copy is of one kind, drawn at random.
        seed: Seed of every choice.

    Returns:
        The images, and for each copy its row, the member's row and the kind. Members are used evenly:
        none is copied twice before all were copied once.
    """
    check_kinds(kinds)
    rng = np.random.default_rng([seed, 0xC0B1])
    count = round(fraction * len(generated))
    rows = np.sort(rng.permutation(len(generated))[:count])
    rounds = -(-count // len(members))
    chosen = np.concatenate([rng.permutation(len(members)) for _ in range(rounds)] or [np.empty(0, int)])
    out, copies = generated.copy(), []
    for row, member in zip(rows.tolist(), chosen[:count].tolist(), strict=True):
        kind = kinds[int(rng.integers(len(kinds)))]
        changed = KINDS[kind](members[member].astype(np.float32) / 255, rng)
        out[row] = np.clip(np.rint(changed * 255), 0, 255).astype(np.uint8)
        copies.append((row, member, kind))
    return out, copies
