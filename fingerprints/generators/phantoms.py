"""Axial thorax CT slices of virtual patients, drawn by formula: data for tests and trials without any.

Anatomy is in millimetres, x to the patient's left (image right), y to the back (image down), z to the
feet, with z = 0 at the apex of the lungs; densities are in Hounsfield units until the lung window.
Sizes and densities of organs are textbook values with a spread; they claim no clinical truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.measure import block_reduce

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.progress import Progress

WINDOW_CENTRE, WINDOW_WIDTH = -600.0, 1500.0  # lung window: black at -1350 HU, white from 150 HU
SMALLEST = 16  # pixels a side, below which no organ is left
LUNG_LENGTH = 230.0  # mm from apex to the deepest recess
SLAB = 1.5  # mm that a slice averages over

AIR, LUNG, FAT, MUSCLE, BLOOD, LIVER, MARROW, CORTEX = -1000, -870, -105, 30, 38, 60, 105, 480

# Reconstruction: blur in mm, overshoot of edges, noise in HU at 1 mm pixels, its correlation in mm.
KERNELS = (
    (1.10, 0.0, 9.0, 1.3),  # soft
    (0.70, 0.3, 15.0, 0.9),  # standard
    (0.35, 0.9, 27.0, 0.6),  # lung
    (0.55, 0.4, 42.0, 0.7),  # low dose
)

Field = NDArray[np.float32]


@dataclass(frozen=True)
class Phantoms:
    """Slices and whose they are; the slices of a patient are consecutive, from apex to base.

    Args:
        images: `(n, size, size)` uint8, lung window (-600/1500 HU): air 60, lung 80, fat 213,
            soft tissue 235, bone 255.
        patients: `(n,)` group of each image, such as `patient_0007`.
    """

    images: NDArray[np.uint8]
    patients: list[str]


def make_phantoms(
    *,
    patients: int,
    slices_per_patient: int,
    size: int = 64,
    seed: int = 0,
    progress: Progress | None = None,
) -> Phantoms:
    """Draw `patients * slices_per_patient` slices.

    A patient depends on `seed`, its number, `slices_per_patient` and `size` only: 10 patients are the
    first 10 of 20. Another size shows the same anatomy with other noise.

    Args:
        patients: How many, 1 or more.
        slices_per_patient: Spread from the upper to the lower lung, 1 or more.
        size: Pixels a side, 16 or more.
        seed: 0 or more.
        progress: Called with `"phantoms"`, images done and images in all, after each patient.

    Raises:
        FingerprintsError: If a number is too small.
    """
    for key, value, least in (
        ("patients", patients, 1),
        ("slices_per_patient", slices_per_patient, 1),
        ("size", size, SMALLEST),
        ("seed", seed, 0),
    ):
        if value < least:
            raise FingerprintsError(
                f"Phantoms need {key} >= {least}, not {value}.", where=key, fix=f"{key}={least} or more"
            )
    total = patients * slices_per_patient
    images = np.empty((total, size, size), dtype=np.uint8)
    for number in range(patients):
        patient = _draw_patient(np.random.default_rng([seed, number, 0xB0D7]))
        for i in range(slices_per_patient):
            shape_rng = np.random.default_rng([seed, number, i, 0x511CE])
            noise_rng = np.random.default_rng([seed, number, i, 0x0153])
            z = patient.top + (patient.bottom - patient.top) * (i + shape_rng.random()) / slices_per_patient
            hu = _slice(patient, z, size, shape_rng)
            images[number * slices_per_patient + i] = _reconstruct(hu, patient, z, noise_rng)
        if progress is not None:
            progress("phantoms", (number + 1) * slices_per_patient, total)
    names = [f"patient_{number:04d}" for number in range(patients) for _ in range(slices_per_patient)]
    return Phantoms(images=images, patients=names)


@dataclass(frozen=True)
class _Patient:
    """What stays the same from slice to slice. Lengths in mm, half-axes where not said otherwise."""

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


def _draw_patient(rng: np.random.Generator) -> _Patient:
    def spread(mean: float, deviation: float) -> float:
        return float(mean + deviation * np.clip(rng.standard_normal(), -2.2, 2.2))

    def chance(probability: float) -> bool:
        return bool(rng.random() < probability)

    build = spread(1.0, 0.06)
    chest = (spread(130, 8) * build, spread(94, 7) * build)
    fat = float(np.clip(rng.gamma(2.2, 6.0), 4, 38))
    dome_right = spread(155, 14)
    dome_left = dome_right + spread(12, 9)
    # As archives do, some patients have slices of a part of the lung only.
    top = float(rng.uniform(8, 62))
    bottom = float(rng.uniform(150, 222))
    thickness = (spread(11, 2), spread(27, 4))
    flank = spread(13, 2)
    half_width = (chest[0] + flank + fat * 0.8) * spread(0.87, 0.04)
    half_depth = (chest[1] + (thickness[0] + thickness[1]) / 2 + fat * 0.7) * spread(0.9, 0.045)
    severity = 0.0 if chance(0.4) else float(rng.beta(1.2, 1.8))
    kernel = KERNELS[int(rng.integers(len(KERNELS)))]
    return _Patient(
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
    """`(n, 5)`: x, y, z, radius, strength. More, larger and denser with `severity` 0..1.

    Mostly at the edge of the lung, at the back and low, as in COVID-19.
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
    """Trees from both hila: starts `(n, 3)`, ends `(n, 3)`, radii `(n,)`, whether with a bronchus `(n,)`."""
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
            # Two children, turned apart; the thinner one turns more.
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


