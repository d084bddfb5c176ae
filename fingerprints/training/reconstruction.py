"""Training an autoencoder, whose embeddings are maps of its errors."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import MeanMetric

from fingerprints.data.datamodule import ImageBatch
from fingerprints.data.pairs import PAD
from fingerprints.encoders.network import EmbeddingNetwork, as_unit_float
from fingerprints.training.accumulate import in_parts
from fingerprints.training.augment import Augmentation
from fingerprints.training.module import EncoderModule
from fingerprints.training.settings import OptimiserSettings


class ReconstructionModule(EncoderModule):
    """Mean squared error training of an encoder that gives error maps; labels are not used.

    With several processes the loss is that of the global batch: terms are summed and divided by its size.

    Args:
        network: Gives `(n, d)` squared errors, not normalised.
        optimiser: Optimiser and schedule.
        augmentation: Applied to training images only.
        accumulate: Number of parts in which a process' share of a batch passes through the network.
    """

    def __init__(
        self,
        network: EmbeddingNetwork,
        *,
        optimiser: OptimiserSettings,
        augmentation: Augmentation,
        accumulate: int = 1,
    ) -> None:
        super().__init__(network, optimiser=optimiser, augmentation=augmentation)
        self.accumulate = accumulate
        self.val_loss = MeanMetric()

    def training_step(self, batch: ImageBatch, batch_idx: int) -> dict[str, Tensor]:
        """Mean squared error of the global batch; padding entries do not count."""
        images = self.augmentation(as_unit_float(batch.left), batch)
        errors = in_parts(self.network.forward, images, parts=self.accumulate).mean(dim=1)
        total = (errors * (batch.left_classes != PAD)).sum()
        self.images_encoded += batch.images
        return {
            "loss": total * self.trainer.world_size / batch.images,
            "zeros": torch.zeros((), device=total.device),
        }

    def validation_step(self, batch: ImageBatch, batch_idx: int) -> None:
        """Collect the errors of held-out images; padding entries do not count."""
        self.val_loss.update(self.network(batch.left).mean(dim=1)[batch.left_classes != PAD])

    def on_validation_epoch_end(self) -> None:
        """Log the mean error of the epoch, over all images and processes."""
        self.log("val_loss", self.val_loss.compute(), prog_bar=True)
        self.val_loss.reset()
