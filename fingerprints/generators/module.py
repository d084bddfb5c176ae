"""Common base of all designs of a generator: a LightningModule that trains, averages and makes images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from fingerprints.core.errors import FingerprintsError
from fingerprints.generators.batches import RealBatch

SIZES = (16, 32, 64, 128, 256, 512)


class GeneratorModule(pl.LightningModule):
    """A generator in training.

    A step depends only on the weights and the batch: all random numbers are drawn from the batch's own
    seed, on the CPU, for the whole batch; then each process takes its share.

    A design defines `figures`, `self.average`, `training_step`, `configure_optimizers` and `draw`.

    Args:
        size: Image side in pixels.
        settings: Networks and optimisation, in the design's own settings class.
        name: Name of this generator in error messages.
        log_every: Steps between two points of the curve.
        identity: Digest of this training; a checkpoint with another identity is refused.
    """

    figures: ClassVar[tuple[str, ...]]
    """Columns of the curve after `step`."""
    sampling_batch: ClassVar[int] = 100
    """Number of images made at once."""

    average: AveragedModel

    def __init__(
        self, *, size: int, settings: Any, name: str = "", log_every: int = 50, identity: str = ""
    ) -> None:
        super().__init__()
        self.check_size(size, settings)
        self.size, self.settings = size, settings
        self.automatic_optimization = False
        self.name, self.log_every, self.identity = name, log_every, identity
        self.curve: list[dict[str, float]] = []
        self._sums = torch.zeros(len(self.figures))

    @classmethod
    def check_size(cls, size: int, settings: Any) -> None:
        """Refuse image sizes that the design cannot make.

        Raises:
            FingerprintsError: If `size` is not a power of two from 16 to 512.
        """
        check_power_of_two(size)

    @property
    def sampler(self) -> nn.Module:
        """The averaged network, which makes the images."""
        return self.average.module

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """`(n, 1, S, S)` images of the averaged network, in [-1, 1]; all randomness comes from `rng`."""
        raise NotImplementedError

    @torch.inference_mode()
    def sample(self, n: int, *, seed: int) -> Tensor:
        """`(n, S, S)` uint8 images.

        The first images of a longer request equal those of a shorter one if both are multiples of
        `sampling_batch`.
        """
        rng = torch.Generator().manual_seed(seed)
        network = self.sampler
        was_training = network.training
        network.eval()
        pieces = []
        for start in range(0, n, self.sampling_batch):
            images = self.draw(min(self.sampling_batch, n - start), rng).squeeze(1)
            pieces.append(images.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).cpu())
        network.train(was_training)
        return torch.cat(pieces) if pieces else torch.empty(0, 0, 0, dtype=torch.uint8)

    def averaged(self, network: nn.Module, decay: float) -> AveragedModel:
        """A copy of a network, updated as its moving average."""
        return AveragedModel(network, multi_avg_fn=moving_average(decay), use_buffers=True)

    def update(self, optimiser: Any, loss: Tensor) -> None:
        """One optimiser step that reduces a loss."""
        optimiser.zero_grad()
        self.manual_backward(loss)
        optimiser.step()

    def across(self, figures: Tensor, batch: RealBatch) -> Tensor:
        """Means over the whole batch, from means over each process' share; without gradients."""
        figures = figures.detach().float()
        return figures if batch.world == 1 else cast(Tensor, self.all_gather(figures)).mean(dim=0)

    def record(self, batch: RealBatch, *figures: Tensor) -> None:
        """Record a step's figures, in the order of `self.figures`; a point of the curve every `log_every`.

        Raises:
            FingerprintsError: If the training has diverged.
        """
        found = self.across(torch.stack([figure.detach().float() for figure in figures]), batch)
        self._sums = self._sums.to(found.device) + found
        if (batch.step + 1) % self.log_every:
            return
        values = (self._sums / self.log_every).tolist()
        self._sums = torch.zeros_like(self._sums)
        if not all(abs(value) < 1e6 for value in values):  # also rejects NaN
            raise diverged(self.name, step=batch.step + 1, what="losses")
        self.curve.append(dict(zip(("step", *self.figures), [float(batch.step + 1), *values], strict=True)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the curve and the sums of its next point."""
        checkpoint["identity"] = self.identity
        checkpoint["curve"] = self.curve
        checkpoint["sums"] = self._sums

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore them.

        Raises:
            FingerprintsError: If the checkpoint belongs to another training.
        """
        if checkpoint["identity"] != self.identity:
            raise FingerprintsError(
                f"The checkpoint of generator '{self.name}' was made with other images or settings.",
                where=f"generators/{self.name}",
                fix="remove the folder, or make the benchmark in another one (out=DIR)",
            )
        self.curve = list(checkpoint["curve"])
        self._sums = checkpoint["sums"]


def check_power_of_two(size: int) -> None:
    """Refuse sizes that cannot be reached by doubling from 4 pixels.

    Raises:
        FingerprintsError: If `size` is not a power of two from 16 to 512.
    """
    if size not in SIZES:
        raise FingerprintsError(
            f"This generator cannot make images of {size} x {size} pixels.",
            where=f"size={size}",
            fix="use a power of two from 16 to 512, for example size=64",
        )


def diverged(name: str, *, step: int, what: str) -> FingerprintsError:
    """The error of a training that has diverged: `what` is no longer finite."""
    return FingerprintsError(
        f"Generator '{name}' diverged before step {step}: its {what} are not finite.",
        where=f"generators/{name}",
        fix="try another seed=N, or a lower generator.lr",
    )


def moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """An exponential moving average; its window grows with the steps, so that the start has little weight."""

    @torch.no_grad()
    def update(averages: list[Tensor], values: list[Tensor], count: Tensor | int) -> None:
        weight = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        for average, value in zip(averages, values, strict=True):
            if average.is_floating_point():
                average.lerp_(value, weight)
            else:
                average.copy_(value)  # the counter of batch norm

    return update
