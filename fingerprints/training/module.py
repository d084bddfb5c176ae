"""Common base of all trainings of an encoder: network, optimiser and encoder budget."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from fingerprints.encoders.network import EmbeddingNetwork
from fingerprints.training.augment import Augmentation
from fingerprints.training.optimise import configure
from fingerprints.training.settings import OptimiserSettings


class EncoderModule(pl.LightningModule):
    """A network in training. A training step returns `loss` and `zeros`, the count of zero embeddings.

    Args:
        network: The encoder, which is kept after training.
        optimiser: Optimiser and schedule.
        augmentation: Applied to training images only.

    Attributes:
        images_encoded: Encoder budget used so far, in images; part of the checkpoint.
    """

    images_encoded: Tensor

    def __init__(
        self, network: EmbeddingNetwork, *, optimiser: OptimiserSettings, augmentation: Augmentation
    ) -> None:
        super().__init__()
        self.network = network
        self.optimiser, self.augmentation = optimiser, augmentation
        self.register_buffer("images_encoded", torch.zeros((), dtype=torch.int64))

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule over all steps of the training."""
        # Not `trainer.estimated_stepping_batches`: it creates the loaders, and loaders that exist before
        # the checkpoint is read do not learn at which step to continue.
        strategy = self.trainer.datamodule.train_strategy  # type: ignore[attr-defined]
        steps = strategy.steps * int(self.trainer.max_epochs or 1)
        return configure(self.parameters(), self.optimiser, steps=steps)
