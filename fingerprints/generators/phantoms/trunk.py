"""The surroundings of the lungs: table, skin, fat, muscle, and the organs below the diaphragm."""

from __future__ import annotations

import numpy as np

from fingerprints.generators.phantoms.canvas import (
    FAT,
    LIVER,
    MUSCLE,
    Canvas,
    Field,
    ellipse_distance,
    join,
    ramp,
)
from fingerprints.generators.phantoms.chest import Chest
from fingerprints.generators.phantoms.patient import Patient


def paint_trunk(canvas: Canvas, p: Patient, z: float, chest: Chest) -> None:
    """Paint table, skin, fat, muscle and the content of the cage before organs are painted."""
    x, y = canvas.x, canvas.y
    cage, width, depth, texture = chest.cage, chest.width, chest.depth, chest.texture
    front, back = p.thickness
    a = width + p.flank + 14 * (1 - ramp(z, 0, 110))
    b = depth + (front + back) / 2
    centre = np.float32((back - front) / 2)
    level = (np.abs(x / a) ** 2.3 + np.abs((y - centre) / b) ** 2.3) ** np.float32(1 / 2.3)
    muscle: Field = (level - 1) * np.float32((a + b) / 2)
    # Fat is thickest in front and at the sides, and thinnest over the spine.
    skin = muscle - np.float32(p.fat) * (1 - np.float32(0.3) * np.clip(y / b, -1, 1))
    if p.breast:
        size = p.breast * ramp(z, 30, 110) * (1 - ramp(z, 190, 240))
        if size > 3:
            bump = ellipse_distance(
                np.abs(x) - np.float32(0.56 * a), y + np.float32(b * 0.78), a * 0.42, b * 0.2 + size
            )
            skin = join(skin, bump, 18)
    if p.table >= 0:
        # Without the warp, which belongs to the patient and not to the table.
        sag = canvas.down[:, None] + (canvas.across / 60) ** 2 * np.float32(1.1)
        line = sag - np.float32(b + float(centre) + p.fat * 0.7 + p.table)
        canvas.paint(-420, canvas.inside(np.abs(line) - 2))
    canvas.paint(10, canvas.inside(skin))
    canvas.paint(FAT + 8 * texture, canvas.inside(skin + 2))
    meat = canvas.inside(muscle + 3 * texture, soft=1.0)
    canvas.paint(MUSCLE + 6 * texture, meat)
    # Layers of fat between the muscles, along the wall.
    sheet = np.abs(muscle + np.float32(0.45) * (cage - muscle) + 5 * texture) - np.float32(1.2 + 0.04 * p.fat)
    canvas.paint(FAT, np.float32(0.8) * meat * canvas.inside(sheet, soft=2.0))
    canvas.paint(MUSCLE, canvas.inside(cage - 10))
    canvas.paint(-70 + 10 * texture, canvas.inside(cage + 4))


def paint_abdomen(canvas: Canvas, p: Patient, z: float, chest: Chest) -> Field | None:
    """Paint liver, spleen and stomach; returns the signed distance to the diaphragm, or `None` above it."""
    whole = None
    for side, (top, centre) in enumerate(zip(p.dome, p.dome_x, strict=True)):
        below = z - top
        if below <= 0.5:
            continue
        # A dome cut at depth `below` is an ellipse that soon fills its half of the chest.
        radius = p.liver * 10.5 * below**0.52
        # Nearly tangent to the slice at its top, so partial volume blurs the edge.
        soft = 2 + 50 / (4 + below)
        ry = radius * 1.15
        x, y = centre * (1 - 0.003 * min(below, 60)), 2.0 - 0.15 * below
        dome = ellipse_distance(canvas.x - np.float32(x), canvas.y - np.float32(y), radius, ry)
        mask = canvas.inside(dome, soft=soft) * canvas.inside(chest.cage + 3)
        canvas.paint(LIVER if side == 0 else -50, mask)
        if side == 1:
            canvas.ellipse(30, x - 8, y - 0.3 * ry, radius * 0.7, ry * 0.5, angle=0.4, soft=3)
            canvas.ellipse(
                LIVER - 8, x + 0.25 * radius, y + 0.5 * ry, radius * 0.62, ry * 0.38, angle=-0.5, soft=3
            )
            if p.gas and below > 10:
                bubble = min(p.gas, radius * 0.45)
                canvas.ellipse(-960, x - 6, y - 0.45 * ry, bubble * 1.2, bubble * 0.7, rim=30, rim_width=3.5)
        dome = dome + np.float32(soft * 0.15)
        whole = dome if whole is None else np.minimum(whole, dome)
    return whole