class _Canvas:
    """A slice being painted: densities over a grid of millimetres.

    Args:
        x, y: `(H, W)` place of each pixel, after the patient's irregular warp.
        across, down: `(W,)` and `(H,)` the same before warp and rotation.
        to_pixels: `(2, 3)` matrix from (x, y, 1) to (row, column), before the warp.
        margin: How far the warp moves a point at most, mm.
    """

    def __init__(
        self, x: Field, y: Field, across: Field, down: Field, *, to_pixels: NDArray[np.float64], margin: float
    ) -> None:
        self.x, self.y, self.across, self.down = x, y, across, down
        self.to_pixels, self.margin = to_pixels, margin
        self.per_mm = np.abs(to_pixels[:, :2]).sum(axis=1).max()
        self.steps = (float(down[1] - down[0]), float(across[1] - across[0]))
        self.pixel = float(np.sqrt(self.steps[0] * self.steps[1]))
        self.hu = np.full(x.shape, AIR, dtype=np.float32)

    def inside(self, distance: Field, *, soft: float = 0.0) -> Field:
        """0..1: how much of a pixel lies where `distance` < 0; `soft` mm of partial volume."""
        share: Field = np.float32(0.5) - distance * np.float32(1 / (self.pixel + soft))
        return np.minimum(np.maximum(share, 0), 1)

    def noise(self, noise: Field, z: float, *, cell: float, shift: float = 0.0) -> Field:
        """`(H, W)` of a noise that wraps around, one grid step to `cell` mm, smooth."""
        low = int(np.floor(z / cell))
        share = np.float32(z / cell - low)
        plane = noise[low % len(noise)] * (1 - share) + noise[(low + 1) % len(noise)] * share
        down = _blend((self.down + np.float32(shift)) / np.float32(cell), plane.shape[0])
        across = _blend((self.across + np.float32(shift)) / np.float32(cell), plane.shape[1])
        # The blend takes about half of the variance of such noise: give it back.
        return np.asarray(np.float32(1.4) * (down @ plane @ across.T), dtype=np.float32)

    def paint(self, value: float | Field, mask: Field) -> None:
        self.hu += (value - self.hu) * mask

    def box(self, cx: float, cy: float, radius: float) -> tuple[slice, slice]:
        """Rows and columns that a circle may touch."""
        row, column = self.to_pixels @ (cx, cy, 1.0)
        reach = (radius + self.margin) * self.per_mm + 2
        height, width = len(self.down), len(self.across)
        return (
            slice(int(np.clip(row - reach, 0, height)), int(np.clip(row + reach + 1, 0, height))),
            slice(int(np.clip(column - reach, 0, width)), int(np.clip(column + reach + 1, 0, width))),
        )

    def ellipse(
        self,
        value: float,
        cx: float,
        cy: float,
        rx: float,
        ry: float,
        *,
        angle: float = 0.0,
        soft: float = 0.0,
        rim: float | None = None,
        rim_width: float = 2.0,
    ) -> None:
        """Paint an ellipse, with a `rim` of another density if given."""
        box = self.box(cx, cy, max(rx, ry) + soft)
        distance = _ellipse(self.x[box] - cx, self.y[box] - cy, rx, ry, angle)
        hu = self.hu[box]  # a view: painting it paints the canvas
        if rim is not None:
            hu += (rim - hu) * self.inside(distance, soft=soft)
            distance = distance + np.float32(rim_width)
        hu += (value - hu) * self.inside(distance, soft=soft)

    def lines(
        self, starts: NDArray[np.float64], ends: NDArray[np.float64], radii: NDArray[np.float64]
    ) -> Field:
        """`(H, W)` 0..1, near 1 along thick lines; along those thinner than a pixel, their share of it."""
        cover = np.zeros(self.hu.size, dtype=np.float32)
        height, width = len(self.down), len(self.across)
        counts = np.ceil(np.linalg.norm(ends - starts, axis=1) / (0.8 * self.pixel)).astype(int) + 1
        which = np.repeat(np.arange(len(radii)), counts)
        nth = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        share = (nth / np.maximum(counts[which] - 1, 1))[:, None]
        places = starts[which] * (1 - share) + ends[which] * share
        pixels = np.column_stack([places, np.ones(len(places))]) @ self.to_pixels.T
        middles = np.rint(pixels).astype(int)
        reaches = np.ceil(radii[which] / min(self.steps) + 0.5).astype(int)
        # Discs strung along each line; all discs that touch equally many pixels at a time.
        for reach in np.unique(reaches):
            at = reaches == reach
            side = np.arange(-reach, reach + 1)
            rows, columns = middles[at, 0, None] + side, middles[at, 1, None] + side
            dy = (rows - pixels[at, 0, None]) * self.steps[0]
            dx = (columns - pixels[at, 1, None]) * self.steps[1]
            radius = radii[which[at], None, None]
            far = np.sqrt(dy[:, :, None] ** 2 + dx[:, None, :] ** 2) - radius
            value = np.clip(0.5 - far / self.pixel, 0, 1) * np.minimum(1.0, 2.2 * radius / self.pixel)
            index = rows[:, :, None] * width + columns[:, None, :]
            seen = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[
                :, None, :
            ]
            np.maximum.at(cover, index[seen], value[seen].astype(np.float32))
        return cover.reshape(height, width)


