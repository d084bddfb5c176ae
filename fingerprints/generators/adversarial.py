"""The LightningModule that trains a generator against a discriminator with hinge loss.

Designs provide the networks.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fingerprints.generators.batches import RealBatch
from fingerprints.generators.diff_augment import augment, draw_changes
from fingerprints.generators.module import GeneratorModule
from fingerprints.generators.settings import AdversarialSettings


class AdversarialModule(GeneratorModule):
    """One generator and its discriminator, trained alternately.

    Args:
        generator: Maps the output of `noise` to `(n, 1, S, S)` images.
        discriminator: Maps images to `(n,)` scores, higher for real; has the argument `sets` (see `gan`).
        settings: Networks and optimisation.
        **options: As `GeneratorModule` takes them.
    """

    figures = ("discriminator_loss", "generator_loss", "real_score", "generated_score")

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, *, settings: AdversarialSettings, **options: Any
    ) -> None:
        super().__init__(settings=settings, **options)
        self.generator = generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.discriminator = discriminator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = self.averaged(self.generator, settings.ema)

    def noise(self, n: int, rng: torch.Generator) -> list[Tensor]:
        """Random inputs of the generator for `n` images, `(n, ...)` each."""
        return [torch.randn(n, self.settings.latent, generator=rng)]

    def discriminator_loss(self, real_scores: Tensor, generated_scores: Tensor) -> Tensor:
        """Hinge loss: real images should score at least 1, generated ones at most -1."""
        return F.relu(1 - real_scores).mean() + F.relu(1 + generated_scores).mean()

    def generator_loss(self, generated_scores: Tensor) -> Tensor:
        """Minus the score."""
        return -generated_scores.mean()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One Adam optimiser for each network; the discriminator's comes first."""
        options: dict[str, Any] = {
            "lr": self.settings.lr,
            "betas": (self.settings.beta1, self.settings.beta2),
        }
        return [
            torch.optim.Adam(network.parameters(), **options)
            for network in (self.discriminator, self.generator)
        ]

    def training_step(self, batch: RealBatch, batch_idx: int) -> None:
        """One update of the discriminator, then one of the generator on the same generated images."""
        for_discriminator, for_generator = cast(list, self.optimizers())
        rng = torch.Generator().manual_seed(batch.seed)
        changes, n = self.settings.augment, batch.count
        real = batch.pixels()
        generated = self.generator(*(batch.share(noise) for noise in self.noise(n, rng)))

        of_real, of_generated = (batch.share(draws) for draws in draw_changes(2 * n, rng).chunk(2))
        both, draws = torch.cat([real, generated.detach()]), torch.cat([of_real, of_generated])
        seen = augment(both, draws, settings=changes)
        real_scores, generated_scores = self.discriminator(seen, sets=2).chunk(2)
        loss = self.discriminator_loss(real_scores, generated_scores)
        self.update(for_discriminator, loss)

        self.discriminator.requires_grad_(False)
        again = augment(generated, batch.share(draw_changes(n, rng)), settings=changes)
        generator_loss = self.generator_loss(self.discriminator(again))
        self.update(for_generator, generator_loss)
        self.discriminator.requires_grad_(True)
        self.average.update_parameters(self.generator)
        self.record(batch, loss, generator_loss, real_scores.mean(), generated_scores.mean())

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """`(n, 1, S, S)` images from the averaged generator."""
        return self.sampler(*(noise.to(self.device) for noise in self.noise(n, rng)))
