"""A slice being painted: densities in Hounsfield units over a grid of millimetres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Densities in Hounsfield units.
AIR, LUNG, FAT, MUSCLE, BLOOD, LIVER, MARROW, CORTEX = -1000, -870, -105, 30, 38, 60, 105, 480

Field = NDArray[np.float32]


class Canvas:
    """A slice being painted: densities over a grid of millimetres.

    Args:
        x, y: `(H, W)` position of each pixel, after the patient's irregular warp.
        across, down: `(W,)` and `(H,)` the same before warp and rotation.
        to_pixels: `(2, 3)` matrix from (x, y, 1) to (row, column), before the warp.
        margin: Largest shift of a point by the warp, in mm.
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
        """0..1: share of a pixel where `distance` < 0, with `soft` mm of partial volume."""
        share: Field = np.float32(0.5) - distance * np.float32(1 / (self.pixel + soft))
        return np.minimum(np.maximum(share, 0), 1)

    def noise(self, noise: Field, z: float, *, cell: float, shift: float = 0.0) -> Field:
        """`(H, W)` smooth noise that wraps around, with one grid step per `cell` mm."""
        low = int(np.floor(z / cell))
        share = np.float32(z / cell - low)
        plane = noise[low % len(noise)] * (1 - share) + noise[(low + 1) % len(noise)] * share
        down = _blend((self.down + np.float32(shift)) / np.float32(cell), plane.shape[0])
        across = _blend((self.across + np.float32(shift)) / np.float32(cell), plane.shape[1])
        # The blend removes about half of the variance of such noise: restore it.
        return np.asarray(np.float32(1.4) * (down @ plane @ across.T), dtype=np.float32)

    def paint(self, value: float | Field, mask: Field) -> None:
        """Blend densities in where `mask` `(H, W)` is above 0."""
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
        distance = ellipse_distance(self.x[box] - cx, self.y[box] - cy, rx, ry, angle)
        hu = self.hu[box]  # a view, so that changes apply to the canvas
        if rim is not None:
            hu += (rim - hu) * self.inside(distance, soft=soft)
            distance = distance + np.float32(rim_width)
        hu += (value - hu) * self.inside(distance, soft=soft)

    def lines(
        self, starts: NDArray[np.float64], ends: NDArray[np.float64], radii: NDArray[np.float64]
    ) -> Field:
        """`(H, W)` 0..1: near 1 along thick lines; along thinner ones, their share of the pixel."""
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
        # Each line is a row of discs; all discs that touch the same number of pixels are drawn at once.
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


def ellipse_distance(x: Field, y: Field, rx: float, ry: float, angle: float = 0.0) -> Field:
    """Signed distance to an ellipse's edge, first order, negative inside."""
    if angle:
        cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        x, y = cosine * x + sine * y, cosine * y - sine * x
    u, v = x * np.float32(1 / rx), y * np.float32(1 / ry)
    uu, vv = u * u, v * v
    level = np.sqrt(uu + vv)
    slope = np.sqrt(uu * np.float32(1 / rx**2) + vv * np.float32(1 / ry**2))
    # The small numbers avoid 0 / 0 at the centre: the distance there is the shorter half-axis.
    distance: Field = (level - 1) * (level + np.float32(1e-3)) / (slope + np.float32(1e-3 / min(rx, ry)))
    return distance


def join(a: Field, b: Field, blend: float) -> Field:
    """Distance to the union, with a fillet of about `blend` mm (polynomial smooth minimum)."""
    overlap = np.maximum(np.float32(blend) - np.abs(a - b), 0)
    joined: Field = np.minimum(a, b) - overlap * overlap / np.float32(4 * blend)
    return joined


def ramp(value: float, start: float, end: float) -> float:
    """0 before `start`, 1 after `end`, smooth between."""
    t = min(max((value - start) / (end - start), 0.0), 1.0)
    return t * t * (3 - 2 * t)