def _blend(places: Field, n: int) -> Field:
    """`(len(places), n)` weights of a cubic B-spline on a ring of n grid values, at each place."""
    low = np.floor(places)
    t = places - low
    rows, low = np.arange(len(places)), low.astype(int)
    weights = np.zeros((len(places), n), dtype=np.float32)
    weights[rows, (low - 1) % n] = (1 - t) ** 3 / 6
    weights[rows, low % n] = (3 * t**3 - 6 * t**2 + 4) / 6
    weights[rows, (low + 1) % n] = (3 * (1 - t) ** 3 - 6 * (1 - t) ** 2 + 4) / 6
    weights[rows, (low + 2) % n] = t**3 / 6
    return weights


def _ellipse(x: Field, y: Field, rx: float, ry: float, angle: float = 0.0) -> Field:
    """Signed distance to an ellipse's edge, first order, negative inside."""
    if angle:
        cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        x, y = cosine * x + sine * y, cosine * y - sine * x
    u, v = x * np.float32(1 / rx), y * np.float32(1 / ry)
    uu, vv = u * u, v * v
    level = np.sqrt(uu + vv)
    slope = np.sqrt(uu * np.float32(1 / rx**2) + vv * np.float32(1 / ry**2))
    # The small numbers make the distance at the centre, 0 / 0 otherwise, the shorter half-axis.
    distance: Field = (level - 1) * (level + np.float32(1e-3)) / (slope + np.float32(1e-3 / min(rx, ry)))
    return distance


def _join(a: Field, b: Field, blend: float) -> Field:
    """Distance to the union, with a fillet of about `blend` mm (polynomial smooth minimum)."""
    overlap = np.maximum(np.float32(blend) - np.abs(a - b), 0)
    joined: Field = np.minimum(a, b) - overlap * overlap / np.float32(4 * blend)
    return joined


