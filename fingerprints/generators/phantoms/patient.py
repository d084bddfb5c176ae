"""One virtual patient: the properties that all slices share.

Anatomy is in millimetres, x to the patient's left (image right), y to the back (image down), z to the
feet, with z = 0 at the apex of the lungs. Sizes and densities of organs are textbook values with random
variation; they are not clinically validated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from fingerprints.generators.phantoms.canvas import LUNG, Field

LUNG_LENGTH = 230.0  # mm from apex to the deepest recess

# Reconstruction: blur in mm, overshoot of edges, noise in HU at 1 mm pixels, its correlation in mm.
KERNELS = (
    (1.10, 0.0, 9.0, 1.3),  # soft
    (0.70, 0.3, 15.0, 0.9),  # standard
    (0.35, 0.9, 27.0, 0.6),  # lung
    (0.55, 0.4, 42.0, 0.7),  # low dose
)


@dataclass(frozen=True)
class Patient:
    """The properties that all slices share. Lengths are in mm, and are half-axes unless noted."""

    top: float  # z of the first slice
    bottom: float  # z of the last slice
    chest: tuple[float, float]  # half width and half depth of the rib cage, inside
    power: float  # of the cage's superellipse
    fat: float  # under the skin
    flank: float  # muscle at the side
    breast: float
    thickness: tuple[float, float]  # of the trunk's front and back, cage to fat
    tilt: float  # of heart and mediastinum to the left
    heart: tuple[float, float, float]  # half-axes and angle
    mediastinum: float  # half width
    junction: float  # half width of the mediastinum behind the sternum
    spine: float  # half width of a vertebra
    aorta: float
    trachea: tuple[float, float, float]  # x offset, half-axes
    carina: float  # z
    dome: tuple[float, float]  # z of the right and of the left diaphragm's top
    dome_x: tuple[float, float]
    liver: float  # widening of the domes per mm below their tops
    gas: float  # radius of the stomach's bubble, 0 for none
    contrast: float  # HU added to blood
    lung: float  # HU of healthy lung
    gravity: float  # HU added from front to back
    ribs: tuple[float, float, float]  # spacing, drop from back to front, offset
    effusion: float  # fluid's depth at the back, 0 for none
    lesions: NDArray[np.float64]  # (n, 5): x, y, z, radius, strength (1 is the threshold of consolidation)
    opacity: float  # HU that ground glass adds
    vessels: tuple[NDArray[np.float64], ...]  # starts (n, 3), ends (n, 3), radii (n,), with a bronchus (n,)
    coarse: Field  # (16, 16, 16) noise of unit variance that wraps around, for outlines
    fine: Field  # (24, 48, 48) the same, for texture
    warp: float  # amplitude of irregular outlines
    view: tuple[float, float, float, float, float]  # half width and half depth shown, centre, angle
    table: float  # gap between back and table, negative for none
    kernel: tuple[float, float, float, float]


def draw_patient(rng: np.random.Generator) -> Patient:
    """A patient at random."""

    def spread(mean: float, deviation: float) -> float:
        return float(mean + deviation * np.clip(rng.standard_normal(), -2.2, 2.2))

    def chance(probability: float) -> bool:
        return bool(rng.random() < probability)

    build = spread(1.0, 0.06)
    chest = (spread(130, 8) * build, spread(94, 7) * build)
    fat = float(np.clip(rng.gamma(2.2, 6.0), 4, 38))
    dome_right = spread(155, 14)
    dome_left = dome_right + spread(12, 9)
    # As in real archives, some patients have slices of only a part of the lung.
    top = float(rng.uniform(8, 62))
    bottom = float(rng.uniform(150, 222))
    thickness = (spread(11, 2), spread(27, 4))
    flank = spread(13, 2)
    half_width = (chest[0] + flank + fat * 0.8) * spread(0.87, 0.04)
    half_depth = (chest[1] + (thickness[0] + thickness[1]) / 2 + fat * 0.7) * spread(0.9, 0.045)
    severity = 0.0 if chance(0.4) else float(rng.beta(1.2, 1.8))
    kernel = KERNELS[int(rng.integers(len(KERNELS)))]
    return Patient(
        top=top,
        bottom=bottom,
        chest=chest,
        power=spread(2.3, 0.12),
        fat=fat,
        flank=flank,
        breast=spread(24, 7) if chance(0.4) else 0.0,
        thickness=thickness,
        tilt=spread(0, 6),
        heart=(spread(60, 7) * build, spread(50, 5) * build, spread(0.5, 0.2)),
        mediastinum=spread(35, 5),
        junction=float(np.clip(rng.gamma(1.6, 4.0), 2, 22)),
        spine=spread(19, 2),
        aorta=spread(13.5, 2),
        trachea=(spread(3, 4), spread(10, 1.3), spread(10.5, 1.7)),
        carina=spread(82, 9),
        dome=(dome_right, dome_left),
        dome_x=(spread(-62, 7), spread(66, 7)),
        liver=spread(1.0, 0.14),
        gas=spread(22, 8) if chance(0.6) else 0.0,
        contrast=float(rng.uniform(25, 140)) if chance(0.15) else 0.0,
        lung=spread(LUNG, 22),
        gravity=float(rng.uniform(15, 85)),
        ribs=(spread(25, 2), spread(95, 12), float(rng.uniform(0, 25))),
        effusion=float(rng.uniform(8, 38)) if chance(0.08) else 0.0,
        lesions=_draw_lesions(severity, chest, rng),
        opacity=float(rng.uniform(150, 420)),
        vessels=_draw_vessels(chest, rng),
        coarse=_wrapped_noise((16, 16, 16), 1.0, rng),
        fine=_wrapped_noise((24, 48, 48), 0.8, rng),
        warp=float(rng.uniform(2.0, 5.5)),
        view=(half_width, half_depth, spread(0, 4), spread(0, 4), spread(0, 0.03)),
        table=float(rng.uniform(3, 14)) if chance(0.7) else -1.0,
        kernel=(kernel[0], kernel[1], kernel[2] * float(rng.uniform(0.7, 1.3)), kernel[3]),
    )


def _draw_lesions(
    severity: float, chest: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float64]:
    """`(n, 5)`: x, y, z, radius, strength. With `severity` (0..1), number, size and density increase.

    Lesions are mostly at the edge of the lung, at the back and low, as in COVID-19.
    """
    n = 0 if severity == 0 else 1 + int(rng.poisson(26 * severity))
    side = np.where(rng.random(n) < 0.5, -1.0, 1.0)
    angle = np.clip(rng.normal(0.95, 0.65, n), 0.15, 2.9)  # 0 at the back, pi in front
    reach = np.clip(rng.normal(0.86, 0.14, n), 0.35, 1.0)
    out = np.empty((n, 5))
    out[:, 0] = side * np.sin(angle) * reach * chest[0]
    out[:, 1] = np.cos(angle) * reach * chest[1]
    out[:, 2] = LUNG_LENGTH * np.clip(rng.normal(0.58, 0.2, n), 0.1, 0.95)
    out[:, 3] = rng.uniform(9, 16 + 26 * severity, n)
    out[:, 4] = rng.uniform(0.5, 0.85 + 0.8 * severity, n)
    return out


def _draw_vessels(chest: tuple[float, float], rng: np.random.Generator) -> tuple[NDArray[np.float64], ...]:
    """Trees from both hila: starts `(n, 3)`, ends `(n, 3)`, radii `(n,)`, and bool `(n,)`: has a bronchus."""
    scale = chest[0] / 128
    starts, ends, radii, air = [], [], [], []
    for side in (-1.0, 1.0):
        roots = 15
        point = np.array([side * 37.0, 14.0, 108.0]) + rng.normal(0, [4, 7, 12], (roots, 3))
        direction = rng.normal(0, 1.0, (roots, 3)) * [0.7, 0.8, 1.7] + [side * 0.6, 0.1, 0.25]
        direction[:, 0] = side * np.abs(direction[:, 0])
        radius = rng.uniform(2.4, 3.9, roots)
        length = 19.0 * scale
        for generation in range(9):
            direction /= np.linalg.norm(direction, axis=1, keepdims=True)
            end = point + direction * length * rng.uniform(0.65, 1.3, (len(point), 1))
            starts.append(point)
            ends.append(end)
            radii.append(radius)
            air.append(np.full(len(point), generation in (1, 2, 3)) & (rng.random(len(point)) < 0.3))
            # Two branches in different directions; the thinner one turns more.
            point = np.repeat(end, 2, axis=0)
            turn = rng.normal(0, [0.4, 0.4, 0.6], (len(direction), 3))
            direction = np.stack([direction + 0.6 * turn, direction - turn], axis=1).reshape(-1, 3)
            share = rng.uniform(0.5, 0.68, len(radius))
            radius = np.stack([radius * 0.79, radius * share], axis=1).ravel()
            length *= 0.86
    return np.concatenate(starts), np.concatenate(ends), np.concatenate(radii), np.concatenate(air)


def _wrapped_noise(shape: tuple[int, int, int], sigma: float, rng: np.random.Generator) -> Field:
    noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, mode="wrap")
    return np.asarray(noise / noise.std(), dtype=np.float32)
