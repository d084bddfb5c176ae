"""The organs between the lungs: heart, great vessels, airways."""

from __future__ import annotations

import numpy as np

from fingerprints.generators.phantoms.canvas import (
    AIR,
    BLOOD,
    FAT,
    MUSCLE,
    Canvas,
    Field,
    ellipse_distance,
    join,
    ramp,
)
from fingerprints.generators.phantoms.chest import Chest
from fingerprints.generators.phantoms.patient import Patient


def paint_mediastinum(canvas: Canvas, p: Patient, z: float, chest: Chest) -> Field:
    """Paint heart, great vessels and fat; returns the signed distance to the tissue between the lungs."""
    x, y = canvas.x, canvas.y
    depth, spine_y = chest.depth, chest.spine_y
    blood = BLOOD + p.contrast
    shift = p.tilt
    middle = (spine_y - 18 - depth) / 2  # between sternum and spine
    waist = p.mediastinum * (1 - 0.12 * ramp(z, 60, 110))
    core = ellipse_distance(
        x - np.float32(shift), y - np.float32(middle + 10), waist, (spine_y + depth) * 0.34
    )
    flare = np.float32(p.junction) + np.float32(0.25) * np.maximum(y + np.float32(depth - 14), 0)
    tongue = np.abs(x - np.float32(shift * 0.6)) - flare
    whole = join(core, np.maximum(tongue, y - np.float32(middle)), 14)
    grown = ramp(z, 92, 135)
    heart = None
    if grown > 0:
        heart_x, heart_y = shift + 4 + 15 * grown, middle - 2 - 6 * grown
        rx, ry = p.heart[0] * (0.55 + 0.45 * grown), p.heart[1] * (0.65 + 0.35 * grown)
        heart = ellipse_distance(x - np.float32(heart_x), y - np.float32(heart_y), rx, ry, p.heart[2] * grown)
        whole = join(whole, heart, 16)
    block = ellipse_distance(x, y - np.float32(spine_y), p.spine + 5, 24.0)
    wedge = (np.abs(x) - 12 - np.float32(0.95) * np.maximum(y - np.float32(spine_y), 0)) * np.float32(0.75)
    whole = join(whole, join(block, np.maximum(wedge, np.float32(spine_y - 8) - y), 8), 12)
    aorta_x, aorta_y = p.spine + 4 + 0.35 * shift, spine_y - 22
    aorta_x -= 14 * ramp(z, 130, 210)
    arch = z > p.carina - 34
    if arch:
        whole = join(
            whole, ellipse_distance(x - np.float32(aorta_x), y - np.float32(aorta_y), p.aorta, p.aorta), 6
        )
    hilum = ramp(z, p.carina + 2, p.carina + 18) * (1 - ramp(z, p.carina + 34, p.carina + 60))
    if hilum > 0.05:
        for side in (-1, 1):
            lobe = ellipse_distance(
                x - np.float32(shift + side * (p.mediastinum + 6)),
                y - np.float32(middle + 26),
                9 * hilum,
                9 * hilum,
            )
            whole = join(whole, lobe, 10)
    held = canvas.inside(chest.cage)
    canvas.paint(-35, canvas.inside(whole) * held)
    canvas.paint(18, canvas.inside(whole + np.float32(3), soft=6) * held)
    if heart is not None:
        canvas.paint(FAT, np.float32(0.5) * canvas.inside(heart + np.float32(1), soft=2) * held)
        canvas.paint(blood - 5, canvas.inside(heart + np.float32(4), soft=4) * held)
        if p.contrast:
            canvas.ellipse(MUSCLE + 40, heart_x + 18, heart_y + 8, 4.5, ry * 0.4, angle=0.7, soft=8)
    _paint_vessels(canvas, p, z, middle=middle, aorta=(aorta_x, aorta_y), with_heart=heart is not None)
    canvas.ellipse(MUSCLE - 10, shift * 0.5 + 4, spine_y - 28, 6, 4.5, soft=1)  # oesophagus
    return whole


def _paint_vessels(
    canvas: Canvas, p: Patient, z: float, *, middle: float, aorta: tuple[float, float], with_heart: bool
) -> None:
    """Paint the aorta; above the heart also the vessels that leave and enter the heart."""
    blood, shift = BLOOD + p.contrast, p.tilt
    aorta_x, aorta_y = aorta
    arch = z > p.carina - 34
    if not with_heart and z > p.carina - 12:
        canvas.ellipse(blood, shift - 12, middle - 12, p.aorta + 3, p.aorta + 3, soft=2)
        canvas.ellipse(blood, shift + 13, middle - 8, p.aorta + 1, p.aorta, soft=2)
        canvas.ellipse(blood, shift - 24, middle + 2, 8, 10, soft=2)
    elif not with_heart and not arch:  # above the arch: its branches and the veins
        for vx, vy, radius in ((-18, 4, 8), (-8, 20, 5.5), (12, 16, 5), (20, 24, 5.5), (16, -2, 7)):
            canvas.ellipse(blood, shift + vx, middle + vy, radius, radius, soft=1)
    if p.carina - 34 < z <= p.carina - 12:
        canvas.ellipse(blood, shift + 8, (middle + aorta_y) / 2, p.aorta, 40, angle=-0.35, soft=2)
    elif arch:
        canvas.ellipse(blood, aorta_x, aorta_y, p.aorta, p.aorta, soft=1)


def paint_airways(canvas: Canvas, p: Patient, z: float, chest: Chest) -> None:
    """Paint the trachea, or below the carina the main bronchi."""
    offset, rx, ry = p.trachea
    y = chest.spine_y - 0.8 * p.spine - 17 - ry - 0.12 * (p.carina - z) + 6 * ramp(z, 0, p.carina)
    below = z - p.carina
    x = p.tilt * 0.6 + offset
    if below < 0:
        wide = rx * (1 + 0.5 * ramp(below, -10, 0))
        canvas.ellipse(AIR + 15, x, y, wide + 2, ry + 2, rim=30)
    elif below < 42:
        size = 1 - 0.012 * below
        for side, reach in ((-1, 0.8), (1, 0.95)):
            canvas.ellipse(
                AIR + 20,
                x + side * (9 + reach * below),
                y + 0.1 * below,
                (rx * 0.95 + 1.5) * size,
                (ry * 0.72 + 1.5) * size,
                angle=side * 0.3,
                rim=25,
                rim_width=1.6,
            )
