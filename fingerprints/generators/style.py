"""A style-based GAN: a style scales and shifts the features at every level of the generator.

Based on StyleGAN (Karras et al. 2019, A Style-Based Generator Architecture for Generative Adversarial
Networks): a mapping network, features normalised and then modulated by its output, noise at every level,
bilinear upsampling. Two things differ: features are normalised over the batch and not over each image (Chen
et al. 2019, On Self Modulation for Generative Adversarial Networks), and the coarsest level starts from the
style and not from a constant. With a few hundred images and minutes of training, both changes are needed to
get lungs and not just grey shapes.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fingerprints.generators.adversarial import AdversarialModule
from fingerprints.generators.gan import COARSEST, Discriminator, widths_of
from fingerprints.generators.module import check_power_of_two
from fingerprints.generators.settings import StyleGANSettings


class StyleGANModule(AdversarialModule):
    """The style-based GAN in training.

    Args:
        size: Image side in pixels.
        settings: Networks and optimisation.
        **options: As `GeneratorModule` takes them.
    """

    def __init__(self, *, size: int, settings: StyleGANSettings, **options: Any) -> None:
        generator = StyleGenerator(
            size=size,
            latent=settings.latent,
            mapping=settings.mapping,
            width=settings.width,
            widest=settings.widest,
        )
        discriminator = Discriminator(size=size, width=settings.discriminator_width, widest=settings.widest)
        super().__init__(generator, discriminator, size=size, settings=settings, **options)
        self.sides = generator.sides

    def noise(self, n: int, rng: torch.Generator) -> list[Tensor]:
        """Latent vectors `(n, latent)`, and for each level noise `(n, 1, side, side)`."""
        levels = [torch.randn(n, 1, side, side, generator=rng) for side in self.sides]
        return [*super().noise(n, rng), *levels]


class Modulation(nn.Module):
    """Batch norm whose scale and shift are a linear function of the style.

    Args:
        channels: Channels of the features.
        style: Length of a style.
    """

    def __init__(self, channels: int, *, style: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.affine = nn.Linear(style, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """`(n, channels, h, w)` and `(n, style)` to `(n, channels, h, w)`."""
        scale, shift = self.affine(style)[:, :, None, None].chunk(2, dim=1)
        return self.norm(x) * (1 + scale) + shift


class StyleLevel(nn.Module):
    """One resolution of the generator: a convolution, noise, modulation."""

    def __init__(self, inputs: int, outputs: int, *, style: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.strength = nn.Parameter(torch.zeros(outputs, 1, 1))
        self.modulation = Modulation(outputs, style=style)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        """Features `(n, inputs, h, w)` and noise `(n, 1, h, w)` to `(n, outputs, h, w)`."""
        x = self.conv(x) + self.strength * noise
        return F.leaky_relu(self.modulation(x, style), 0.2)


class StyleGenerator(nn.Module):
    """Latent vectors and noise to images.

    Args:
        size: Image side in pixels; a power of two.
        latent: Length of a latent vector, and of a style.
        mapping: Layers between the two.
        width: Channels at full size.
        widest: Most channels at any level.
    """

    def __init__(self, *, size: int, latent: int, mapping: int, width: int, widest: int) -> None:
        super().__init__()
        check_power_of_two(size)
        widths = widths_of(size, width=width, widest=widest)
        self.sides = [COARSEST * 2**level for level in range(len(widths))]
        layers = [nn.Linear(latent, latent) for _ in range(mapping)]
        for layer in layers:  # keeps the variance through the leaky ReLU
            nn.init.normal_(layer.weight, std=math.sqrt(2 / latent))
        self.mapping = nn.ModuleList(layers)
        self.first = nn.Linear(latent, widths[0] * COARSEST**2)
        pairs = itertools.pairwise([widths[0], *widths])
        self.levels = nn.ModuleList(StyleLevel(i, o, style=latent) for i, o in pairs)
        self.last = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, latents: Tensor, *noise: Tensor) -> Tensor:
        """`(n, latent)` standard normal and `(n, 1, side, side)` for each level to `(n, 1, size, size)`."""
        style = latents * (latents.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.mapping:
            style = F.leaky_relu(layer(style), 0.2)
        x = self.first(style).unflatten(1, (-1, COARSEST, COARSEST))
        for number, (level, draws) in enumerate(zip(self.levels, noise, strict=True)):
            if number:
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = level(x, style, draws)
        return torch.tanh(self.last(x))