def _ramp(value: float, start: float, end: float) -> float:
    """0 before `start`, 1 after `end`, smooth between."""
    t = min(max((value - start) / (end - start), 0.0), 1.0)
    return t * t * (3 - 2 * t)


def _slice(p: _Patient, z: float, size: int, rng: np.random.Generator) -> Field:
    """`(size, size)` densities in HU of the slice at `z`, before the scanner's blur and noise."""
    breath = float(rng.normal(0, 1.0))  # deeper breath: wider chest, lower diaphragm
    canvas = _aim(p, z, size, breath, rng)
    x, y = canvas.x, canvas.y
    width, depth = p.chest[0] * (1 + 0.012 * breath), p.chest[1] * (1 + 0.018 * breath)
    # The cage narrows to the apex, keeping its back in place.
    full = _ramp(z, -40, 85)
    a, b = width * (0.66 + 0.34 * full), depth * (0.72 + 0.28 * full)
    cage_y = y - np.float32(depth - b)
    # An egg, wider at the back, where both lungs bulge past the spine.
    egg = a * (1 + np.float32(0.09) * np.clip(cage_y / b, -1, 1))
    bulge = np.exp(-(((np.abs(x) - np.float32(0.47 * a)) / np.float32(0.3 * a)) ** 2)) * np.clip(
        cage_y / b, 0, 1
    )
    cage_y = cage_y - np.float32(10) * bulge
    level = (np.abs(x / egg) ** p.power + np.abs(cage_y / b) ** p.power) ** np.float32(1 / p.power)
    cage: Field = (level - 1) * np.float32((a + b) / 2)
    spine_y = depth - 24.0
    texture = canvas.noise(p.fine, z, cell=5.0)

    _trunk(canvas, p, z, cage, width, depth, texture)
    mediastinum = _mediastinum(canvas, p, z, cage, depth, spine_y)
    domes = _abdomen(canvas, p, z + 4 * -breath, cage)
    _lungs(canvas, p, z, cage, mediastinum, domes, depth, texture)
    _airways(canvas, p, z, spine_y)
    _bones(canvas, p, z, cage, cage_y, depth, b, spine_y)
    hu = np.clip(canvas.hu, -1050, 900)
    factor = len(hu) // size
    return np.asarray(block_reduce(hu, (factor, factor), np.mean), dtype=np.float32) if factor > 1 else hu


def _aim(p: _Patient, z: float, size: int, breath: float, rng: np.random.Generator) -> _Canvas:
    """An empty canvas where the scanner's field of view lies in this slice."""
    half_width, half_depth, cx, cy, angle = p.view
    # Slices are cropped one by one in many archives: the crop moves a little, now and then a lot.
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
    canvas = _Canvas(
        x, y, u[0] + np.float32(cx), v[:, 0] + np.float32(cy), to_pixels=to_pixels, margin=2.5 * p.warp
    )
    for plane, across in ((x, 0.0), (y, 250.0)):
        bend = canvas.noise(p.coarse, z + shift + across, cell=34.0, shift=across)
        ripple = canvas.noise(p.fine, z + across, cell=13.0, shift=across)
        plane += np.float32(p.warp) * (
            np.float32(0.9) * np.clip(bend, -2.2, 2.2) + np.float32(0.2) * np.clip(ripple, -2, 2)
        )
    return canvas


