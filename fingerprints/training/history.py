"""The figures of each epoch: kept in the checkpoint, written to the log, sent to the logger."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any, Protocol

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from fingerprints.core.errors import FingerprintsError

log = logging.getLogger(__name__)

Row = dict[str, float]


class Report(Protocol):
    """Receives the figures of an epoch; `fresh` if it was just trained and not read from a checkpoint."""

    def __call__(self, row: Row, *, fresh: bool) -> None:
        """Receive them."""


SHOWN = ("train_loss", "val_loss", "val_pair_accuracy", "val_accuracy")


class History(Callback):
    """A row per epoch: loss, zero embeddings, validation figures, learning rate, time.

    The sums of an unfinished epoch are part of the checkpoint, so that an interrupted epoch gets the same
    figures as an uninterrupted one.

    Args:
        title: Name of this training in the log.
        report: Called with each row (a logger's curves, the run's status).
    """

    def __init__(self, title: str, report: Report | None = None) -> None:
        self.title, self.report = title, report
        self.rows: list[Row] = []
        self._sums: Tensor | None = None  # of this process: loss x images, zero embeddings
        self._images, self._seconds, self._since = 0, 0.0, 0.0
        self._world: Callable[[Tensor], Tensor] = lambda tensor: tensor

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the epochs of a checkpoint, even if no epoch remains to be trained."""
        if self.report is not None:
            for row in self.rows:
                self.report(row, fresh=False)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock here: Lightning has no start event for an epoch that is resumed half-way."""
        self._since = time.perf_counter()
        self._world = lambda tensor: trainer.strategy.reduce(tensor.clone(), reduce_op="sum")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add to the sums without waiting for the device."""
        new = torch.stack([outputs["loss"].detach().double() * batch.images, outputs["zeros"].double()])
        self._sums = new if self._sums is None else self._sums.to(new.device) + new
        self._images += batch.images

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Complete the epoch's row; its validation has already run.

        Raises:
            FingerprintsError: If the loss is not finite.
        """
        sums = torch.zeros(2) if self._sums is None else self._sums
        loss, zeros = self._world(sums).tolist()
        row: Row = {
            "epoch": trainer.current_epoch + 1,
            "train_loss": loss / max(1, self._images) / trainer.world_size,
            "zero_embeddings": zeros,
        }
        row |= {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not math.isfinite(row["train_loss"]):
            raise FingerprintsError(
                f"Training diverged in epoch {trainer.current_epoch + 1}: the loss is not finite.",
                where=self.title,
                fix="lower training.optimiser.lr, or use trainer.precision=32-true",
            )
        seconds = self._seconds + time.perf_counter() - self._since
        row |= {
            "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
            "seconds": seconds,
            "images_per_second": self._images / max(seconds, 1e-9),
        }
        self.rows.append(row)
        self._sums, self._images, self._seconds, self._since = None, 0, 0.0, time.perf_counter()
        shown = "  ".join(f"{name} {row[name]:.4f}" for name in SHOWN if name in row)
        log.info("%s epoch %d/%s  %s  %.1f s", self.title, row["epoch"], trainer.max_epochs, shown, seconds)
        if self.report is not None:
            self.report(row, fresh=True)

    def state_dict(self) -> dict[str, Any]:
        """Rows, and the sums of an unfinished epoch over all processes."""
        sums = None if self._sums is None else self._world(self._sums).tolist()
        seconds = self._seconds + time.perf_counter() - self._since if self._images else 0.0
        return {"rows": self.rows, "sums": sums, "images": self._images, "seconds": seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of the checkpoint; the main process takes over the sums."""
        self.rows = [dict(row) for row in state_dict["rows"]]
        self._images, self._seconds = state_dict["images"], state_dict["seconds"]
        main = getattr(pl.utilities.rank_zero_only, "rank", 0) == 0
        if state_dict["sums"] is not None:
            self._sums = torch.tensor(state_dict["sums"], dtype=torch.float64) * main
