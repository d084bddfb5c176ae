"""Both lungs with their vessels, fissures and lesions."""

from __future__ import annotations

import numpy as np

from fingerprints.generators.phantoms.canvas import BLOOD, Canvas, Field, ellipse_distance, join, ramp
from fingerprints.generators.phantoms.chest import Chest
from fingerprints.generators.phantoms.patient import LUNG_LENGTH, Patient

SLAB = 1.5  # thickness of a slice in mm


def paint_lungs(
    canvas: Canvas,
    p: Patient,
    z: float,
    chest: Chest,
    *,
    mediastinum: Field,
    domes: Field | None,
) -> None:
    """Paint both lungs with their vessels, fissures and lesions.

    Args:
        canvas: The slice.
        p: The patient.
        z: Position of the slice, mm below the apex.
        chest: The rib cage.
        mediastinum: `(H, W)` signed distance to the tissue between the lungs.
        domes: The same for the diaphragm; `None` above it.
    """
    x, y = canvas.x, canvas.y
    depth, texture = chest.depth, chest.texture
    rest = join(-(chest.cage + 5), mediastinum, 10)  # everything outside the lungs
    # Towards the apex each lung becomes a round dome.
    rise = min(max(z, 1.0) / 88, 1.0)
    if rise < 1:
        size = (1 - (1 - rise) ** 1.8) ** (1 / 1.8)
        cap = ellipse_distance(
            np.abs(x) - np.float32(0.4 * p.chest[0] + 6),
            y - np.float32(0.24 * depth * (1 - rise) + 4),
            size * 0.62 * p.chest[0],
            size * 1.12 * depth,
        )
        rest = join(rest, -cap, 12)
    if domes is not None:
        rest = join(rest, domes, 4)
    if p.effusion:
        level = depth - p.effusion * ramp(z, 60, 190)
        fluid = np.asarray(level - y + 0.04 * np.abs(x), dtype=np.float32)
        rest = join(rest, fluid, 8)
    edge = -rest
    lung = canvas.inside(edge, soft=0.6 if domes is None else 2.5)
    if not lung.any():
        return
    tissue = p.lung + np.float32(p.gravity) * (y / np.float32(2 * depth)) + 14 * texture
    for side, (start, lean) in enumerate(((0.1, 0.55), (0.2, 0.6))):  # oblique fissures
        line = (
            y
            - np.float32((start - lean * (z / LUNG_LENGTH - 0.45) * 2.4) * depth)
            + np.float32(0.12) * np.abs(x)
        )
        half = (x < 0) if side == 0 else (x > 0)
        tissue = tissue + 45 * canvas.inside(np.abs(line) - 1, soft=4) * half
    tissue = _diseased(canvas, p, z, edge, tissue, texture)
    canvas.paint(_perfused(canvas, p, z, tissue), lung)


def _perfused(canvas: Canvas, p: Patient, z: float, tissue: Field) -> Field:
    """`tissue` with the vessels that cross the slice, and bronchi next to some of them."""
    starts, ends, radii, air = p.vessels
    low, high = z - SLAB / 2 - radii, z + SLAB / 2 + radii
    hit = (np.minimum(starts[:, 2], ends[:, 2]) < high) & (np.maximum(starts[:, 2], ends[:, 2]) > low)
    first, last, radius, airy = starts[hit], ends[hit], radii[hit], air[hit]
    run = last[:, 2] - first[:, 2]
    run = np.where(np.abs(run) < 1e-3, 1e-3, run)
    # Where each line enters and leaves the slab, as shares of its length.
    enter = np.clip((low[hit] - first[:, 2]) / run, 0, 1)[:, None]
    leave = np.clip((high[hit] - first[:, 2]) / run, 0, 1)[:, None]
    begin, end = (first + (last - first) * enter)[:, :2], (first + (last - first) * leave)[:, :2]
    cover = canvas.lines(begin, end, radius)
    tissue = tissue + (np.float32(BLOOD + p.contrast * 0.8) - tissue) * cover
    if airy.any():
        beside = np.stack([radius, radius * 0.6], axis=1)[airy] * 1.5
        for value, thick in ((-50.0, 1.0), (-960.0, 0.62)):  # wall, then lumen
            tube = canvas.lines(begin[airy] + beside, end[airy] + beside, radius[airy] * thick)
            tissue = tissue + (np.float32(value) - tissue) * tube
    return tissue


def _diseased(canvas: Canvas, p: Patient, z: float, edge: Field, tissue: Field, texture: Field) -> Field:
    """`tissue` with the lesions that reach this slice: ground glass, and consolidation in the cores."""
    near = p.lesions[np.abs(p.lesions[:, 2] - z) < 2 * p.lesions[:, 3]]
    if not len(near):
        return tissue
    x, y = canvas.x, canvas.y
    load = np.zeros_like(x)
    for cx, cy, cz, radius, strength in near.tolist():
        far = ((x - np.float32(cx)) ** 2 + (y - np.float32(cy)) ** 2) / np.float32(radius**2)
        load += np.float32(strength * np.exp(-(((z - cz) / radius) ** 2))) * np.exp(-far)
    # Irregular borders, more often near the pleura.
    load *= 1 + np.float32(0.3) * texture + np.float32(0.35) * np.exp(edge / np.float32(12))
    load += np.float32(0.16) * canvas.noise(p.fine, z, cell=8.0, shift=90) * np.minimum(load * 3, 1)
    glass = np.clip((load - np.float32(0.22)) * 3, 0, 1) * (1 + np.float32(0.22) * texture)
    solid = np.clip((load - np.float32(0.95)) * 3, 0, 1)
    tissue = tissue + np.float32(p.opacity) * glass
    return np.asarray(tissue + (30 - tissue) * solid, dtype=np.float32)
