"""Fitting a network on pairs: trainer, callbacks, checkpoints, and what the training cost."""

from __future__ import annotations

import logging
import math
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar

from fingerprints.data.datamodule import PairDataModule
from fingerprints.encoders.weights import load_into, read_weights
from fingerprints.errors import FingerprintsError
from fingerprints.training.loggers import log_curve
from fingerprints.training.siamese import SiameseModule

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainerSettings:
    """Hardware, precision and length of training; as Lightning's Trainer takes them."""

    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str = "32-true"
    max_epochs: int = 30


@dataclass(frozen=True)
class StoppingSettings:
    """Early stopping and choice of weights; both need validation pairs.

    Attributes:
        early: Stop when `early_monitor` has not improved for `patience` epochs.
        best: Keep the weights of the epoch that is best by `best_monitor`, not the last.
    """

    early: bool = False
    early_monitor: str = "val_loss"
    patience: int = 5
    best: bool = False
    best_monitor: str = "val_loss"


@dataclass(frozen=True)
class FitResult:
    """What a training leaves beside its weights.

    Attributes:
        history: A row per epoch: `epoch`, `train_loss`, and validation figures where there are any.
        images_encoded: Encoder budget spent, in images.
        epochs: Epochs run.
        chosen_epoch: Epochs of training behind the weights that are kept.
        seconds: Wall time.
        checkpoint: The file of the weights that are kept.
    """

    history: pd.DataFrame
    images_encoded: int
    epochs: int
    chosen_epoch: int
    seconds: float
    checkpoint: Path


class _History(Callback):
    """Keeps the figures of each epoch and says them in the log."""

    def __init__(self, title: str, logger: Any, prefix: str) -> None:
        self.title, self.logger, self.prefix = title, logger, prefix
        self.rows: list[dict[str, float]] = []
        self._started = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started, self._images = time.perf_counter(), int(pl_module.images_encoded)  # type: ignore[arg-type]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Validation of this epoch has already run; train_loss is reduced after the callbacks' turn
        # of the module, so both are in callback_metrics here.
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not math.isfinite(figures.get("train_loss", 0.0)):
            raise FingerprintsError(
                f"Training diverged in epoch {trainer.current_epoch + 1}: the loss is not finite.",
                where=self.title,
                fix="lower training.optimiser.lr, or use trainer.precision=32-true",
            )
        self.rows.append({"epoch": trainer.current_epoch + 1, **figures})
        seconds = time.perf_counter() - self._started
        timed = {"lr": trainer.optimizers[0].param_groups[0]["lr"], "seconds": seconds}
        timed["images_per_second"] = (int(pl_module.images_encoded) - self._images) / seconds  # type: ignore[arg-type]
        log_curve(self.logger, self.prefix, [self.rows[-1] | timed])
        shown = "  ".join(
            f"{name} {figures[name]:.4f}"
            for name in ("train_loss", "val_loss", "val_pair_accuracy")
            if name in figures
        )
        log.info(
            "%s epoch %d/%s  %s  %.1f s",
            self.title,
            trainer.current_epoch + 1,
            trainer.max_epochs,
            shown,
            time.perf_counter() - self._started,
        )


def make_trainer(
    settings: TrainerSettings,
    *,
    callbacks: list[Callback] | None = None,
    validate: bool = False,
) -> pl.Trainer:
    """A Lightning trainer; pairs are sharded by the data module, so its own sampler is off."""
    # Lightning's own lines (devices found, tips) say nothing that this log does not.
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec.*")
    # Validation figures are torchmetrics states, already reduced over all processes when logged.
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
    return pl.Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy=settings.strategy,
        precision=settings.precision,  # type: ignore[arg-type]
        max_epochs=settings.max_epochs,
        callbacks=callbacks,
        logger=False,
        use_distributed_sampler=False,
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks or ()),
        enable_progress_bar=any(isinstance(c, TQDMProgressBar) for c in callbacks or ()),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if validate else 0,
        log_every_n_steps=1,
        deterministic=True if settings.accelerator == "cpu" else "warn",
    )


def check_hardware(settings: TrainerSettings) -> None:
    """Ask Lightning whether this machine can do what is configured.

    Raises:
        FingerprintsError: With Lightning's words, if it cannot.
    """
    try:
        make_trainer(settings)
    except (MisconfigurationException, ValueError) as error:
        raise FingerprintsError(
            f"This machine cannot train so: {str(error).splitlines()[0]}",
            where=f"trainer.accelerator={settings.accelerator}, trainer.devices={settings.devices}, "
            f"trainer.precision={settings.precision}",
            fix="trainer=cpu, or fewer trainer.devices",
        ) from error


def fit(
    module: SiameseModule,
    data: PairDataModule,
    *,
    trainer: TrainerSettings,
    stopping: StoppingSettings,
    folder: Path,
    title: str,
    logger: Any = None,
    prefix: str = "",
) -> FitResult:
    """Train the module's network in place; it ends with the weights that are kept.

    Args:
        module: The network with its loss.
        data: Training pairs, and validation pairs if there are any.
        trainer: Hardware and length.
        stopping: Early stopping and choice of weights; without validation pairs neither applies.
        folder: Where checkpoints go.
        title: What the log calls this training.
        logger: From `open_logger`.
        prefix: Put before the names of this training's curves.
    """
    validated = data.validation_strategy is not None
    history = _History(title, logger, prefix)
    best = ModelCheckpoint(
        dirpath=folder,
        filename="best",
        monitor=stopping.best_monitor if stopping.best and validated else None,
        mode="max" if stopping.best_monitor.endswith("accuracy") else "min",
        save_top_k=1 if stopping.best and validated else 0,
        save_last=True,
        enable_version_counter=False,
    )
    callbacks: list[Callback] = [history, best]
    if stopping.early and validated:
        mode = "max" if stopping.early_monitor.endswith("accuracy") else "min"
        callbacks.append(
            EarlyStopping(stopping.early_monitor, patience=stopping.patience, mode=mode, check_finite=True)
        )
    if sys.stderr.isatty():
        callbacks.append(TQDMProgressBar(leave=False))
    runner = make_trainer(trainer, callbacks=callbacks, validate=validated)
    log.info(
        "%s: %s pairs, %d steps an epoch, %s images encoded an epoch, %s in %d epochs",
        title,
        "aligned" if data.train_strategy.aligned else "all",
        data.train_strategy.steps,
        f"{data.train_strategy.images_per_epoch:,}",
        f"{data.train_strategy.images_per_epoch * trainer.max_epochs:,}",
        trainer.max_epochs,
    )
    started = time.perf_counter()
    runner.fit(module, datamodule=data)
    seconds = time.perf_counter() - started
    images, epochs = int(module.images_encoded), runner.current_epoch
    checkpoint, chosen = Path(best.last_model_path), epochs
    if stopping.best and validated and best.best_model_path:
        checkpoint = Path(best.best_model_path)
        frame = pd.DataFrame(history.rows)[stopping.best_monitor]
        chosen = 1 + int(frame.argmax() if best.mode == "max" else frame.argmin())
        load_into(module, read_weights(checkpoint), where=checkpoint)
    return FitResult(
        history=pd.DataFrame(history.rows),
        images_encoded=images,
        epochs=epochs,
        chosen_epoch=chosen,
        seconds=seconds,
        checkpoint=checkpoint,
    )
