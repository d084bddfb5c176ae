"""Handcrafted features: local binary patterns, pixels, the noise residual, the power spectrum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from fingerprints.core.errors import FingerprintsError
from fingerprints.encoders.preprocessing import as_grey, resize

LEVELS = 255  # grey level of white in an 8-bit image; black is 0
_TINY = 1e-8  # smaller than the power of the 8-bit rounding error, 1.3e-6


def lbp_codes(image: NDArray[np.uint8], *, points: int, radius: float) -> NDArray[np.int64]:
    """Uniform local binary patterns, rotation invariant: `(S, S)` codes 0 to `points` + 1.

    A code is the number of the `points` neighbours at `radius` pixels that are at least as bright as the
    pixel. Patterns with more than two changes around the circle all have the code `points` + 1 (Ojala,
    Pietikäinen and Mäenpää 2002, section 2.3).
    """
    from skimage.feature import local_binary_pattern

    codes: NDArray[np.int64] = local_binary_pattern(image, points, radius, method="uniform").astype(np.int64)
    return codes


def noise_residual(images: Tensor, *, sigma: float) -> Tensor:
    """Images `(n, 1, S, S)` minus their Gaussian-filtered version (`sigma` pixels); the same shape.

    Edges are mirrored. The filter is a sum of shifted images, not a convolution: a GPU would round the
    convolution to TF32, which is too coarse for residuals.
    """
    reach = min(math.ceil(3 * sigma), images.shape[-1] - 1)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma) ** 2)
    kernel = (weights / weights.sum()).tolist()
    smooth = images
    for axis in (2, 3):
        side = smooth.shape[axis]
        pad = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
        padded = functional.pad(smooth, pad, mode="reflect")
        smooth = torch.zeros_like(images)
        for place, weight in enumerate(kernel):
            smooth = smooth + weight * padded.narrow(axis, place, side)
    return images - smooth


def folded(residuals: Tensor, *, period: int) -> Tensor:
    """Mean residual at each pixel of a repeated tile: `(n, period ** 2)` from `(n, 1, S, S)`.

    This is the average of Marra et al. 2019, within one image: patterns that a generator's upsampling repeats
    every `period` pixels remain, and the anatomy averages out. Rows and columns beyond the last full tile are
    left out.
    """
    tiles = residuals.shape[-1] // period
    cut = residuals[:, 0, : tiles * period, : tiles * period]
    return cut.reshape(-1, tiles, period, tiles, period).mean(dim=(1, 3)).flatten(1)


def cooccurrences(residuals: Tensor, *, step: float) -> Tensor:
    """Frequencies of the signs (negative, near zero, positive) of four neighbouring residuals: `(n, 162)`.

    Residuals are divided by `step`, rounded, and clamped to -1, 0 or 1. The 81 frequencies along rows come
    first, then the 81 along columns; each 81 add up to 1 (Cozzolino, Poggi and Verdoliva 2017, section 3).
    """
    levels = (residuals[:, 0] / step).round().clamp(-1, 1).long() + 1
    both = []
    for rows in (levels, levels.transpose(1, 2)):
        length = rows.shape[-1] - 3
        codes = torch.zeros_like(rows[..., :length])
        for place in range(4):
            codes = 3 * codes + rows[..., place : place + length]
        flat = codes.flatten(1)
        image = torch.arange(len(flat), device=flat.device).unsqueeze(1)
        counts = torch.bincount((flat + 81 * image).flatten(), minlength=81 * len(flat))
        both.append(counts.view(-1, 81) / flat.shape[1])
    return torch.cat(both, dim=1)


def power_spectrum(images: Tensor) -> Tensor:
    """Power `|F|^2` of images `(n, 1, S, S)` minus their means, with a Hann window: `(n, S, S // 2 + 1)`.

    Without the window, a step between opposite edges would spread power over all frequencies. The power is
    divided by that of the window, so that white noise has its variance at every frequency. Rows begin at the
    most negative frequency. Columns have the frequencies from 0 up; negative ones would only repeat them.
    """
    line = torch.hann_window(images.shape[-1], dtype=images.dtype, device=images.device)
    window = line.unsqueeze(0) * line.unsqueeze(1)
    centred = images[:, 0] - images[:, 0].mean(dim=(1, 2), keepdim=True)
    power = torch.fft.rfft2(centred * window).abs().square() / window.square().sum()
    return torch.fft.fftshift(power, dim=1)


def azimuthal_average(power: Tensor) -> Tensor:
    """Mean power at each integer spatial frequency 1 to `S // 2`: `(n, S // 2)` from `power_spectrum`.

    As in Durall et al. 2020, section 3.1; frequency 0 and the corners of the spectrum are left out.
    """
    side, columns = power.shape[1:]
    vertical = torch.arange(side, device=power.device) - side // 2
    horizontal = torch.arange(columns, device=power.device)
    radius = (vertical.unsqueeze(1) ** 2 + horizontal.unsqueeze(0) ** 2).sqrt().round().long()
    # Columns that represent two columns of the full spectrum count twice.
    alone = (horizontal == 0) | (2 * horizontal == side)
    weight = torch.where(alone, 1.0, 2.0).to(power.dtype).expand(side, columns)
    bins = int(radius.max()) + 1
    sums = torch.zeros(len(power), bins, dtype=power.dtype, device=power.device)
    sums.index_add_(1, radius.flatten(), (power * weight).flatten(1))
    counts = torch.zeros(bins, dtype=power.dtype, device=power.device)
    counts.index_add_(0, radius.flatten(), weight.flatten())
    return (sums / counts)[:, 1 : side // 2 + 1]


class _Handcrafted(nn.Module):
    """Base class: computes features of grey images in full precision, whatever precision the trainer uses.

    Args:
        embedding: Number of features.
        record: Parameters of the features, as JSON values.
    """

    def __init__(self, *, embedding: int, record: dict[str, Any]) -> None:
        super().__init__()
        self.embedding = embedding
        self._record = {"channels": 1, **record}

    def preprocessing(self) -> dict[str, Any]:
        """The parameters of the features."""
        return dict(self._record)

    def forward(self, images: Tensor) -> Tensor:
        """Features `(n, embedding)`, float32, of `(n, C, S, S)`, float in [0, 1]."""
        with torch.autocast(images.device.type, enabled=False):
            return self.features(as_grey(images.float()))

    def features(self, images: Tensor) -> Tensor:
        """Features of `(n, 1, S, S)`, float32."""
        raise NotImplementedError


class LBPEncoder(_Handcrafted):
    """Histogram of uniform local binary patterns (`points` + 2 frequencies), or the mean code (one number).

    [A24] states 1 feature for LBP and does not say which; the mean code is our interpretation. scikit-image
    computes the codes on the CPU.

    Args:
        size: S, image side in pixels.
        points: Number of neighbours on the circle.
        radius: Radius of the circle in pixels.
        as_number: Use the mean code instead of the histogram.

    Raises:
        FingerprintsError: If the circle does not fit into the images.
    """

    def __init__(self, *, size: int, points: int = 8, radius: float = 1.0, as_number: bool = False) -> None:
        _at_least(size, 2 * math.ceil(radius) + 1, "lbp", fix="give a smaller encoder.radius, or")
        record = {"features": "lbp", "points": points, "radius": radius, "as_number": as_number}
        super().__init__(embedding=1 if as_number else points + 2, record=record)
        self.points, self.radius, self.as_number = points, radius, as_number

    def features(self, images: Tensor) -> Tensor:
        """`(n, points + 2)` frequencies that add up to 1, or `(n, 1)` mean codes."""
        pixels = images[:, 0].mul(LEVELS).round().clamp(0, LEVELS).byte().cpu().numpy()
        found = np.empty((len(pixels), self.embedding), dtype=np.float32)
        for place, image in enumerate(pixels):
            codes = lbp_codes(image, points=self.points, radius=self.radius)
            if self.as_number:
                found[place] = codes.mean()
            else:
                found[place] = np.bincount(codes.ravel(), minlength=self.embedding) / codes.size
        return torch.from_numpy(found).to(images.device)


class PixelsEncoder(_Handcrafted):
    """The pixels themselves, row by row, downscaled to `side` x `side`.

    Args:
        size: S, image side in pixels.
        side: Side of the downscaled image in pixels; `None` keeps the full size.
    """

    def __init__(self, *, size: int, side: int | None = 32) -> None:
        self.side = size if side is None else side
        record = {"features": "pixels", "size": self.side, "interpolation": "bilinear", "antialias": True}
        super().__init__(embedding=self.side**2, record=record)

    def features(self, images: Tensor) -> Tensor:
        """`(n, side ** 2)` in [0, 1]."""
        return resize(images, self.side, interpolation="bilinear").flatten(1)


class ResidualEncoder(_Handcrafted):
    """Features of the noise residual (the image minus its smooth part), which holds generator fingerprints.

    The features are two blocks of similar length, so that neither dominates: the residual averaged in a tile
    (`period ** 2` features; Marra et al. 2019, arXiv 1812.11842), and the square roots of the co-occurrences
    of four neighbours (162 features; Cozzolino et al. 2017, arXiv 1703.04615). Their means differ between
    generators, as a linear classifier or a centroid needs. The square root reduces the weight of the
    flat background of a CT slice, which is one pattern.

    With `as_map`, the features are the whole residual, scaled to unit length: nearest centroid by Euclidean
    distance then equals the correlation with average residuals of Marra et al., section 3.

    Args:
        size: S, image side in pixels.
        sigma: Sigma of the Gaussian filter, in pixels.
        period: Side of the tile, in pixels; upsampling by 2 causes periods that are powers of 2.
        step: Residuals are rounded to multiples of `step`, in grey levels from 0 to 255.
        as_map: Use the whole residual instead of the two blocks.

    Raises:
        FingerprintsError: If the images are smaller than a tile or than four pixels.
    """

    def __init__(
        self, *, size: int, sigma: float = 1.0, period: int = 8, step: float = 2.0, as_map: bool = False
    ) -> None:
        _at_least(size, max(4, period), "residual", fix="give a smaller encoder.period, or")
        record = {"features": "residual", "sigma": sigma, "period": period, "step": step, "as_map": as_map}
        super().__init__(embedding=size**2 if as_map else period**2 + 162, record=record)
        self.sigma, self.period, self.step, self.as_map = sigma, period, step, as_map

    def features(self, images: Tensor) -> Tensor:
        """`(n, period ** 2 + 162)` with rows of length sqrt(3); with `as_map`, `(n, S ** 2)` of length 1."""
        residuals = noise_residual(images, sigma=self.sigma)
        if self.as_map:
            return functional.normalize(residuals.flatten(1), eps=_TINY)
        tile = functional.normalize(folded(residuals, period=self.period), eps=_TINY)
        return torch.cat([tile, cooccurrences(residuals, step=self.step / LEVELS).sqrt()], dim=1)


class SpectrumEncoder(_Handcrafted):
    """Logarithm (base 10) of the power spectrum: averaged over directions, and on a two-dimensional grid.

    Upsampling causes too much or too little power at high frequencies (Durall et al. 2020, arXiv 2003.01826,
    who use the average over directions) and peaks at fractions of the sampling frequency (Frank et al. 2020,
    arXiv 2003.08685, who use the whole log spectrum of a cosine transform; here it is a Fourier transform).

    Args:
        size: S, image side in pixels.
        azimuthal: Use the average over directions at each frequency, S // 2 features.
        grid: Side of the grid of the whole spectrum; half of it is used, `grid * (grid // 2)` features.
            `None`: no grid.

    Raises:
        FingerprintsError: If both are switched off, or the images are smaller than the grid.
    """

    def __init__(self, *, size: int, azimuthal: bool = True, grid: int | None = 32) -> None:
        if not azimuthal and grid is None:
            raise FingerprintsError(
                "Both spectrum features are switched off: encoder.azimuthal=false and encoder.grid=null.",
                where="encoder",
                fix="give encoder.azimuthal=true, or encoder.grid=32",
            )
        _at_least(size, 2 if grid is None else grid, "spectrum", fix="give a smaller encoder.grid, or")
        flat = 0 if grid is None else grid * (grid // 2)
        record = {"features": "spectrum", "size": size, "azimuthal": azimuthal, "grid": grid}
        super().__init__(embedding=(size // 2 if azimuthal else 0) + flat, record=record)
        self.azimuthal, self.grid = azimuthal, grid

    def features(self, images: Tensor) -> Tensor:
        """`(n, embedding)` base-10 logarithms of power."""
        power = power_spectrum(images)
        parts = []
        if self.azimuthal:
            parts.append((azimuthal_average(power) + _TINY).log10())
        if self.grid is not None:
            log = (power + _TINY).log10().unsqueeze(1)
            parts.append(functional.adaptive_avg_pool2d(log, (self.grid, self.grid // 2)).flatten(1))
        return torch.cat(parts, dim=1)


def _at_least(size: int, least: int, name: str, *, fix: str) -> None:
    if size < least:
        raise FingerprintsError(
            f"Images of {size} x {size} pixels are too small for encoder={name} with these settings.",
            where="data.size",
            fix=f"{fix} data.size of at least {least}",
        )
