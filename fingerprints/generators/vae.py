"""A variational autoencoder with a calibrated decoder.

The variance of the decoder is the optimal one for the batch (Rybkin et al. 2021, Simple and Effective VAE
Training with Calibrated Decoders, section 3.3). With a few hundred images and `beta=1` every image gets its
own region of the latent space, and samples from the prior do not look like images; therefore the weight of
the prior is larger.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from fingerprints.generators.batches import RealBatch
from fingerprints.generators.diff_augment import augment, draw_changes
from fingerprints.generators.gan import COARSEST, widths_of
from fingerprints.generators.module import GeneratorModule, check_power_of_two
from fingerprints.generators.settings import VAESettings


class VAEModule(GeneratorModule):
    """The variational autoencoder in training.

    Args:
        size: Image side in pixels.
        settings: Networks and optimisation.
        **options: As `GeneratorModule` takes them.
    """

    figures = ("loss", "squared_error", "divergence")

    def __init__(self, *, size: int, settings: VAESettings, **options: Any) -> None:
        super().__init__(size=size, settings=settings, **options)
        shape = {"size": size, "latent": settings.latent, "width": settings.width, "widest": settings.widest}
        self.encoder = Encoder(**shape).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.decoder = Decoder(**shape).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = self.averaged(self.decoder, settings.ema)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam for both networks."""
        weights = [*self.encoder.parameters(), *self.decoder.parameters()]
        return torch.optim.Adam(weights, lr=self.settings.lr)

    def training_step(self, batch: RealBatch, batch_idx: int) -> None:
        """One update of both networks."""
        optimiser = cast(Any, self.optimizers())
        rng = torch.Generator().manual_seed(batch.seed)
        noise = batch.share(torch.randn(batch.count, self.settings.latent, generator=rng))
        draws = batch.share(draw_changes(batch.count, rng))
        real = augment(batch.pixels(), draws, settings=self.settings.augment)
        mean, log_variance = (part.float() for part in self.encoder(real))
        decoded = self.decoder(mean + noise * (0.5 * log_variance).exp()).float()
        error = (decoded - real).square().mean()
        divergence = kl_divergence(mean, log_variance).mean()
        pixels = real[0].numel()
        # The optimal variance for the whole batch is the mean squared error itself; the gradient is then
        # that of log(error) / 2.
        variance = self.across(error, batch).clamp_min(1e-6)
        loss = error / (2 * variance) + self.settings.beta * divergence / pixels
        self.update(optimiser, loss)
        self.average.update_parameters(self.decoder)
        bound = 0.5 * variance.log() + self.settings.beta * divergence / pixels
        self.record(batch, bound, error, divergence)

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """`(n, 1, S, S)`: the decoder's means for latent vectors from the prior."""
        return self.sampler(torch.randn(n, self.settings.latent, generator=rng).to(self.device))


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Divergence of normal distributions `(n, d)` from the standard normal: `(n,)`, in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)


class Encoder(nn.Module):
    """Images to the mean and log variance of their latent vectors.

    Args:
        size: Image side in pixels; a power of two.
        latent: Length of a latent vector.
        width: Channels at half size.
        widest: Most channels at any level.
    """

    def __init__(self, *, size: int, latent: int, width: int, widest: int) -> None:
        super().__init__()
        check_power_of_two(size)
        widths = [1, *widths_of(size, width=width, widest=widest)[:-1][::-1]]
        blocks = [
            nn.Sequential(nn.Conv2d(i, o, 4, stride=2, padding=1), _norm(o), nn.SiLU())
            for i, o in itertools.pairwise(widths)
        ]
        self.blocks = nn.Sequential(*blocks, nn.Flatten())
        self.last = nn.Linear(widths[-1] * COARSEST**2, 2 * latent)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """`(n, 1, size, size)` to `(n, latent)` twice."""
        mean, log_variance = self.last(self.blocks(images)).chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 6)


class Decoder(nn.Module):
    """Latent vectors to images: nearest-neighbour upsampling, then a convolution, at each level.

    Args:
        size: Image side in pixels; a power of two.
        latent: Length of a latent vector.
        width: Channels at full size.
        widest: Most channels at any level.
    """

    def __init__(self, *, size: int, latent: int, width: int, widest: int) -> None:
        super().__init__()
        check_power_of_two(size)
        widths = widths_of(size, width=width, widest=widest)
        self.first = nn.Sequential(
            nn.Linear(latent, widths[0] * COARSEST**2),
            nn.Unflatten(1, (widths[0], COARSEST, COARSEST)),
            nn.SiLU(),
        )
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Upsample(scale_factor=2, mode="nearest"),
                    nn.Conv2d(i, o, 3, padding=1),
                    _norm(o),
                    nn.SiLU(),
                )
                for i, o in itertools.pairwise(widths)
            )
        )
        self.last = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        """`(n, latent)` to `(n, 1, size, size)` in (-1, 1)."""
        return torch.tanh(self.last(self.blocks(self.first(latents))))


def _norm(channels: int) -> nn.Module:
    return nn.GroupNorm(math.gcd(8, channels), channels)
