"""Overlapping classes for tests of classifiers."""

from __future__ import annotations

import numpy as np

from fingerprints.decisions.contract import Part
from tests.decisions.parts import about_generated, images

CLASSES = ("t1", "t2", "t3", "t4")


def draw(seed: int, n: int, *, classes: int = 4, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes of different sizes on features of different scales, one of them constant."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, 6))
    codes = np.concatenate([np.arange(classes), (classes * rng.random(n - classes) ** 2).astype(int)])
    points = (centres[codes] + rng.normal(size=(n, 6)) + shift) * np.array([1, 5, 0.2, 1, 2, 1])
    return np.column_stack([points, np.full(n, 7.0)]).astype(np.float32), np.array(CLASSES)[codes]


def drawn_part(*, classes: int = 4, group_size: int = 2) -> Part:
    """90 real images in groups and 70 generated ones."""
    real, labels = draw(0, 90, classes=classes)
    made, answers = draw(1, 70, classes=classes, shift=0.7)
    groups = np.array([f"p{i // group_size}" for i in range(90)])
    return about_generated(images(real, labels, groups), images(made, answers))


ASKED = draw(2, 120)[0]
