"""Differentiable augmentation: what the discriminator sees of real and generated images alike.

Without it a discriminator knows a few hundred images by heart long before the generator has learnt
from them (Zhao et al. 2020, Differentiable Augmentation for Data-Efficient GAN Training).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fingerprints.generators.settings import DiffAugmentSettings


@dataclass(frozen=True, kw_only=True)
class DiffAugment(DiffAugmentSettings):
    """Random changes with gradients, for images in [-1, 1].

    `brightness` and `contrast` are whole ranges (a contrast of 0.5 is a factor of 0.75 to 1.25); black comes
    in with a translation, and a cut-out square is mid-grey.
    """

    def draws(self, n: int, rng: torch.Generator) -> Tensor:
        """`(n, 6)` in [0, 1), on the CPU: what is random about `n` images."""
        return torch.rand(n, 6, generator=rng)

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """`(n, 1, S, S)` changed image by image, as `(n, 6)` draws on the same device say."""
        if not self.enabled:
            return images
        n, side = len(images), images.shape[-1]
        if self.brightness:
            images = images + 2 * self.brightness * (draws[:, 0, None, None, None] - 0.5)
        if self.contrast:
            mean = images.mean(dim=(2, 3), keepdim=True)
            images = (images - mean) * (1 + self.contrast * (draws[:, 1, None, None, None] - 0.5)) + mean
        reach = round(self.translation * side)
        if reach:
            padded = F.pad(images, (reach,) * 4, value=-1.0)
            offsets = (draws[:, 2:4] * (2 * reach + 1)).long().clamp_max(2 * reach)
            pixels = torch.arange(side, device=images.device)
            rows = (pixels + offsets[:, :1])[:, :, None]
            columns = (pixels + offsets[:, 1:])[:, None, :]
            each = torch.arange(n, device=images.device)[:, None, None]
            images = padded[each, 0, rows, columns].unsqueeze(1)
        hole = round(self.cutout * side)
        if hole:
            centres = (draws[:, 4:6] * side).long()
            distance = torch.arange(side, device=images.device) - centres[:, :, None]
            inside = (distance >= -(hole // 2)) & (distance < hole - hole // 2)
            images = images * ~(inside[:, 0, :, None] & inside[:, 1, None, :]).unsqueeze(1)
        return images
