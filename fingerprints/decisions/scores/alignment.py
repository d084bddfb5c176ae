"""How an image must be mirrored, turned and shifted to look like another one, and how well it then does."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import rotate
from scipy.signal.windows import tukey

Pictures = NDArray[np.float32]  # (n, side, side)
Matrix = NDArray[np.floating]
ORIENTATIONS = 8  # 0 to 3: turned by so many times 90 degrees; 4 to 7: mirrored left-right, then turned
GRID = 16  # points of a coarse description along an axis
FREQUENCIES = 16  # cycles per image, along an axis, up to which images are aligned
STEP = 2.5  # degrees between the small angles that are tried
FLAT = 0.01  # share of an image's mean patch variance up to which a patch has no content
LEAST_VARIANCE = 1e-6  # of pixels in [0, 1], up to which a patch has none either
TINY = 1e-12


def oriented(images: Pictures, orientation: int) -> Pictures:
    """The images mirrored and turned by right angles; see `ORIENTATIONS`."""
    mirrored = images[..., ::-1] if orientation >= 4 else images
    return np.rot90(mirrored, orientation % 4, axes=(-2, -1))


def moved(image: Pictures, down: int, right: int) -> Pictures:
    """The image `(side, side)` shifted by whole pixels; edge pixels are repeated."""
    last = len(image) - 1
    rows, columns = (np.clip(np.arange(last + 1) - by, 0, last) for by in (down, right))
    return image[rows][:, columns]


def small_turns(image: Pictures, angles: NDArray[np.float64]) -> Pictures:
    """`(a, side, side)` the image turned by each angle in degrees about its centre."""
    return np.stack([rotate(image, angle, reshape=False, order=1, mode="nearest") for angle in angles])


def angles_to(most: float) -> NDArray[np.float64]:
    """Angles from `-most` to `most` degrees, with 0, at most `STEP` apart."""
    return np.linspace(-most, most, 2 * math.ceil(most / STEP) + 1)


class Coarse:
    """Coarse descriptions: band-passed images sampled on a grid of points.

    Args:
        side: Side of the images in pixels.
    """

    def __init__(self, side: int) -> None:
        self.side = side
        self.points = min(GRID, side)

    def describe(self, images: Pictures, down: float = 0.0, right: float = 0.0) -> Matrix:
        """`(n, points^2)` with mean 0 and norm 1, of images shifted by so many pixels."""
        spacing = self.side / self.points
        found = np.zeros((len(images), self.points, self.points), dtype=np.float32)
        # Difference of two Gaussians. The wide one removes what all images of an organ have in common.
        for sign, width in ((1, spacing / 2), (-1, 2 * spacing)):
            rows, columns = (self._sampler(width, by) for by in (down, right))
            found += sign * (rows @ images @ columns.T)
        flat = found.reshape(len(images), -1)
        flat = flat - flat.mean(axis=1, keepdims=True)
        return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), TINY).astype(np.float32)

    def _sampler(self, width: float, by: float) -> Matrix:
        """`(points, side)`: Gaussian weights of the pixels around each point of a line shifted by `by`."""
        spacing = self.side / self.points
        centres = (np.arange(self.points) + 0.5) * spacing - 0.5 - by
        weights = np.exp(-0.5 * ((np.arange(self.side)[None] - centres[:, None]) / width) ** 2)
        return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


class Shifts:
    """Global alignment by shifts: correlation of gradients in the low frequencies, for all shifts at once.

    Args:
        side: Side of the images in pixels.
        most: Largest shift in pixels, along each axis.
    """

    def __init__(self, side: int, most: int) -> None:
        self.side, self.most = side, most
        highest = min(FREQUENCIES, (side - 1) // 2)
        self.rows = np.arange(-highest, highest + 1)
        self.columns = np.arange(highest + 1)
        frequency = np.hypot(self.rows[:, None], self.columns[None])
        # Spectra of real images are symmetric: each column but the first stands for two.
        twice = np.where(self.columns > 0, 2.0, 1.0)
        self.weight = (frequency * np.sqrt(twice)).astype(np.float32)
        # Without a window, the borders, which stay in place, would count as content.
        edge = tukey(side, 0.5)
        self.window = np.outer(edge, edge).astype(np.float32)
        by = np.arange(-most, most + 1)
        self.down = np.exp(2j * np.pi * np.outer(by, self.rows) / side).astype(np.complex64)
        self.right = np.exp(2j * np.pi * np.outer(by, self.columns) / side).astype(np.complex64)

    def spectra(self, images: Pictures) -> NDArray[np.complex64]:
        """`(..., rows, columns)` weighted low frequencies, with norm 1; zero for an empty image."""
        centred = (images - images.mean(axis=(-2, -1), keepdims=True)) * self.window
        found = np.fft.rfft2(centred)[..., self.rows, :][..., self.columns] * self.weight
        norms = np.sqrt((np.abs(found) ** 2).sum(axis=(-2, -1), keepdims=True))
        return (found / np.maximum(norms, TINY)).astype(np.complex64)

    def best(
        self, images: NDArray[np.complex64], others: NDArray[np.complex64]
    ) -> tuple[Matrix, NDArray[np.int64]]:
        """The shift of each image that correlates best with another one.

        Args:
            images: `(..., rows, columns)` spectra.
            others: Spectra of the images that they are compared with, of a shape that broadcasts.

        Returns:
            `(...)` correlations in [-1, 1], and `(..., 2)` pixels down and right.
        """
        found = (self.down @ (others * images.conj()) @ self.right.T).real
        flat = found.reshape(*found.shape[:-2], -1)
        at = flat.argmax(axis=-1)
        by = np.stack(np.unravel_index(at, found.shape[-2:]), axis=-1) - self.most
        return np.take_along_axis(flat, at[..., None], axis=-1)[..., 0], by


@dataclass(frozen=True)
class Patches:
    """Similarity of aligned images, patch by patch.

    Attributes:
        side: Side of the patches in pixels; at most what the margin leaves.
        share: The similarity is that which this share of the patches does not exceed.
        slack: Pixels that a patch of one image may move to find its match.
        margin: Pixels at the border that are left out, since shifted images have no content there.
    """

    side: int
    share: float
    slack: int
    margin: int

    def similarity(self, images: Pictures, others: Pictures) -> NDArray[np.float64]:
        """`(n,)` similarity, in [-1, 1], of each image to the other one in the same place.

        Patches overlap by half. The similarity of a patch is the highest normalised cross-correlation, so
        that brightness and contrast do not count. Patches without content in both images are left out.
        """
        border = self.margin + self.slack
        inner = images.shape[-1] - 2 * border
        means = _patch_means(inner, min(self.side, inner))
        own = images[:, border : border + inner, border : border + inner]
        mean, variance = _moments(own, means)
        best = np.full(mean.shape, -1.0, dtype=np.float32)
        content = _content(variance)
        for down in range(-self.slack, self.slack + 1):
            for right in range(-self.slack, self.slack + 1):
                made = others[:, border + down :, border + right :][:, :inner, :inner]
                other_mean, other_variance = _moments(made, means)
                covariance = means @ (own * made) @ means.T - mean * other_mean
                best = np.maximum(best, covariance / np.sqrt((variance * other_variance).clip(TINY)))
                if down == right == 0:
                    content |= _content(other_variance)
        return _quantiles(best.reshape(len(best), -1), content.reshape(len(best), -1), self.share)


def _patch_means(side: int, patch: int) -> Matrix:
    """`(patches, side)`: row i averages the pixels of the i-th of patches that overlap by half or more."""
    count = math.ceil((side - patch) / max(1, patch // 2)) + 1
    starts = np.round(np.linspace(0, side - patch, count)).astype(int)
    pixels = np.arange(side)[None]
    inside = (pixels >= starts[:, None]) & (pixels < starts[:, None] + patch)
    return (inside / patch).astype(np.float32)


def _moments(images: Pictures, means: Matrix) -> tuple[Matrix, Matrix]:
    """Mean and variance of each patch, `(n, patches, patches)`."""
    mean = means @ images @ means.T
    return mean, (means @ (images * images) @ means.T - mean * mean).clip(0)


def _content(variance: Matrix) -> NDArray[np.bool_]:
    """Which patches have content, `(n, patches, patches)`."""
    least = (FLAT * variance.mean(axis=(1, 2), keepdims=True)).clip(LEAST_VARIANCE)
    return np.asarray(variance > least)


def _quantiles(values: Matrix, counted: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    """`(n,)` the value in each row that a share of its counted values does not exceed; 0 if none counts."""
    ordered = np.sort(np.where(counted, values, np.inf), axis=1)
    many = counted.sum(axis=1)
    at = np.floor(share * (many - 1).clip(0)).astype(int)
    return np.where(many > 0, ordered[np.arange(len(values)), at], 0.0).astype(np.float64)
