"""Features that nobody trained: local binary patterns, pixels, the noise residual, the power spectrum."""

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

LEVELS = 255  # grey levels above black of an 8-bit image
_TINY = 1e-8  # below the power of rounding to 8 bits, 1.3e-6


def lbp_codes(image: NDArray[np.uint8], *, points: int, radius: float) -> NDArray[np.int64]:
    """Uniform local binary patterns, rotation invariant: `(S, S)` codes 0 to `points` + 1.

    A code is the number of the `points` neighbours at `radius` pixels that are at least as bright as the
    pixel; patterns of more than two changes on the way round are all `points` + 1 (Ojala, Pietikäinen and
    Mäenpää 2002, section 2.3).
    """
    from skimage.feature import local_binary_pattern

    codes: NDArray[np.int64] = local_binary_pattern(image, points, radius, method="uniform").astype(np.int64)
    return codes


def noise_residual(images: Tensor, *, sigma: float) -> Tensor:
    """What a Gaussian filter of `sigma` pixels takes away from images `(n, 1, S, S)`; the same shape.

    Edges are mirrored. Sums of shifted images, not a convolution: on a GPU that would be rounded to TF32,
    more coarsely than residuals are read.
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
    """Mean residual at each place of a tile that repeats: `(n, period ** 2)` of `(n, 1, S, S)`.

    The average of Marra et al. 2019 within one image: what a generator's upsampling repeats every `period`
    pixels stays, the anatomy averages out. Rows and columns that fill no tile are left out.
    """
    tiles = residuals.shape[-1] // period
    cut = residuals[:, 0, : tiles * period, : tiles * period]
    return cut.reshape(-1, tiles, period, tiles, period).mean(dim=(1, 3)).flatten(1)


def cooccurrences(residuals: Tensor, *, step: float) -> Tensor:
    """How often four neighbouring residuals are below, near or above zero together: `(n, 162)`.

    Residuals are rounded to multiples of `step` and cut at one of them. The 81 frequencies of rows come
    first, then those of columns; each 81 add up to 1 (Cozzolino, Poggi and Verdoliva 2017, section 3).
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
    """Power `|F|^2` of images `(n, 1, S, S)` without their means, under a Hann window: `(n, S, S // 2 + 1)`.

    The window keeps opposite edges that do not meet from spreading power over all frequencies. Divided by
    the window's own power, so that white noise has its variance everywhere. Rows begin at the most negative
    frequency; columns are those of frequencies that are not negative, since the others repeat them.
    """
    line = torch.hann_window(images.shape[-1], dtype=images.dtype, device=images.device)
    window = line.unsqueeze(0) * line.unsqueeze(1)
    centred = images[:, 0] - images[:, 0].mean(dim=(1, 2), keepdim=True)
    power = torch.fft.rfft2(centred * window).abs().square() / window.square().sum()
    return torch.fft.fftshift(power, dim=1)


