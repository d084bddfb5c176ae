"""Phantoms: axial thorax CT slices of virtual patients, drawn by rule, for where there are no real images.

Each patient has an anatomy, a scanner and a disease of its own; slices differ by height, breathing and
noise. Grey levels are Hounsfield units seen through the lung window (centre -600, width 1500).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import block_reduce
from skimage.transform import resize

from fingerprints.data.store import Progress
from fingerprints.errors import FingerprintsError

AIR, FAT, MUSCLE, BLOOD, LIVER, CORTEX, MARROW = -1000.0, -95.0, 45.0, 40.0, 60.0, 650.0, 220.0
WINDOW_CENTRE, WINDOW_WIDTH = -600.0, 1500.0
OVERSAMPLING = 2
SMALLEST = 16

Grid = NDArray[np.float32]


@dataclass(frozen=True)
class Phantoms:
    """Slices of virtual patients.

    Attributes:
        images: `(n, size, size)` uint8; slices of a patient are neighbours.
        patients: Patient of each.
    """

    images: NDArray[np.uint8]
    patients: list[str]


def make_phantoms(
    *, patients: int, slices_per_patient: int, size: int = 64, seed: int = 0, progress: Progress | None = None
) -> Phantoms:
    """Draw slices of virtual patients.

    The slices of a patient are a function of (seed, patient's number, slices_per_patient, size): the first
    ten patients of twenty are the ten of ten.

    Args:
        patients: Virtual patients.
        slices_per_patient: Slices of each, spread from the apex of the lungs to their base.
        size: Pixels a side.
        seed: Seed of everything.
        progress: Called after each patient.

    Raises:
        FingerprintsError: If a count is below one or the size below 16.
    """
    for key, value, least in (
        ("patients", patients, 1),
        ("slices_per_patient", slices_per_patient, 1),
        ("size", size, SMALLEST),
    ):
        if value < least:
            raise FingerprintsError(
                f"Phantoms cannot be drawn with {key}={value}.", where=key, fix=f"at least {least}"
            )
    images = np.empty((patients * slices_per_patient, size, size), dtype=np.uint8)
    names = []
    for number in range(patients):
        patient = _Patient([seed, 0xC7, number], size)
        for k in range(slices_per_patient):
            images[number * slices_per_patient + k] = patient.slice(k, slices_per_patient)
            names.append(f"patient_{number:04d}")
        if progress is not None:
            progress("drawing phantoms", (number + 1) * slices_per_patient, len(images))
    return Phantoms(images=images, patients=names)


class _Patient:
    """One anatomy, drawn at any height. Lengths are halves of the field of view; x goes right, y down."""

    def __init__(self, key: Sequence[int], size: int) -> None:
        self.key, self.size = key, size
        rng = self._rng = np.random.default_rng(key)
        side = size * OVERSAMPLING
        axis = (np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1
        y, x = np.meshgrid(axis, axis, indexing="ij")
        uniform = rng.uniform
        # How the patient lies in the picture.
        angle, zoom = rng.normal(0, np.radians(2.0)), uniform(0.96, 1.05)
        x, y = x - np.float32(rng.normal(0, 0.015)), y - np.float32(rng.normal(0, 0.02))
        self.x = ((np.cos(angle) * x + np.sin(angle) * y) * zoom).astype(np.float32)
        self.y = ((-np.sin(angle) * x + np.cos(angle) * y) * zoom).astype(np.float32)
        self.bend = [self._noise(4) * 0.035 for _ in range(4)]  # no organ is an ellipse
        # Thorax.
        self.width, self.depth = uniform(1.02, 1.14), uniform(0.94, 1.14)
        self.power = uniform(2.1, 3.0)
        self.fat, self.wall = uniform(0.02, 0.08), uniform(0.06, 0.11)
        self.lung_hu, self.gravity = uniform(-890, -780), uniform(10, 90)
        # Mediastinum.
        self.heart = (uniform(0.3, 0.46), uniform(0.24, 0.4), uniform(0.08, 0.24), uniform(0.0, 0.2))
        self.middle, self.aorta = uniform(0.1, 0.2), (uniform(0.09, 0.13), uniform(0.08, 0.17))
        self.spine = (uniform(0.11, 0.15), uniform(0.44, 0.56))
        self.dome = uniform(0.66, 0.86), uniform(0.74, 0.94)  # height where liver and left dome begin
        self.ribs = int(rng.integers(9, 13)), uniform(0, 1), uniform(2.0, 4.0)
        # Vessels: where they cross the middle height, direction with height, calibre.
        n = int(rng.integers(160, 300))
        self.vessel_angle = rng.uniform(-np.pi, np.pi, n)
        self.vessel_reach = rng.power(1.3, n)
        self.vessel_height = rng.uniform(-0.05, 1.05, n)
        self.vessel_span = rng.uniform(0.03, 0.1, n)
        self.vessel_slope = rng.normal(0, 1.1, n)
        self.vessel_side = rng.choice([-1, 1], n)
        self.vessel_long = rng.gamma(0.8, 0.8, n)
        # Disease.
        self.severity = float(rng.choice([0.0, rng.beta(1.2, 2.5)], p=[0.3, 0.7]))
        self.lesion = [self._noise(cells) for cells in (7, 7, 7)]
        self.solid, self.peripheral, self.lower = rng.beta(1, 2), uniform(0, 1), uniform(0, 0.8)
        self.emphysema = float(rng.choice([0.0, uniform(20, 90)], p=[0.7, 0.3]))
        self.texture = self._noise(24)
        # Scanner.
        self.blur, self.sharpen = uniform(0.2, 0.75), uniform(0.0, 0.9)
        self.noise, self.grain = rng.gamma(4.0, 7.0), uniform(0.3, 0.9)
        self.table = uniform(1.02, 1.3) if rng.random() < 0.6 else None

    def slice(self, k: int, count: int) -> NDArray[np.uint8]:
        """`(size, size)` uint8 at the k-th of `count` heights."""
        # Of its own, so that neither other slices nor the noise, which depends on the size, move it.
        rng = np.random.default_rng([*self.key, k])
        z = float(np.clip((k + 0.5 + rng.uniform(-0.35, 0.35)) / count, 0.02, 0.98))
        breath = rng.normal(0, 0.015)
        mix = np.float32(z)
        dx = self.bend[0] * (1 - mix) + self.bend[1] * mix
        dy = self.bend[2] * (1 - mix) + self.bend[3] * mix
        x, y = self.x + dx, self.y + dy

        body = _super(x, y, self.width, self.depth, self.power)
        hu = np.full_like(x, AIR)
        if self.table is not None:
            hu[np.abs(self.y - self.table - 0.12 * self.x**2) < 0.025] = -150
        hu[body < 1] = FAT
        inner = _super(x, y, self.width - self.fat, self.depth - self.fat, self.power)
        hu[inner < 1] = MUSCLE
        hu[(inner < 1) & (np.abs(x) < 0.9) & (self._mid(0) > 1.1)] = FAT  # between muscles
        cavity_w, cavity_d = self.width - self.fat - self.wall, self.depth - self.fat - self.wall
        cavity = _super(x, y - 0.02, cavity_w, cavity_d, 2.2)
        self._bones(hu, x, y, cavity, z)
        lung = self._lungs(x, y, cavity, z, breath, cavity_w, cavity_d)
        soft = ~lung & (cavity < 1)
        hu[soft] = MUSCLE
        fatty = soft & (y < -0.2) & (np.abs(x) < 0.3) & (self._mid(1) > 0.4)
        hu[fatty] = FAT
        self._spine(hu, x, y)
        hu[lung] = self._parenchyma(x, y, cavity, z, lung)[lung]
        self._airways(hu, x, y, z)
        return self._scan(hu, rng)

    def _mid(self, which: int) -> Grid:
        return self.bend[which] / 0.035

    def _lungs(
        self, x: Grid, y: Grid, cavity: Grid, z: float, breath: float, width: float, depth: float
    ) -> NDArray[np.bool_]:
        # Apex: small and round; from the upper third on they fill the cavity.
        grow = float(min(1.0, 0.42 + 1.35 * np.sqrt(z)) + breath)
        lung = np.zeros(x.shape, dtype=bool)
        for side in (-1, 1):
            centre = side * width * (0.5 - 0.04 * grow)
            own = _super(x - centre, y - 0.04 * (1 - grow), width * 0.53 * grow, depth * 0.97 * grow, 2.3)
            lung |= (own < 1) & (cavity < 0.985)
        hx, hy, hc, hd = self.heart
        size = float(np.interp(z, [0.0, 0.3, 0.62, 0.85, 1.0], [0.25, 0.5, 1.0, 1.05, 0.8]))
        heart = _super(x - hc * size, y + hd, hx * size, hy * (0.6 + 0.4 * size), 2.2)
        lung &= heart > 1
        lung &= np.abs(x) > self.middle * (0.45 + 0.35 * np.cos(3 * z)) * (1 + 0.5 * y)
        front = np.abs(x) > 0.05 * (1 + 8 * np.maximum(-y - 0.55 * depth, 0))
        lung &= front
        radius, place = self.spine
        lung &= ((x / (radius * 1.35)) ** 2 + ((y - place) / (radius * 1.5)) ** 2) > 1
        r, offset = self.aorta
        lung &= ((x - offset) ** 2 + (y - place + 1.5 * radius) ** 2) > r**2
        for side, begin in ((-1, self.dome[0]), (1, self.dome[1])):
            rise = z - begin + 0.8 * breath
            if rise > 0:
                reach = min(1.1, 2.4 * np.sqrt(rise))
                dome = _super(x - side * 0.42 * width, y + 0.2, width * 0.54 * reach, depth * 0.72 * reach, 2)
                lung &= dome > 1
        return lung

    def _bones(self, hu: Grid, x: Grid, y: Grid, cavity: Grid, z: float) -> None:
        count, phase, pitch = self.ribs
        theta = np.arctan2(y * 1.15, x)
        # A rib comes from the spine at the back and sinks towards the front, so each slice cuts several.
        wave = (np.abs(theta - np.pi / 2) / np.pi * count / 2 + pitch * z + phase) % 1.0
        band = np.abs(cavity - 1.09)
        rib = (np.abs(wave - 0.5) < 0.2) & (band < 0.055)
        hu[rib] = CORTEX
        hu[rib & (band < 0.022) & (np.abs(wave - 0.5) < 0.12)] = MARROW
        sternum = (np.abs(x) < 0.12) & (np.abs(y + (self.depth - self.fat - 0.6 * self.wall)) < 0.035)
        hu[sternum] = MARROW

    def _spine(self, hu: Grid, x: Grid, y: Grid) -> None:
        radius, place = self.spine
        body = (x / radius) ** 2 + ((y - place) / (0.85 * radius)) ** 2
        hu[body < 1] = CORTEX
        hu[body < 0.75] = MARROW
        canal = (x / (0.5 * radius)) ** 2 + ((y - place - 1.25 * radius) / (0.4 * radius)) ** 2
        arch = (x / (1.1 * radius)) ** 2 + ((y - place - 1.3 * radius) / (0.75 * radius)) ** 2
        hu[(arch < 1) & (canal > 1) & (body > 1)] = CORTEX
        hu[canal < 1] = 30
        process = (np.abs(x) < 0.18 * radius) & (np.abs(y - place - 2.3 * radius) < 0.6 * radius)
        hu[process] = CORTEX

    def _parenchyma(self, x: Grid, y: Grid, cavity: Grid, z: float, lung: NDArray[np.bool_]) -> Grid:
        hu = self.lung_hu + self.gravity * (y + 0.3) + 18 * self.texture
        hu = hu - self.emphysema * (self.lesion[2] > 0.8)
        hu = hu + self._vessels(x, y, z)
        if self.severity > 0:
            a, b, c = self.lesion
            field = a * np.cos(2.2 * z) + b * np.sin(2.2 * z) + 0.5 * c
            field = field + 1.4 * self.peripheral * (np.clip(cavity, 0, 1) ** 2 - 0.5)
            field = field + self.lower * (1.2 * (z - 0.5) + 0.8 * y)
            depth = np.clip((field - 2.2 + 4.0 * self.severity) / 0.5, 0, 1)
            solid = np.clip((field - 3.2 + 4.0 * self.severity * (0.4 + self.solid)) / 0.4, 0, 1)
            hu = hu + depth * (230 + 60 * self.texture)
            hu = hu + solid * (20 - hu)
        return np.minimum(hu, 60).astype(np.float32)

    def _vessels(self, x: Grid, y: Grid, z: float) -> Grid:
        out = np.zeros_like(x)
        near = np.flatnonzero(np.abs(self.vessel_height - z) < self.vessel_span)
        for i in near:
            far, side = self.vessel_reach[i], self.vessel_side[i]
            away = 0.12 + 0.75 * far
            turn = self.vessel_angle[i] * 0.5 + self.vessel_slope[i] * (z - self.vessel_height[i])
            ux, uy = side * np.cos(turn), np.sin(turn)
            px, py = side * 0.16 + ux * away * 0.75, -0.02 + uy * away * 0.8
            calibre = 0.042 - 0.026 * far**0.5
            along = calibre * (1 + 2.2 * self.vessel_long[i])
            reach = 2.2 * along
            inside = _window(self.x, self.y, px, py, reach)
            if inside is None:
                continue
            dx, dy = x[inside] - px, y[inside] - py
            u, v = (dx * ux + dy * uy) / along, (dy * ux - dx * uy) / calibre
            spot = np.exp(-(u * u + v * v))
            out[inside] = np.maximum(out[inside], spot * (800 - 250 * far))
        return out

    def _airways(self, hu: Grid, x: Grid, y: Grid, z: float) -> None:
        if z < 0.42:
            tubes = [(0.0, 0.0 + 0.1 * z, 0.065)]
        elif z < 0.68:
            spread = 0.08 + 0.55 * (z - 0.42)
            tubes = [(-spread, 0.05, 0.05), (spread, 0.05, 0.05)]
        else:
            tubes = []
        for px, py, radius in tubes:
            hu[(x - px) ** 2 + (y - py) ** 2 < radius**2] = AIR

    def _scan(self, hu: Grid, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Blur, kernel, noise, window."""
        image = block_reduce(hu, (OVERSAMPLING, OVERSAMPLING), np.mean).astype(np.float32)
        scale = self.size / 64
        image = ndimage.gaussian_filter(image, self.blur * scale)
        if self.sharpen > 0.1:
            image += self.sharpen * (image - ndimage.gaussian_filter(image, 1.2 * scale))
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        noise = ndimage.gaussian_filter(noise, self.grain)
        image += self.noise * noise / max(float(noise.std()), 1e-6)
        grey = (image - (WINDOW_CENTRE - WINDOW_WIDTH / 2)) / WINDOW_WIDTH * 255
        return np.clip(np.rint(grey), 0, 255).astype(np.uint8)

    def _noise(self, cells: int) -> Grid:
        """A smooth random field of mean 0 and deviation 1, alike at every size."""
        coarse = self._rng.standard_normal((cells, cells))
        side = self.size * OVERSAMPLING
        field = resize(coarse, (side, side), order=3, mode="reflect", anti_aliasing=False)
        return ((field - field.mean()) / field.std()).astype(np.float32)


def _super(x: Grid, y: Grid, a: float, b: float, power: float) -> Grid:
    """Superelliptic radius: below 1 within half-axes `a` and `b`."""
    total = np.abs(x / np.float32(a)) ** np.float32(power) + np.abs(y / np.float32(b)) ** np.float32(power)
    return total ** np.float32(1 / power)


def _window(x: Grid, y: Grid, px: float, py: float, reach: float) -> tuple[slice, slice] | None:
    """Rows and columns around a point, generous enough for the patient's rotation and bend."""
    side = len(x)
    reach = reach + 0.1
    centre_x, centre_y = (px - float(x[0, 0])), (py - float(y[0, 0]))
    step_x = (float(x[0, -1]) - float(x[0, 0])) / (side - 1)
    step_y = (float(y[-1, 0]) - float(y[0, 0])) / (side - 1)
    left, right = int((centre_x - reach) / step_x), int((centre_x + reach) / step_x) + 1
    top, bottom = int((centre_y - reach) / step_y), int((centre_y + reach) / step_y) + 1
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, side), min(bottom, side)
    return None if left >= right or top >= bottom else (slice(top, bottom), slice(left, right))
