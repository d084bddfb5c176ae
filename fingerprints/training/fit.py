"""Fitting a network: callbacks, checkpoints, resume, and the cost of the training."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, TQDMProgressBar

from fingerprints.core.files import write_atomically
from fingerprints.core.signals import deferred
from fingerprints.core.weights import load_into, read_weights
from fingerprints.data.datamodule import StepDataModule
from fingerprints.training.checkpoint import LAST, Checkpoints
from fingerprints.training.hardware import make_trainer
from fingerprints.training.history import History, Report
from fingerprints.training.module import EncoderModule
from fingerprints.training.settings import EarlyStoppingSettings, StoppingSettings, TrainerSettings

log = logging.getLogger(__name__)

RESULT = "fit.json"


@dataclass(frozen=True)
class FitResult:
    """Results of a training, apart from its weights.

    Attributes:
        history: A row per epoch: `epoch`, `train_loss`, and validation figures if there are any.
        images_encoded: Encoder budget used, in images.
        chosen_epoch: Number of epochs after which the kept weights were saved.
        checkpoint: File of the kept weights.
    """

    history: pd.DataFrame
    images_encoded: int
    chosen_epoch: int
    checkpoint: Path

    @property
    def validated(self) -> bool:
        """Whether there were images to validate on."""
        return any(str(name).startswith("val_") for name in self.history)

    @property
    def epochs(self) -> int:
        """Epochs run."""
        return len(self.history)

    @property
    def seconds(self) -> float:
        """Wall time of all epochs, without interruptions."""
        return float(self.history["seconds"].sum())

    def save(self, path: Path) -> None:
        """Write it as JSON, with the checkpoint named relative to the file."""
        facts = {
            "images_encoded": self.images_encoded,
            "chosen_epoch": self.chosen_epoch,
            "checkpoint": self.checkpoint.name,
            "history": self.history.to_dict(orient="records"),
        }
        write_atomically(path, (json.dumps(facts) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> FitResult:
        """Read what `save` wrote."""
        facts = json.loads(path.read_text())
        return cls(
            history=pd.DataFrame(facts["history"]),
            images_encoded=facts["images_encoded"],
            chosen_epoch=facts["chosen_epoch"],
            checkpoint=path.parent / facts["checkpoint"],
        )


class _SeedSteps(Callback):
    """Seeds dropout and similar layers from (seed, epoch, step), also after a resume."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        place = [self.seed, batch.epoch, batch.step, trainer.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> 1))


class _EarlyStopping(EarlyStopping):
    """Early stopping that remembers after a resume that it has already stopped."""

    stopped = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        self.stopped = trainer.should_stop

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = self.stopped

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "stopped": self.stopped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.stopped = state_dict["stopped"]


def fit(
    module: EncoderModule,
    data: StepDataModule,
    *,
    trainer: TrainerSettings,
    stopping: StoppingSettings,
    folder: Path,
    title: str,
    seed: int = 0,
    report: Report | None = None,
) -> FitResult:
    """Train the module's network in place; afterwards it has the weights that are kept.

    If the folder holds this training finished, its result is loaded. An interrupted training continues
    from its last checkpoint, with the same result as without the interruption.

    Args:
        module: The network with its loss.
        data: Training batches, and validation batches if there are any.
        trainer: Hardware and length.
        stopping: Early stopping and choice of weights; without validation images neither applies.
        folder: Folder of the checkpoints, used by this training only.
        title: Name of this training in the log.
        seed: Seed of random layers (dropout).
        report: Called with the figures of each epoch, and whether they are new. Epochs that the folder
            already holds are not new.

    Raises:
        FingerprintsError: If the training diverges, or a checkpoint cannot be written or read.
        Interrupted: If a signal asked to stop; the checkpoint was written before.
    """
    if (folder / RESULT).exists():
        return _finished(module, folder, title, report)
    validated = data.validation_strategy is not None
    history = History(title, report)
    checkpoints = _checkpoints(stopping, folder, validated=validated)
    callbacks: list[Callback] = [_SeedSteps(seed), history, checkpoints]
    if stopping.early_stopping.enabled and validated:
        callbacks.append(_early_stopping(stopping.early_stopping))
    if sys.stderr.isatty():
        callbacks.append(TQDMProgressBar(leave=False))
    runner = make_trainer(trainer, callbacks=callbacks, validate=validated)
    steps, images = data.train_strategy.steps, data.train_strategy.images_per_epoch
    log.info(
        "%s: %d steps per epoch, %s images encoded per epoch, %s in %d epochs",
        *(title, steps, f"{images:,}", f"{images * trainer.max_epochs:,}", trainer.max_epochs),
    )
    last = folder / LAST
    if runner.is_global_zero:
        for stale in folder.glob("*.part"):  # left behind when their writer was killed
            stale.unlink()
    with deferred():
        runner.fit(module, datamodule=data, ckpt_path=last if last.exists() else None, weights_only=True)
    result = _result(module, pd.DataFrame(history.rows), checkpoints, folder)
    if runner.is_global_zero:
        result.save(folder / RESULT)
    return result


def _finished(module: EncoderModule, folder: Path, title: str, report: Report | None) -> FitResult:
    """The finished training in the folder: its weights are loaded and its epochs reported again."""
    result = FitResult.load(folder / RESULT)
    load_into(module, read_weights(result.checkpoint), where=result.checkpoint)
    log.info("%s: already finished, %d epochs", title, result.epochs)
    if report is not None:
        for row in result.history.to_dict(orient="records"):
            report({str(name): value for name, value in row.items()}, fresh=False)
    return result


def _checkpoints(stopping: StoppingSettings, folder: Path, *, validated: bool) -> Checkpoints:
    best, monitor = stopping.checkpoint.best and validated, stopping.checkpoint.monitor
    return Checkpoints(
        dirpath=folder,
        filename="best",
        monitor=monitor if best else None,
        mode=_mode(monitor),
        save_top_k=1 if best else 0,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


def _early_stopping(settings: EarlyStoppingSettings) -> _EarlyStopping:
    return _EarlyStopping(
        settings.monitor,
        patience=settings.patience,
        mode=_mode(settings.monitor),
        check_finite=True,
        check_on_train_epoch_end=True,
    )


def _result(module: EncoderModule, frame: pd.DataFrame, checkpoints: Checkpoints, folder: Path) -> FitResult:
    """The results of the training; the module gets the weights that are kept."""
    checkpoint, chosen = folder / LAST, len(frame)
    if checkpoints.monitor is not None and checkpoints.best_model_path:
        checkpoint = folder / Path(checkpoints.best_model_path).name  # Lightning resolves links
        monitored = frame[checkpoints.monitor]
        chosen = 1 + int(monitored.argmax() if checkpoints.mode == "max" else monitored.argmin())
        load_into(module, read_weights(checkpoint), where=checkpoint)
    return FitResult(
        history=frame,
        images_encoded=int(module.images_encoded),
        chosen_epoch=chosen,
        checkpoint=checkpoint,
    )


def _mode(monitor: str) -> str:
    return "max" if monitor.endswith("accuracy") else "min"
