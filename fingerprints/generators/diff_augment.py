"""Differentiable augmentation: random changes of real and generated images for the discriminator.

Without it a discriminator memorises a few hundred images long before the generator has learnt from
them (Zhao et al. 2020, Differentiable Augmentation for Data-Efficient GAN Training). Other designs
can use it too, but then they learn to generate images with these changes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fingerprints.generators.settings import DiffAugment


def draw_changes(n: int, rng: torch.Generator) -> Tensor:
    """`(n, 6)` random numbers in [0, 1), on the CPU: the changes of `n` images."""
    return torch.rand(n, 6, generator=rng)


def augment(images: Tensor, draws: Tensor, *, settings: DiffAugment) -> Tensor:
    """Images in [-1, 1], changed with gradients.

    Args:
        images: `(n, 1, S, S)`.
        draws: `(n, 6)` from `draw_changes`, on the same device; row i determines the changes of image i.
        settings: Kinds and strengths of changes.

    Returns:
        `(n, 1, S, S)`; the unchanged images if augmentation is switched off.
    """
    if not settings.enabled:
        return images
    n, side = len(images), images.shape[-1]
    if settings.brightness:
        images = images + 2 * settings.brightness * (draws[:, 0, None, None, None] - 0.5)
    if settings.contrast:
        mean = images.mean(dim=(2, 3), keepdim=True)
        images = (images - mean) * (1 + settings.contrast * (draws[:, 1, None, None, None] - 0.5)) + mean
    reach = round(settings.translation * side)
    if reach:
        padded = F.pad(images, (reach,) * 4, value=-1.0)
        offsets = (draws[:, 2:4] * (2 * reach + 1)).long().clamp_max(2 * reach)
        pixels = torch.arange(side, device=images.device)
        rows = (pixels + offsets[:, :1])[:, :, None]
        columns = (pixels + offsets[:, 1:])[:, None, :]
        each = torch.arange(n, device=images.device)[:, None, None]
        images = padded[each, 0, rows, columns].unsqueeze(1)
    hole = round(settings.cutout * side)
    if hole:
        centres = (draws[:, 4:6] * side).long()
        distance = torch.arange(side, device=images.device) - centres[:, :, None]
        inside = (distance >= -(hole // 2)) & (distance < hole - hole // 2)
        images = images * ~(inside[:, 0, :, None] & inside[:, 1, None, :]).unsqueeze(1)
    return images
