"""The scanner: field of view, blur, overshoot and noise, lung window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from fingerprints.generators.phantoms.canvas import Canvas, Field, ramp
from fingerprints.generators.phantoms.patient import Patient

WINDOW_CENTRE, WINDOW_WIDTH = -600.0, 1500.0  # lung window: black at -1350 HU, white from 150 HU


def aim(p: Patient, z: float, size: int, rng: np.random.Generator) -> Canvas:
    """An empty canvas at the position of the scanner's field of view in this slice."""
    half_width, half_depth, cx, cy, angle = p.view
    # In many archives slices are cropped one by one: the crop moves slightly, sometimes strongly.
    zoom = float(np.exp(rng.normal(0, 0.04))) * (1.12 if rng.random() < 0.1 else 1.0)
    half_width, half_depth = half_width * zoom, half_depth * zoom * float(np.exp(rng.normal(0, 0.02)))
    cx, cy = cx + float(rng.normal(0, 3.5)), cy + 8 + float(rng.normal(0, 3.5))
    angle += float(rng.normal(0, 0.008))
    side = size * (2 if size <= 256 else 1)
    steps = (np.arange(side, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / side) - np.float32(1)
    u, v = steps[None, :] * np.float32(half_width), steps[:, None] * np.float32(half_depth)
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    x = np.float32(cosine) * u - np.float32(sine) * v + np.float32(cx)
    y = np.float32(sine) * u + np.float32(cosine) * v + np.float32(cy)
    columns = np.array([cosine, sine, -cosine * cx - sine * cy]) * side / (2 * half_width)
    rows = np.array([-sine, cosine, sine * cx - cosine * cy]) * side / (2 * half_depth)
    to_pixels = np.stack([rows, columns])
    to_pixels[:, 2] += side / 2 - 0.5
    shift = float(rng.normal(0, 3.0))  # along z: outlines of neighbouring slices differ by more than z
    canvas = Canvas(
        x, y, u[0] + np.float32(cx), v[:, 0] + np.float32(cy), to_pixels=to_pixels, margin=2.5 * p.warp
    )
    for plane, across in ((x, 0.0), (y, 250.0)):
        bend = canvas.noise(p.coarse, z + shift + across, cell=34.0, shift=across)
        ripple = canvas.noise(p.fine, z + across, cell=13.0, shift=across)
        plane += np.float32(p.warp) * (
            np.float32(0.9) * np.clip(bend, -2.2, 2.2) + np.float32(0.2) * np.clip(ripple, -2, 2)
        )
    return canvas


def reconstruct(hu: Field, p: Patient, z: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The scanner's blur, overshoot and noise, then the lung window: `(size, size)` uint8."""
    blur, overshoot, noise, correlation = p.kernel
    pixel = 2 * float(np.sqrt(p.view[0] * p.view[1])) / len(hu)
    hu = gaussian_filter(hu, blur / pixel)
    if overshoot:
        hu = hu + np.float32(overshoot) * (hu - gaussian_filter(hu, 1.1 / pixel))
    # Larger pixels average the noise: it is lower, but decreases more slowly than white noise.
    level = noise * min(1.0, 1.2 / pixel) ** 0.8
    grain = gaussian_filter(rng.standard_normal(hu.shape, dtype=np.float32), correlation / pixel)
    # The shoulders absorb rays from the side: streaks across the upper slices.
    streaks = gaussian_filter(rng.standard_normal(hu.shape, dtype=np.float32), (0.7 / pixel, 14 / pixel))
    shoulders = 0.9 * (1 - ramp(z, 20, 70))
    body = np.clip((hu + 1000) / 1000, 0.35, 1.0)  # less noise in the air around the body
    hu = hu + np.float32(level) * body * (
        grain / max(float(grain.std()), 1e-6)
        + np.float32(shoulders) * streaks / max(float(streaks.std()), 1e-6)
    )
    grey = (hu - (WINDOW_CENTRE - WINDOW_WIDTH / 2)) * (255 / WINDOW_WIDTH)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)