def _trunk(
    canvas: _Canvas, p: _Patient, z: float, cage: Field, width: float, depth: float, texture: Field
) -> None:
    """Table, skin, fat, muscle and what fills the cage before organs are painted."""
    x, y = canvas.x, canvas.y
    front, back = p.thickness
    a = width + p.flank + 14 * (1 - _ramp(z, 0, 110))
    b = depth + (front + back) / 2
    centre = np.float32((back - front) / 2)
    level = (np.abs(x / a) ** 2.3 + np.abs((y - centre) / b) ** 2.3) ** np.float32(1 / 2.3)
    muscle: Field = (level - 1) * np.float32((a + b) / 2)
    # Fat is thickest in front and at the sides, least over the spine.
    skin = muscle - np.float32(p.fat) * (1 - np.float32(0.3) * np.clip(y / b, -1, 1))
    if p.breast:
        size = p.breast * _ramp(z, 30, 110) * (1 - _ramp(z, 190, 240))
        if size > 3:
            bump = _ellipse(
                np.abs(x) - np.float32(0.56 * a), y + np.float32(b * 0.78), a * 0.42, b * 0.2 + size
            )
            skin = _join(skin, bump, 18)
    if p.table >= 0:
        # Straight: the warp is the patient's, not the table's.
        sag = canvas.down[:, None] + (canvas.across / 60) ** 2 * np.float32(1.1)
        line = sag - np.float32(b + float(centre) + p.fat * 0.7 + p.table)
        canvas.paint(-420, canvas.inside(np.abs(line) - 2))
    canvas.paint(10, canvas.inside(skin))
    canvas.paint(FAT + 8 * texture, canvas.inside(skin + 2))
    meat = canvas.inside(muscle + 3 * texture, soft=1.0)
    canvas.paint(MUSCLE + 6 * texture, meat)
    # Fat between the muscles, in sheets along the wall.
    sheet = np.abs(muscle + np.float32(0.45) * (cage - muscle) + 5 * texture) - np.float32(1.2 + 0.04 * p.fat)
    canvas.paint(FAT, np.float32(0.8) * meat * canvas.inside(sheet, soft=2.0))
    canvas.paint(MUSCLE, canvas.inside(cage - 10))
    canvas.paint(-70 + 10 * texture, canvas.inside(cage + 4))


def _mediastinum(canvas: _Canvas, p: _Patient, z: float, cage: Field, depth: float, spine_y: float) -> Field:
    """Paint heart, great vessels and fat; the signed distance to all that parts the lungs."""
    x, y = canvas.x, canvas.y
    blood = BLOOD + p.contrast
    shift = p.tilt
    middle = (spine_y - 18 - depth) / 2  # between sternum and spine
    waist = p.mediastinum * (1 - 0.12 * _ramp(z, 60, 110))
    core = _ellipse(x - np.float32(shift), y - np.float32(middle + 10), waist, (spine_y + depth) * 0.34)
    flare = np.float32(p.junction) + np.float32(0.25) * np.maximum(y + np.float32(depth - 14), 0)
    tongue = np.abs(x - np.float32(shift * 0.6)) - flare
    whole = _join(core, np.maximum(tongue, y - np.float32(middle)), 14)
    grown = _ramp(z, 92, 135)
    heart = None
    if grown > 0:
        heart_x, heart_y = shift + 4 + 15 * grown, middle - 2 - 6 * grown
        rx, ry = p.heart[0] * (0.55 + 0.45 * grown), p.heart[1] * (0.65 + 0.35 * grown)
        heart = _ellipse(x - np.float32(heart_x), y - np.float32(heart_y), rx, ry, p.heart[2] * grown)
        whole = _join(whole, heart, 16)
    block = _ellipse(x, y - np.float32(spine_y), p.spine + 5, 24.0)
    wedge = (np.abs(x) - 12 - np.float32(0.95) * np.maximum(y - np.float32(spine_y), 0)) * np.float32(0.75)
    whole = _join(whole, _join(block, np.maximum(wedge, np.float32(spine_y - 8) - y), 8), 12)
    aorta_x, aorta_y = p.spine + 4 + 0.35 * shift, spine_y - 22
    aorta_x -= 14 * _ramp(z, 130, 210)
    arch = z > p.carina - 34
    if arch:
        whole = _join(whole, _ellipse(x - np.float32(aorta_x), y - np.float32(aorta_y), p.aorta, p.aorta), 6)
    hilum = _ramp(z, p.carina + 2, p.carina + 18) * (1 - _ramp(z, p.carina + 34, p.carina + 60))
    if hilum > 0.05:
        for side in (-1, 1):
            lobe = _ellipse(
                x - np.float32(shift + side * (p.mediastinum + 6)),
                y - np.float32(middle + 26),
                9 * hilum,
                9 * hilum,
            )
            whole = _join(whole, lobe, 10)
    held = canvas.inside(cage)
    canvas.paint(-35, canvas.inside(whole) * held)
    canvas.paint(18, canvas.inside(whole + np.float32(3), soft=6) * held)
    if heart is not None:
        canvas.paint(FAT, np.float32(0.5) * canvas.inside(heart + np.float32(1), soft=2) * held)
        canvas.paint(blood - 5, canvas.inside(heart + np.float32(4), soft=4) * held)
        if p.contrast:
            canvas.ellipse(MUSCLE + 40, heart_x + 18, heart_y + 8, 4.5, ry * 0.4, angle=0.7, soft=8)
    elif z > p.carina - 12:
        canvas.ellipse(blood, shift - 12, middle - 12, p.aorta + 3, p.aorta + 3, soft=2)
        canvas.ellipse(blood, shift + 13, middle - 8, p.aorta + 1, p.aorta, soft=2)
        canvas.ellipse(blood, shift - 24, middle + 2, 8, 10, soft=2)
    elif not arch:  # above the arch: its branches and the veins
        for vx, vy, radius in ((-18, 4, 8), (-8, 20, 5.5), (12, 16, 5), (20, 24, 5.5), (16, -2, 7)):
            canvas.ellipse(blood, shift + vx, middle + vy, radius, radius, soft=1)
    if p.carina - 34 < z <= p.carina - 12:
        canvas.ellipse(blood, shift + 8, (middle + aorta_y) / 2, p.aorta, 40, angle=-0.35, soft=2)
    elif arch:
        canvas.ellipse(blood, aorta_x, aorta_y, p.aorta, p.aorta, soft=1)
    canvas.ellipse(MUSCLE - 10, shift * 0.5 + 4, spine_y - 28, 6, 4.5, soft=1)  # oesophagus
    return whole


