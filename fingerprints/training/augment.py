"""Augmentation that keeps fingerprints: whole-pixel geometry and mild grey-level changes.

Resampling, blurring and strong noise would destroy the traces that the detector looks for. Only rotation,
zoom and crops resample; published systems use them (KDElab and Csmorgan in [O24]).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fingerprints.data.datamodule import ImageBatch
from fingerprints.training.settings import AugmentSettings


@dataclass(frozen=True, kw_only=True)
class Augmentation(AugmentSettings):
    """Random changes of training images; all off by default, as published.

    The changes of an image depend only on (seed, epoch, step, position in the global batch), so they do
    not depend on the number of processes.

    Attributes:
        seed: Seed of the run.
    """

    seed: int = 0

    def __call__(self, images: Tensor, batch: ImageBatch) -> Tensor:
        """Augment `(n, C, S, S)` in [0, 1]; the result is clipped to [0, 1]."""
        resamples = self.rotation or self.zoom or self.centre_crop or self.random_crop
        if not (resamples or self.flip or self.shift or self.brightness or self.contrast or self.noise):
            return images
        rng = torch.Generator().manual_seed(_mix(self.seed, batch.epoch, batch.step))
        draws = torch.rand(batch.images, 5, generator=rng)[batch.positions].to(images.device)
        n, _, height, width = images.shape
        if self.flip:
            images = torch.where(draws[:, 0].lt(0.5)[:, None, None, None], images.flip(3), images)
        if self.shift:
            reach = 2 * self.shift + 1
            down, right = ((draws[:, i] * reach).long().clamp_max(reach - 1) - self.shift for i in (1, 2))
            rows = (torch.arange(height, device=images.device)[None] + down[:, None]).clamp(0, height - 1)
            columns = (torch.arange(width, device=images.device)[None] + right[:, None]).clamp(0, width - 1)
            at = torch.arange(n, device=images.device)[:, None, None]
            images = images[at, :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)
        if resamples:
            turn, size = (2 * torch.rand(batch.images, 2, generator=rng) - 1)[batch.positions].T
            kept = (1 - self.centre_crop) * (1 - self.random_crop)
            images = resampled(
                images,
                degrees=self.rotation * turn,
                factor=(1 + self.zoom * size) / kept,
                centre=(1 - self.centre_crop) * self.random_crop * self._places(batch),
            )
        if self.contrast:
            factor = 1 + self.contrast * (2 * draws[:, 3, None, None, None] - 1)
            mean = images.mean(dim=(2, 3), keepdim=True)
            images = (images - mean) * factor + mean
        if self.brightness:
            images = images + self.brightness * (2 * draws[:, 4, None, None, None] - 1)
        if self.noise:
            field = torch.randn(batch.images, height, width, generator=rng)[batch.positions]
            images = images + self.noise * field.unsqueeze(1).to(images.device)
        return images.clamp(0, 1)

    def _places(self, batch: ImageBatch) -> Tensor:
        """`(n, 2)` places of random crops in [-1, 1], drawn apart so that other draws do not change."""
        rng = torch.Generator().manual_seed(_mix(self.seed, batch.epoch, batch.step, 1))
        return (2 * torch.rand(batch.images, 2, generator=rng) - 1)[batch.positions]


def resampled(images: Tensor, *, degrees: Tensor, factor: Tensor, centre: Tensor | float = 0.0) -> Tensor:
    """Images turned and enlarged about a place, which becomes their centre; bilinear, edges repeat.

    Args:
        images: `(n, C, S, S)`.
        degrees: `(n,)` angle of each image, counter-clockwise.
        factor: `(n,)` factor by which each image grows.
        centre: `(n, 2)` the place, from left to right and from top to bottom; the edges are -1 and 1.
    """
    angle = torch.deg2rad(degrees)
    along, across = angle.cos() / factor, angle.sin() / factor
    right, down = (torch.zeros(len(images), 2) + centre).T
    rows = [torch.stack([along, -across, right], dim=1), torch.stack([across, along, down], dim=1)]
    where = torch.stack(rows, dim=1).to(images)
    grid = functional.affine_grid(where, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _mix(*numbers: int) -> int:
    """One 63-bit seed from several numbers."""
    mixed = 0x9E3779B97F4A7C15
    for number in numbers:
        mixed = ((mixed ^ (number + 0x9E3779B9)) * 0xBF58476D1CE4E5B9) & 0x7FFFFFFFFFFFFFFF
        mixed ^= mixed >> 29
    return mixed