def azimuthal_average(power: Tensor) -> Tensor:
    """Mean power at each whole spatial frequency 1 to `S // 2`: `(n, S // 2)` of `power_spectrum`'s.

    As in Durall et al. 2020, section 3.1; the mean of the image and the corners are left out.
    """
    side, columns = power.shape[1:]
    vertical = torch.arange(side, device=power.device) - side // 2
    horizontal = torch.arange(columns, device=power.device)
    radius = (vertical.unsqueeze(1) ** 2 + horizontal.unsqueeze(0) ** 2).sqrt().round().long()
    # Columns that stand for two of the whole spectrum count twice.
    alone = (horizontal == 0) | (2 * horizontal == side)
    weight = torch.where(alone, 1.0, 2.0).to(power.dtype).expand(side, columns)
    bins = int(radius.max()) + 1
    sums = torch.zeros(len(power), bins, dtype=power.dtype, device=power.device)
    sums.index_add_(1, radius.flatten(), (power * weight).flatten(1))
    counts = torch.zeros(bins, dtype=power.dtype, device=power.device)
    counts.index_add_(0, radius.flatten(), weight.flatten())
    return (sums / counts)[:, 1 : side // 2 + 1]


class _Handcrafted(nn.Module):
    """Grey images in full precision, whatever a trainer sets, to features.

    Args:
        embedding: Features.
        record: What they are made with, as JSON values.
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
    """Histogram of uniform local binary patterns, `points` + 2 frequencies, or their mean, one number.

    [A24] prints 1 feature for LBP and does not say which; the mean code is our reading. Computed by
    scikit-image on the CPU.

    Args:
        size: S, pixels a side.
        points: Neighbours on the circle.
        radius: Its radius in pixels.
        as_number: The mean code instead of the histogram.

    Raises:
        FingerprintsError: If the circle does not fit into the images.
    """

    def __init__(self, *, size: int, points: int = 8, radius: float = 1.0, as_number: bool = False) -> None:
        _at_least(size, 2 * math.ceil(radius) + 1, "lbp", fix="a smaller encoder.radius, or")
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
        size: S, pixels a side.
        side: Pixels a side of what is compared; `None` leaves images whole.
    """

    def __init__(self, *, size: int, side: int | None = 32) -> None:
        self.side = size if side is None else side
        record = {"features": "pixels", "size": self.side, "interpolation": "bilinear", "antialias": True}
        super().__init__(embedding=self.side**2, record=record)

    def features(self, images: Tensor) -> Tensor:
        """`(n, side ** 2)` in [0, 1]."""
        return resize(images, self.side, interpolation="bilinear").flatten(1)


class ResidualEncoder(_Handcrafted):
    """What is left of an image without its smooth part: where generators leave their fingerprints.

    Two blocks of unit length, so that neither drowns the other: the residual folded to one tile
    (`period ** 2` features; Marra et al. 2019, arXiv 1812.11842), and the square roots of the
    co-occurrences of four neighbours (162; Cozzolino et al. 2017, arXiv 1703.04615). Both are vectors whose
    means tell generators apart, which is what a linear classifier or a centroid needs. The square root
    keeps the flat background of a CT slice, one pattern, from hiding the rest.

    With `as_map` it is the whole residual, of unit length: a nearest centroid by Euclidean distance is then
    the correlation with average residuals of Marra et al., section 3.

    Args:
        size: S, pixels a side.
        sigma: Of the Gaussian filter, in pixels.
        period: Side of the tile, in pixels; upsampling by 2 leaves periods that are powers of 2.
        step: Residuals are rounded to multiples of it, in grey levels of 255.
        as_map: The whole residual instead of the two blocks.

    Raises:
        FingerprintsError: If the images are smaller than a tile or four pixels.
    """

    def __init__(
        self, *, size: int, sigma: float = 1.0, period: int = 8, step: float = 2.0, as_map: bool = False
    ) -> None:
        _at_least(size, max(4, period), "residual", fix="a smaller encoder.period, or")
        record = {"features": "residual", "sigma": sigma, "period": period, "step": step, "as_map": as_map}
        super().__init__(embedding=size**2 if as_map else period**2 + 162, record=record)
        self.sigma, self.period, self.step, self.as_map = sigma, period, step, as_map

    def features(self, images: Tensor) -> Tensor:
        """`(n, period ** 2 + 162)`, or `(n, S ** 2)`; each row has length sqrt(3), or 1."""
        residuals = noise_residual(images, sigma=self.sigma)
        if self.as_map:
            return functional.normalize(residuals.flatten(1), eps=_TINY)
        tile = functional.normalize(folded(residuals, period=self.period), eps=_TINY)
        return torch.cat([tile, cooccurrences(residuals, step=self.step / LEVELS).sqrt()], dim=1)


class SpectrumEncoder(_Handcrafted):
    """Logarithm (base 10) of the power spectrum: averaged over directions, and on a grid of both axes.

    Upsampling leaves too much or too little power at high frequencies (Durall et al. 2020, arXiv
    2003.01826: the average over directions) and peaks at fractions of the sampling frequency (Frank et al.
    2020, arXiv 2003.08685: the whole log spectrum; theirs by a cosine transform, here by Fourier's).

    Args:
        size: S, pixels a side.
        azimuthal: The average at each frequency, S // 2 features.
        grid: Side of the whole spectrum, of which half is kept, `grid * (grid // 2)` features; `None` for
            none.

    Raises:
        FingerprintsError: If neither is wanted, or the images are smaller than the grid.
    """

    def __init__(self, *, size: int, azimuthal: bool = True, grid: int | None = 32) -> None:
        if not azimuthal and grid is None:
            raise FingerprintsError(
                "Nothing of the spectrum is asked for.",
                where="encoder",
                fix="encoder.azimuthal=true, or encoder.grid=32",
            )
        _at_least(size, 2 if grid is None else grid, "spectrum", fix="a smaller encoder.grid, or")
        flat = 0 if grid is None else grid * (grid // 2)
        record = {"features": "spectrum", "size": size, "azimuthal": azimuthal, "grid": grid}
        super().__init__(embedding=(size // 2 if azimuthal else 0) + flat, record=record)
        self.azimuthal, self.grid = azimuthal, grid

    def features(self, images: Tensor) -> Tensor:
        """`(n, embedding)` powers of ten."""
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
            f"Images of {size} x {size} pixels are too small for encoder={name} as it is set.",
            where="data.size",
            fix=f"{fix} data.size of at least {least}",
        )
