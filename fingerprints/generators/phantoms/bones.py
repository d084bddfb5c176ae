"""Ribs, spine, sternum, clavicles and shoulder blades."""

from __future__ import annotations

import numpy as np

from fingerprints.generators.phantoms.canvas import CORTEX, MARROW, Canvas, Field, ramp
from fingerprints.generators.phantoms.chest import Chest
from fingerprints.generators.phantoms.patient import Patient


def paint_ribs(canvas: Canvas, p: Patient, z: float, chest: Chest) -> None:
    """Paint ribs and their cartilage."""
    x, cage = canvas.x, chest.cage
    spacing, drop, offset = p.ribs
    angle = np.arctan2(np.abs(x), chest.cage_y)  # 0 at the back, pi in front
    # Ribs fall from back to front: each slice cuts several, and the cuts move with z.
    turn = (z + offset + 4 * np.sign(x) - np.float32(drop / np.pi) * angle) / np.float32(spacing)
    off = (turn - np.round(turn)) * np.float32(spacing)
    rib: Field = (np.hypot((cage - 3.5) / np.float32(4.6), off / np.float32(6.6)) - 1) * np.float32(4.6)
    # The last stretch to the sternum is cartilage.
    cartilage = np.clip((angle - np.float32(2.45)) * 5, 0, 1)
    canvas.paint(CORTEX - 470 * cartilage, canvas.inside(rib))
    canvas.paint(MARROW - 80 * cartilage, canvas.inside(rib + np.float32(1.7)))


def paint_spine(canvas: Canvas, p: Patient, z: float, chest: Chest) -> None:
    """Paint vertebra or disc, its arch and processes, and the canal."""
    s, spine_y = p.spine, chest.spine_y
    beat = (z + p.ribs[2]) / 23 % 1.0  # position within one vertebra; the first fifth is the disc
    disc = beat < 0.2
    canal_y = spine_y + 0.75 * s + 8
    canvas.ellipse(MARROW, 0, canal_y + 1, 13.5, 12.5, rim=CORTEX, rim_width=2.0)  # arch
    if beat > 0.35:
        for side in (-1, 1):  # transverse processes and the heads of ribs
            canvas.ellipse(
                MARROW, side * 25, canal_y + 6, 17, 5, angle=side * 0.45, rim=CORTEX, rim_width=1.8
            )
    canvas.ellipse(MARROW, 0, canal_y + 24, 4.2, 16 * (0.6 + 0.4 * beat), rim=CORTEX, rim_width=1.8)
    canvas.ellipse(
        90 if disc else MARROW - 30,
        0,
        spine_y,
        s,
        s * 0.8,
        rim=95 if disc else CORTEX,
        rim_width=1.8,
        soft=0.5,
    )
    canvas.ellipse(25, 0, canal_y, 9, 8.2)


def paint_sternum_and_shoulders(canvas: Canvas, p: Patient, z: float, chest: Chest) -> None:
    """Paint the sternum, and at the top of the chest clavicles and shoulder blades."""
    depth = chest.depth
    front = depth - 2 * chest.half_depth - 7
    if z > 28:
        canvas.ellipse(
            MARROW - 90, p.tilt * 0.2, front, 19 - 5 * ramp(z, 60, 130), 7, rim=CORTEX, rim_width=1.8
        )
    if z < 40:
        for side in (-1, 1):
            canvas.ellipse(
                MARROW,
                side * (30 + 0.9 * (40 - z)),
                front - 2,
                17,
                8,
                angle=-side * 0.35,
                rim=CORTEX,
                rim_width=2,
            )
    if z < 135:
        for side in (-1, 1):
            length = 36 * (1 - ramp(z, 70, 140)) + 6
            canvas.ellipse(
                MARROW,
                side * (p.chest[0] * 0.8 + 6 - 0.06 * z),
                depth * 0.62 + 14,
                length,
                4.2,
                angle=-side * 0.85,
                rim=CORTEX,
                rim_width=1.8,
            )