def _abdomen(canvas: _Canvas, p: _Patient, z: float, cage: Field) -> Field | None:
    """Paint liver, spleen and stomach; the signed distance to the diaphragm, or `None` above it."""
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
        dome = _ellipse(canvas.x - np.float32(x), canvas.y - np.float32(y), radius, ry)
        mask = canvas.inside(dome, soft=soft) * canvas.inside(cage + 3)
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


def _lungs(
    canvas: _Canvas,
    p: _Patient,
    z: float,
    cage: Field,
    mediastinum: Field,
    domes: Field | None,
    depth: float,
    texture: Field,
) -> None:
    """Paint both lungs with their vessels, fissures and lesions."""
    x, y = canvas.x, canvas.y
    rest = _join(-(cage + 5), mediastinum, 10)  # all that is no lung
    # Towards the apex each lung rounds off into a dome of its own.
    rise = min(max(z, 1.0) / 88, 1.0)
    if rise < 1:
        size = (1 - (1 - rise) ** 1.8) ** (1 / 1.8)
        cap = _ellipse(
            np.abs(x) - np.float32(0.4 * p.chest[0] + 6),
            y - np.float32(0.24 * depth * (1 - rise) + 4),
            size * 0.62 * p.chest[0],
            size * 1.12 * depth,
        )
        rest = _join(rest, -cap, 12)
    if domes is not None:
        rest = _join(rest, domes, 4)
    if p.effusion:
        level = depth - p.effusion * _ramp(z, 60, 190)
        fluid = np.asarray(level - y + 0.04 * np.abs(x), dtype=np.float32)
        rest = _join(rest, fluid, 8)
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


def _perfused(canvas: _Canvas, p: _Patient, z: float, tissue: Field) -> Field:
    """`tissue` with the vessels that cross the slice, and bronchi beside some."""
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


def _diseased(canvas: _Canvas, p: _Patient, z: float, edge: Field, tissue: Field, texture: Field) -> Field:
    """`tissue` with the lesions that reach this slice: ground glass, and consolidation in the cores."""
    near = p.lesions[np.abs(p.lesions[:, 2] - z) < 2 * p.lesions[:, 3]]
    if not len(near):
        return tissue
    x, y = canvas.x, canvas.y
    load = np.zeros_like(x)
    for cx, cy, cz, radius, strength in near.tolist():
        far = ((x - np.float32(cx)) ** 2 + (y - np.float32(cy)) ** 2) / np.float32(radius**2)
        load += np.float32(strength * np.exp(-(((z - cz) / radius) ** 2))) * np.exp(-far)
    # Ragged borders, and a preference for the pleura.
    load *= 1 + np.float32(0.3) * texture + np.float32(0.35) * np.exp(edge / np.float32(12))
    load += np.float32(0.16) * canvas.noise(p.fine, z, cell=8.0, shift=90) * np.minimum(load * 3, 1)
    glass = np.clip((load - np.float32(0.22)) * 3, 0, 1) * (1 + np.float32(0.22) * texture)
    solid = np.clip((load - np.float32(0.95)) * 3, 0, 1)
    tissue = tissue + np.float32(p.opacity) * glass
    return np.asarray(tissue + (30 - tissue) * solid, dtype=np.float32)


