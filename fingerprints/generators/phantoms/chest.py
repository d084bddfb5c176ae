"""The rib cage in one slice: the reference for trunk, lungs, mediastinum and bones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fingerprints.generators.phantoms.canvas import Canvas, Field, ramp
from fingerprints.generators.phantoms.patient import Patient


@dataclass(frozen=True)
class Chest:
    """The rib cage in one slice; lengths in mm.

    Attributes:
        width: Half inner width at the widest place of the cage.
        depth: Half inner depth at the deepest place of the cage.
        half_depth: Half depth in this slice; the position of the back is fixed.
        cage: `(H, W)` signed distance to the cage, negative inside.
        cage_y: `(H, W)` y from the cage's centre.
        spine_y: y of the centre of the vertebra.
        texture: `(H, W)` noise of unit variance, for tissue.
    """

    width: float
    depth: float
    half_depth: float
    cage: Field
    cage_y: Field
    spine_y: float
    texture: Field


def chest_of(p: Patient, canvas: Canvas, z: float, *, breath: float) -> Chest:
    """The cage of a patient at `z`; a deeper `breath` (0 is normal) widens it."""
    x, y = canvas.x, canvas.y
    width, depth = p.chest[0] * (1 + 0.012 * breath), p.chest[1] * (1 + 0.018 * breath)
    # The cage narrows towards the apex, with its back in place.
    full = ramp(z, -40, 85)
    a, b = width * (0.66 + 0.34 * full), depth * (0.72 + 0.28 * full)
    cage_y = y - np.float32(depth - b)
    # Egg-shaped: wider at the back, where both lungs extend beyond the spine.
    egg = a * (1 + np.float32(0.09) * np.clip(cage_y / b, -1, 1))
    bulge = np.exp(-(((np.abs(x) - np.float32(0.47 * a)) / np.float32(0.3 * a)) ** 2)) * np.clip(
        cage_y / b, 0, 1
    )
    cage_y = cage_y - np.float32(10) * bulge
    level = (np.abs(x / egg) ** p.power + np.abs(cage_y / b) ** p.power) ** np.float32(1 / p.power)
    return Chest(
        width=width,
        depth=depth,
        half_depth=b,
        cage=(level - 1) * np.float32((a + b) / 2),
        cage_y=cage_y,
        spine_y=depth - 24.0,
        texture=canvas.noise(p.fine, z, cell=5.0),
    )
