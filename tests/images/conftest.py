"""Drawn chests: a bright body with two dark lungs, in black air."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest


def _ellipse(side: int, x: float, y: float, width: float, height: float) -> np.ndarray:
    """Pixels of an ellipse; centre and half axes as shares of the side."""
    rows, columns = (np.mgrid[:side, :side] + 0.5) / side
    return ((columns - x) / width) ** 2 + ((rows - y) / height) ** 2 <= 1


@pytest.fixture
def chest() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """`chest(side=128, seed=0, shift=0, dark=60, bright=200)`: an image uint8 and the truth of its lungs."""

    def make(
        side: int = 128, seed: int = 0, shift: float = 0.0, dark: int = 60, bright: int = 200
    ) -> tuple[np.ndarray, np.ndarray]:
        body = _ellipse(side, 0.5, 0.5, 0.48, 0.42)
        lungs = _ellipse(side, 0.3 + shift, 0.5, 0.13, 0.28) | _ellipse(side, 0.7 + shift, 0.5, 0.13, 0.28)
        vessels = _ellipse(side, 0.3 + shift, 0.45, 0.02, 0.02) | _ellipse(
            side, 0.7 + shift, 0.55, 0.02, 0.02
        )
        windpipe = _ellipse(side, 0.5 + shift, 0.4, 0.03, 0.03)
        image = np.where(body, bright, 5.0)
        image[(lungs & ~vessels) | windpipe] = dark
        image += 4 * np.random.default_rng(seed).standard_normal(image.shape)
        return np.clip(image, 0, 255).round().astype(np.uint8), lungs

    return make