def _airways(canvas: _Canvas, p: _Patient, z: float, spine_y: float) -> None:
    """Paint the trachea, below the carina the main bronchi."""
    offset, rx, ry = p.trachea
    y = spine_y - 0.8 * p.spine - 17 - ry - 0.12 * (p.carina - z) + 6 * _ramp(z, 0, p.carina)
    below = z - p.carina
    x = p.tilt * 0.6 + offset
    if below < 0:
        wide = rx * (1 + 0.5 * _ramp(below, -10, 0))
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


def _bones(
    canvas: _Canvas, p: _Patient, z: float, cage: Field, cage_y: Field, depth: float, b: float, spine_y: float
) -> None:
    """Paint ribs, spine, sternum, clavicles and shoulder blades."""
    x = canvas.x
    spacing, drop, offset = p.ribs
    angle = np.arctan2(np.abs(x), cage_y)  # 0 at the back, pi in front
    # Ribs fall from back to front: each slice cuts several, and the cuts move with z.
    turn = (z + offset + 4 * np.sign(x) - np.float32(drop / np.pi) * angle) / np.float32(spacing)
    off = (turn - np.round(turn)) * np.float32(spacing)
    rib: Field = (np.hypot((cage - 3.5) / np.float32(4.6), off / np.float32(6.6)) - 1) * np.float32(4.6)
    # The last stretch to the sternum is cartilage.
    cartilage = np.clip((angle - np.float32(2.45)) * 5, 0, 1)
    canvas.paint(CORTEX - 470 * cartilage, canvas.inside(rib))
    canvas.paint(MARROW - 80 * cartilage, canvas.inside(rib + np.float32(1.7)))

    s = p.spine
    beat = (z + offset) / 23 % 1.0  # position within one vertebra; the first fifth is the disc
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
    front = depth - 2 * b - 7
    if z > 28:
        canvas.ellipse(
            MARROW - 90, p.tilt * 0.2, front, 19 - 5 * _ramp(z, 60, 130), 7, rim=CORTEX, rim_width=1.8
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
            length = 36 * (1 - _ramp(z, 70, 140)) + 6
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


def _reconstruct(hu: Field, p: _Patient, z: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The scanner's blur, overshoot and noise, then the lung window: `(size, size)` uint8."""
    blur, overshoot, noise, correlation = p.kernel
    pixel = 2 * float(np.sqrt(p.view[0] * p.view[1])) / len(hu)
    hu = gaussian_filter(hu, blur / pixel)
    if overshoot:
        hu = hu + np.float32(overshoot) * (hu - gaussian_filter(hu, 1.1 / pixel))
    # Averaged over larger pixels the noise falls, more slowly than if it were white.
    level = noise * min(1.0, 1.2 / pixel) ** 0.8
    grain = gaussian_filter(rng.standard_normal(hu.shape, dtype=np.float32), correlation / pixel)
    # The shoulders swallow rays from the side: streaks across the upper slices.
    streaks = gaussian_filter(rng.standard_normal(hu.shape, dtype=np.float32), (0.7 / pixel, 14 / pixel))
    shoulders = 0.9 * (1 - _ramp(z, 20, 70))
    body = np.clip((hu + 1000) / 1000, 0.35, 1.0)  # air around the body is quieter
    hu = hu + np.float32(level) * body * (
        grain / max(float(grain.std()), 1e-6)
        + np.float32(shoulders) * streaks / max(float(streaks.std()), 1e-6)
    )
    grey = (hu - (WINDOW_CENTRE - WINDOW_WIDTH / 2)) * (255 / WINDOW_WIDTH)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)
