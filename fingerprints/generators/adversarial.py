"""The LightningModule that trains a GAN: hinge loss, spectral norm, moving average of weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from fingerprints.errors import FingerprintsError
from fingerprints.generators.diff_augment import DiffAugment
from fingerprints.generators.gan import Discriminator, Generator
from fingerprints.generators.steps import RealBatch

CURVE = ("step", "discriminator_loss", "generator_loss", "real_score", "generated_score")


@dataclass(frozen=True)
class GANSettings:
    """Networks and optimisation of a GAN.

    Attributes:
        latent: Length of a latent vector.
        width: Channels of the generator at full size.
        discriminator_width: Channels of the discriminator at half size.
        widest: Most channels at any level of either.
        batch_size: Real images a step, and generated ones.
        lr: Learning rate of Adam, for both networks.
        beta1: Its first decay.
        beta2: Its second decay.
        ema: Decay of the moving average of the generator's weights, which makes the images.
        augment: What the discriminator sees.
    """

    latent: int = 128
    width: int = 16
    discriminator_width: int = 24
    widest: int = 192
    batch_size: int = 16
    lr: float = 3e-4
    beta1: float = 0.0
    beta2: float = 0.99
    ema: float = 0.998
    augment: DiffAugment = field(default_factory=DiffAugment)


class GANModule(pl.LightningModule):
    """One generator and its discriminator, trained in turn.

    What a step does is a function of the weights and the batch alone: latent vectors and augmentation
    are drawn from the batch's own seed, on the CPU.

    Args:
        size: Pixels a side.
        settings: Networks and optimisation.
        name: What errors call this generator.
        log_every: Steps between two points of the curve.
        identity: What tells this training from others; a checkpoint of another one is refused.
    """

    def __init__(
        self, *, size: int, settings: GANSettings, name: str = "", log_every: int = 50, identity: str = ""
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.settings, self.name, self.log_every, self.identity = settings, name, log_every, identity
        self.generator = Generator(
            size=size, latent=settings.latent, width=settings.width, widest=settings.widest
        ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.discriminator = Discriminator(
            size=size, width=settings.discriminator_width, widest=settings.widest
        ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = AveragedModel(
            self.generator, multi_avg_fn=_moving_average(settings.ema), use_buffers=True
        )
        self.curve: list[dict[str, float]] = []
        self._sums = torch.zeros(len(CURVE) - 1)

    @property
    def sampler(self) -> Generator:
        """The averaged generator, which makes the images."""
        return self.average.module  # type: ignore[return-value]

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam for either network; the discriminator's comes first."""
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
        real = batch.images.float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)
        latents = torch.randn(len(real), self.settings.latent, generator=rng).to(self.device)
        generated = self.generator(latents)
        augment = self.settings.augment

        seen = augment(torch.cat([real, generated.detach()]), rng)
        real_scores, generated_scores = self.discriminator(seen, sets=2).chunk(2)
        loss = F.relu(1 - real_scores).mean() + F.relu(1 + generated_scores).mean()
        self._update(for_discriminator, loss)

        self.discriminator.requires_grad_(False)
        generator_loss = -self.discriminator(augment(generated, rng)).mean()
        self._update(for_generator, generator_loss)
        self.discriminator.requires_grad_(True)
        self.average.update_parameters(self.generator)

        figures = (loss, generator_loss, real_scores.mean(), generated_scores.mean())
        self._record(batch.step, torch.stack([figure.detach().float() for figure in figures]))

    def _update(self, optimiser: Any, loss: Tensor) -> None:
        optimiser.zero_grad()
        self.manual_backward(loss)
        optimiser.step()

    def _record(self, step: int, figures: Tensor) -> None:
        """A point of the curve every `log_every` steps.

        Raises:
            FingerprintsError: If the training has diverged.
        """
        self._sums = self._sums.to(figures.device) + figures
        if (step + 1) % self.log_every:
            return
        values = (self._sums / self.log_every).tolist()
        self._sums = torch.zeros_like(self._sums)
        if not all(abs(value) < 1e6 for value in values):  # false for NaN, too
            raise diverged(self.name, step=step + 1, what="losses")
        self.curve.append(dict(zip(CURVE, [float(step + 1), *values], strict=True)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the curve, and the sums of its next point."""
        checkpoint["identity"] = self.identity
        checkpoint["curve"] = self.curve
        checkpoint["sums"] = self._sums

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them up again.

        Raises:
            FingerprintsError: If the checkpoint is of another training.
        """
        if checkpoint["identity"] != self.identity:
            raise FingerprintsError(
                f"The checkpoint of generator '{self.name}' is of other images or settings.",
                where=f"generators/{self.name}",
                fix="remove the folder, or make the benchmark in another one (out=DIR)",
            )
        self.curve = list(checkpoint["curve"])
        self._sums = checkpoint["sums"]


def diverged(name: str, *, step: int, what: str) -> FingerprintsError:
    """The error of a training that has left the numbers: `what` is no longer finite."""
    return FingerprintsError(
        f"Generator '{name}' diverged before step {step}: its {what} are not finite.",
        where=f"generators/{name}",
        fix="another seed=N, or a lower generator.lr",
    )


def _moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """An exponential moving average whose memory grows with the training, so that it forgets the start."""

    @torch.no_grad()
    def update(averages: list[Tensor], values: list[Tensor], count: Tensor | int) -> None:
        weight = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        for average, value in zip(averages, values, strict=True):
            if average.is_floating_point():
                average.lerp_(value, weight)
            else:
                average.copy_(value)  # batch norm's counter

    return update


@torch.inference_mode()
def sample(generator: Generator, n: int, *, seed: int, batch: int = 100) -> Tensor:
    """`(n, S, S)` uint8 images from latent vectors drawn with `seed`.

    The first images of a longer request are those of a shorter one where both are multiples of `batch`.
    """
    rng = torch.Generator().manual_seed(seed)
    was_training = generator.training
    generator.eval()
    device = next(generator.parameters()).device
    pieces = []
    for start in range(0, n, batch):
        latents = torch.randn(min(batch, n - start), generator.latent, generator=rng)
        images = generator(latents.to(device)).squeeze(1)
        pieces.append(images.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).cpu())
    generator.train(was_training)
    return torch.cat(pieces) if pieces else torch.empty(0, 0, 0, dtype=torch.uint8)
