"""Pictures of a benchmark: how images are written, and contact sheets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHEET_ROWS = 8  # rows of a contact sheet, and columns for each kind


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write `(H, W)` uint8 as PNG; equally for real and generated images, so that files do not differ."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, optimize=True)


def contact_sheet(real: NDArray[np.uint8], generated: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Eight by eight training images on the left, eight by eight generated images on the right.

    Args:
        real: `(n, S, S)` uint8.
        generated: `(m, S, S)` uint8.

    Returns:
        `(8 * S, 16 * S + S // 8)` uint8; missing images are black.
    """

    def grid(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        side = images.shape[-1]
        cells = np.zeros((SHEET_ROWS**2, side, side), dtype=np.uint8)
        rows = np.linspace(0, len(images) - 1, min(len(images), SHEET_ROWS**2)).astype(int)
        cells[: len(rows)] = images[rows]
        return cells.reshape(SHEET_ROWS, SHEET_ROWS, side, side).swapaxes(1, 2).reshape(SHEET_ROWS * side, -1)

    left, right = grid(real), grid(generated)
    gap = np.full((len(left), real.shape[-1] // 8), 255, dtype=np.uint8)
    return np.concatenate([left, gap, right], axis=1)
