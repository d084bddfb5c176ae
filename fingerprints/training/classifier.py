"""A softmax classifier on any encoder: fine-tuning, and the resulting embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from fingerprints.data.datamodule import ImageBatch
from fingerprints.data.pairs import PAD
from fingerprints.encoders.network import EmbeddingNetwork, as_unit_float
from fingerprints.training.accumulate import in_parts
from fingerprints.training.augment import Augmentation
from fingerprints.training.module import EncoderModule
from fingerprints.training.settings import OptimiserSettings


class ClassifierModule(EncoderModule):
    """Cross-entropy training of an encoder with a linear layer on its embeddings (GAN-Amis [O24]).

    With several processes the loss is that of the global batch: terms are summed and divided by its size.

    Args:
        network: The encoder, which is kept after training.
        classes: Number of classes.
        optimiser: Optimiser and schedule.
        augmentation: Applied to training images only.
        accumulate: Number of parts in which a process' share of a batch passes through the encoder.
    """

    def __init__(
        self,
        network: EmbeddingNetwork,
        *,
        classes: int,
        optimiser: OptimiserSettings,
        augmentation: Augmentation,
        accumulate: int = 1,
    ) -> None:
        super().__init__(network, optimiser=optimiser, augmentation=augmentation)
        self.head = nn.Linear(network.embedding, classes)
        self.accumulate = accumulate
        self.val_loss = MeanMetric()
        self.val_accuracy = MulticlassAccuracy(num_classes=classes, average="micro")

    def training_step(self, batch: ImageBatch, batch_idx: int) -> dict[str, Tensor]:
        """Mean cross-entropy of the global batch; padding entries do not count."""
        images = self.augmentation(as_unit_float(batch.left), batch)
        logits = self.head(in_parts(self.network.forward, images, parts=self.accumulate))
        total = functional.cross_entropy(logits, batch.left_classes, ignore_index=PAD, reduction="sum")
        self.images_encoded += batch.images
        return {
            "loss": total * self.trainer.world_size / batch.images,
            "zeros": torch.zeros((), device=total.device),
        }

    def validation_step(self, batch: ImageBatch, batch_idx: int) -> None:
        """Collect loss and accuracy of held-out images; padding entries do not count."""
        counted = batch.left_classes != PAD
        if not counted.any():
            return
        logits, classes = self.head(self.network(batch.left))[counted], batch.left_classes[counted]
        self.val_loss.update(functional.cross_entropy(logits, classes, reduction="none"))
        self.val_accuracy.update(logits, classes)

    def on_validation_epoch_end(self) -> None:
        """Log the figures of the epoch, over all images and processes."""
        self.log("val_loss", self.val_loss.compute())
        self.log("val_accuracy", self.val_accuracy.compute(), prog_bar=True)
        self.val_loss.reset()
        self.val_accuracy.reset()
