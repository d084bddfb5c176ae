"""The Siamese network: one encoder with shared weights, trained on pairs."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MaxMetric, MeanMetric, MinMetric
from torchmetrics.classification import BinaryAccuracy

from fingerprints.data.datamodule import ImageBatch
from fingerprints.encoders.network import EmbeddingNetwork, as_unit_float, l2_normalise
from fingerprints.training.accumulate import in_parts
from fingerprints.training.augment import Augmentation
from fingerprints.training.losses import (
    aligned_distances,
    all_distances,
    balanced_contrastive_loss,
    contrastive_terms,
)
from fingerprints.training.module import EncoderModule
from fingerprints.training.settings import OptimiserSettings, PairTrainingSettings

log = logging.getLogger(__name__)

COLLAPSED_BELOW = 1e-3


class SiameseModule(EncoderModule):
    """Contrastive training of a shared-weight encoder on (real, generated) pairs [A25].

    Row i of both sides is a pair (`random`), or pairs are formed from all embeddings of a batch (`all`).
    With several processes the loss and its gradient are those of the global batch: losses of row pairs are
    summed and divided by the global number; in `all` the embeddings are gathered with gradients.

    Args:
        network: Encoder, projection and norm, which are kept after training.
        settings: Margin and threshold.
        optimiser: Optimiser and schedule.
        augmentation: Applied to training images only.
        accumulate: Number of parts in which a process' share of a batch passes through the encoder.
    """

    def __init__(
        self,
        network: EmbeddingNetwork,
        *,
        settings: PairTrainingSettings,
        optimiser: OptimiserSettings,
        augmentation: Augmentation,
        accumulate: int = 1,
    ) -> None:
        super().__init__(network, optimiser=optimiser, augmentation=augmentation)
        self.settings, self.accumulate = settings, accumulate
        self.val_loss, self.val_accuracy = MeanMetric(), BinaryAccuracy()
        self.val_nearest, self.val_farthest = MinMetric(), MaxMetric()

    def _raw(self, batch: ImageBatch, *, augment: bool) -> Tensor:
        """`(left + right images, d)` embeddings before the norm."""
        images = as_unit_float(torch.cat([batch.left, batch.right]))
        if not augment:
            return self.network.raw(images)
        return in_parts(self.network.raw, self.augmentation(images, batch), parts=self.accumulate)

    def training_step(self, batch: ImageBatch, batch_idx: int) -> dict[str, Tensor]:
        """Contrastive loss of the global batch, and how many of this process' embeddings are zero."""
        raw = self._raw(batch, augment=True)
        # A ReLU before the norm can make embeddings zero.
        images = torch.cat([batch.left_classes, batch.right_classes]) >= 0
        zeros = ((raw.detach().norm(dim=1) < 1e-8) & images).sum()
        left, right = l2_normalise(raw).split([len(batch.left), len(batch.right)])
        if batch.aligned:
            positive, counted = _pairs(batch.left_classes, batch.right_classes, batch)
            terms = contrastive_terms(aligned_distances(left, right), positive, margin=self.settings.margin)
            loss = (terms * counted).sum() * self.trainer.world_size / (batch.images / 2)
        else:
            left, right = self._gather(left, sync_grads=True), self._gather(right, sync_grads=True)
            left_classes, right_classes = self._gather(batch.left_classes), self._gather(batch.right_classes)
            positive = left_classes[:, None] == right_classes[None, :]
            counted = (left_classes >= 0)[:, None] & (right_classes >= 0)[None, :]
            counted &= self._gather(batch.left_rows)[:, None] != self._gather(batch.right_rows)[None, :]
            loss = balanced_contrastive_loss(
                all_distances(left, right), positive, counted, margin=self.settings.margin
            )
        self.images_encoded += batch.images
        return {"loss": loss, "zeros": zeros}

    def _gather(self, tensor: Tensor, *, sync_grads: bool = False) -> Tensor:
        if self.trainer.world_size == 1:
            return tensor
        gathered: Any = self.all_gather(tensor, sync_grads=sync_grads)
        return gathered.flatten(0, 1)

    def validation_step(self, batch: ImageBatch, batch_idx: int) -> None:
        """Collect loss and accuracy of held-out pairs; padding entries do not count."""
        raw = self._raw(batch, augment=False)
        left, right = l2_normalise(raw).split([len(batch.left), len(batch.right)])
        positive, counted = _pairs(batch.left_classes, batch.right_classes, batch)
        distance, positive = aligned_distances(left, right)[counted], positive[counted]
        if not len(distance):
            return
        self.val_loss.update(contrastive_terms(distance, positive, margin=self.settings.margin))
        self.val_accuracy.update((distance < self.settings.pair_threshold).int(), positive.int())
        self.val_nearest.update(distance)
        self.val_farthest.update(distance)

    def on_validation_epoch_end(self) -> None:
        """Log the figures of the epoch, over all pairs and processes; warn if the embeddings collapse."""
        spread = self.val_farthest.compute() - self.val_nearest.compute()
        self.log("val_loss", self.val_loss.compute())
        self.log("val_pair_accuracy", self.val_accuracy.compute(), prog_bar=True)
        self.log("val_distance_spread", spread)
        if not self.trainer.sanity_checking and spread < COLLAPSED_BELOW and self.trainer.is_global_zero:
            log.warning(
                "epoch %d: the embeddings have collapsed (all validation distances within %.1g): "
                "lower training.optimiser.lr, or encoder.final_relu=false",
                self.current_epoch,
                spread,
            )
        for metric in (self.val_loss, self.val_accuracy, self.val_nearest, self.val_farthest):
            metric.reset()


def _pairs(left_classes: Tensor, right_classes: Tensor, batch: ImageBatch) -> tuple[Tensor, Tensor]:
    """Which row pairs are positive, and which count (no padding, no image paired with itself)."""
    counted = (left_classes >= 0) & (batch.left_rows != batch.right_rows)
    return left_classes == right_classes, counted
