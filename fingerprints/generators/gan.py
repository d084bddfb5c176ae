"""A convolutional GAN for few small images: networks.

The layout is DCGAN's (Radford et al. 2016): strided convolutions, batch norm in the generator. The
discriminator has spectral norm on every layer (Miyato et al. 2018). Before its last layer it gets the
deviation over small groups of the batch (Karras et al. 2018, section 3), which counteracts collapse.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from fingerprints.generators.adversarial import AdversarialModule
from fingerprints.generators.module import check_power_of_two
from fingerprints.generators.settings import GANSettings

COARSEST = 4  # pixels a side where both networks begin or end
GROUP = 4  # number of images over which the discriminator computes the deviation


class GANModule(AdversarialModule):
    """The convolutional GAN in training.

    Args:
        size: Image side in pixels.
        settings: Networks and optimisation.
        **options: As `GeneratorModule` takes them.
    """

    def __init__(self, *, size: int, settings: GANSettings, **options: Any) -> None:
        generator = Generator(size=size, latent=settings.latent, width=settings.width, widest=settings.widest)
        discriminator = Discriminator(size=size, width=settings.discriminator_width, widest=settings.widest)
        super().__init__(generator, discriminator, size=size, settings=settings, **options)


def widths_of(size: int, *, width: int, widest: int) -> list[int]:
    """Channels at sides of 4, 8, ... `size`: `width` at full size, twice as many at each smaller level."""
    levels = (size // COARSEST).bit_length()
    return [min(widest, width * 2**level) for level in reversed(range(levels))]


class Generator(nn.Module):
    """Latent vectors to images.

    Args:
        size: Image side in pixels; a power of two.
        latent: Length of a latent vector.
        width: Channels at full size.
        widest: Most channels at any level.
    """

    def __init__(self, *, size: int, latent: int = 128, width: int = 16, widest: int = 192) -> None:
        super().__init__()
        check_power_of_two(size)
        widths = widths_of(size, width=width, widest=widest)
        self.first = nn.Sequential(
            nn.Linear(latent, widths[0] * COARSEST**2, bias=False),
            nn.Unflatten(1, (widths[0], COARSEST, COARSEST)),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        pairs = list(itertools.pairwise(widths))
        # Transposed convolutions cost less than half of upsampling plus convolution, but leave a
        # checkerboard pattern. It would be visible at the last level, which therefore uses upsampling.
        self.blocks = nn.Sequential(
            *(_block(nn.ConvTranspose2d(i, o, 4, stride=2, padding=1, bias=False), o) for i, o in pairs[:-1]),
            nn.Upsample(scale_factor=2, mode="nearest"),
            _block(nn.Conv2d(*pairs[-1], 3, padding=1, bias=False), pairs[-1][1]),
        )
        self.last = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        """`(n, latent)` standard normal to `(n, 1, size, size)` in (-1, 1)."""
        return torch.tanh(self.last(self.blocks(self.first(latents))))


class Discriminator(nn.Module):
    """Images to scores; higher is more likely real.

    Args:
        size: Image side in pixels; a power of two.
        width: Channels at half size.
        widest: Most channels at any level.
    """

    def __init__(self, *, size: int, width: int = 24, widest: int = 192) -> None:
        super().__init__()
        check_power_of_two(size)
        widths = [1, *reversed(widths_of(size // 2, width=width, widest=widest))]
        layers: list[nn.Module] = []
        for i, o in itertools.pairwise(widths):
            layers += [
                spectral_norm(nn.Conv2d(i, o, 4, stride=2, padding=1)),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers)
        self.last = spectral_norm(nn.Linear((widths[-1] + 1) * COARSEST**2, 1))

    def forward(self, images: Tensor, *, sets: int = 1) -> Tensor:
        """`(n, 1, size, size)` in [-1, 1] to `(n,)`.

        Args:
            images: Sets of equal size, one after the other.
            sets: Number of sets. The deviation is computed within a set: over real and generated images
                together it would be the same for both and have no use.
        """
        features = self.layers(images)
        deviation = torch.cat([batch_deviation(part) for part in features.chunk(sets)])
        return self.last(torch.cat([features, deviation], dim=1).flatten(1)).squeeze(1)


def _block(convolution: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())


def batch_deviation(features: Tensor, *, group: int = GROUP) -> Tensor:
    """How much the images of a group differ: mean deviation of a feature over the group.

    Args:
        features: `(n, c, h, w)`.
        group: Images per group; if the batch is not a multiple of it, the whole batch is one group.

    Returns:
        `(n, 1, h, w)`, one value for all images of a group.
    """
    n, _, height, width = features.shape
    size = group if n % group == 0 else n
    grouped = features.reshape(size, n // size, -1)
    variance = (grouped - grouped.mean(dim=0)).square().mean(dim=0)
    deviation = (variance + 1e-8).sqrt().mean(dim=1)
    return deviation.repeat(size).view(n, 1, 1, 1).expand(n, 1, height, width)
