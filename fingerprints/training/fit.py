"""Fitting a network on pairs: trainer, callbacks, checkpoints, and what the training cost."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback, EarlyStopping, TQDMProgressBar

from fingerprints.data.datamodule import PairDataModule
from fingerprints.encoders.weights import load_into, read_weights
from fingerprints.errors import FingerprintsError
from fingerprints.interruption import deferred
from fingerprints.status import write_atomically
from fingerprints.training.checkpoint import LAST, AtomicCheckpointIO, Checkpoints
from fingerprints.training.history import History, Report
from fingerprints.training.siamese import SiameseModule

log = logging.getLogger(__name__)

RESULT = "fit.json"


@dataclass(frozen=True)
class TrainerSettings:
    """Hardware, precision and length of training; as Lightning's Trainer takes them.

    Attributes:
        accelerator: `auto`, `cpu` or `gpu`.
        devices: Processes on each node; -1 for all its GPUs.
        num_nodes: Nodes.
        strategy: `auto` or `ddp`.
        precision: `auto` (bf16-mixed on a GPU that has it, else 32-true), `32-true`, `bf16-mixed`,
            `16-mixed`.
        max_epochs: Epochs.
        accumulate: Parts in which a process' share of a batch passes the encoder.
    """

    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str = "32-true"
    max_epochs: int = 30
    accumulate: int = 1

    @property
    def processes(self) -> int:
        """Processes on all nodes together; settings must be resolved."""
        return self.devices * self.num_nodes


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
        chosen_epoch: Epochs of training behind the weights that are kept.
        checkpoint: The file of the weights that are kept.
    """

    history: pd.DataFrame
    images_encoded: int
    chosen_epoch: int
    checkpoint: Path

    @property
    def epochs(self) -> int:
        """Epochs run."""
        return len(self.history)

    @property
    def seconds(self) -> float:
        """Wall time of all epochs, interruptions between them left out."""
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
        """What `save` wrote."""
        facts = json.loads(path.read_text())
        return cls(
            history=pd.DataFrame(facts["history"]),
            images_encoded=facts["images_encoded"],
            chosen_epoch=facts["chosen_epoch"],
            checkpoint=path.parent / facts["checkpoint"],
        )


class _SeedSteps(Callback):
    """Dropout and the like are a function of (seed, epoch, step), as the batch is: also after a resume."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        place = [self.seed, batch.epoch, batch.step, trainer.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> 1))


class _EarlyStopping(EarlyStopping):
    """Knows after a resume that it had already stopped."""

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


def make_trainer(
    settings: TrainerSettings, *, callbacks: list[Callback] | None = None, validate: bool = True
) -> pl.Trainer:
    """A quiet Lightning trainer.

    Args:
        settings: Hardware, precision, length.
        callbacks: Callbacks.
        validate: Whether to run the validation loop.
    """
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Batches come as row numbers and cost nothing to load: more loader workers would only be slower.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # A run folder may hold older trainings.
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty.*")
    # A trainer that only embeds.
    warnings.filterwarnings("ignore", message="GPU available but not used.*")
    # Deprecations inside Lightning.
    warnings.filterwarnings("ignore", message=".*isinstance.treespec.*")
    # Validation figures are torchmetrics states, already reduced over all processes when logged.
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
    trainer = pl.Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy=settings.strategy,
        precision=settings.precision,  # type: ignore[arg-type]
        max_epochs=settings.max_epochs,
        callbacks=callbacks,
        logger=False,
        plugins=[AtomicCheckpointIO()],
        # Each process sees its share of the batch; its statistics alone would be another network's.
        sync_batchnorm=settings.processes > 1 and settings.accelerator == "gpu",
        use_distributed_sampler=False,
        enable_checkpointing=any(isinstance(c, Checkpoints) for c in callbacks or ()),
        enable_progress_bar=any(isinstance(c, TQDMProgressBar) for c in callbacks or ()),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if validate else 0,
        log_every_n_steps=1,
        deterministic=True if settings.accelerator == "cpu" else "warn",
    )
    # Signals are the run's (`interruption`): Lightning's handler talks to the other processes from
    # within the signal, while they may be in the middle of other talk, and they would hang.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    return trainer


def resolve(settings: TrainerSettings) -> TrainerSettings:
    """Settings with what depends on this machine filled in.

    Raises:
        FingerprintsError: If this machine cannot do what they ask.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    accelerator = settings.accelerator
    if accelerator == "auto":
        accelerator = "gpu" if gpus else "cpu"
    if accelerator == "gpu" and not gpus:
        raise FingerprintsError(
            "This machine has no GPU that PyTorch can use.",
            where=f"trainer.accelerator={settings.accelerator}",
            fix="trainer=cpu, or see what `nvidia-smi` and torch.cuda.is_available() say",
        )
    devices = settings.devices
    if devices == 0:
        raise FingerprintsError(
            "A run needs a device.", where="trainer.devices=0", fix="trainer.devices=1, or -1 for all GPUs"
        )
    if devices == -1:
        devices = gpus if accelerator == "gpu" else 1
    if accelerator == "gpu" and devices > gpus:
        raise FingerprintsError(
            f"{devices} GPUs were asked for; this machine has {gpus}.",
            where=f"trainer.devices={devices}",
            fix=f"trainer.devices={gpus}, or trainer.devices=-1 for all there are",
        )
    if accelerator == "cpu" and devices * settings.num_nodes > 1 and settings.strategy != "ddp":
        raise FingerprintsError(
            f"{devices * settings.num_nodes} processes on the CPU need a strategy.",
            where=f"trainer.devices={devices}, trainer.strategy={settings.strategy}",
            fix=f"trainer=ddp_cpu trainer.devices={devices}",
        )
    bf16 = accelerator == "gpu" and torch.cuda.is_bf16_supported(including_emulation=False)
    precision = settings.precision
    if precision == "auto":
        precision = "bf16-mixed" if bf16 else "32-true"
    lacking = {"16-mixed": accelerator == "cpu", "bf16-mixed": accelerator == "gpu" and not bf16}
    if lacking.get(precision):
        raise FingerprintsError(
            f"Precision {precision} is not for this {'CPU' if accelerator == 'cpu' else 'GPU'}.",
            where=f"trainer.precision={precision}",
            fix="trainer.precision=32-true, or bf16-mixed"
            if accelerator == "cpu"
            else "trainer.precision=16-mixed, or 32-true",
        )
    resolved = replace(settings, accelerator=accelerator, devices=devices, precision=precision)
    try:
        make_trainer(resolved)
    except (MisconfigurationException, ValueError) as error:
        raise FingerprintsError(
            f"This machine cannot train so: {str(error).splitlines()[0]}",
            where=f"trainer.accelerator={accelerator}, trainer.devices={devices}, "
            f"trainer.precision={precision}",
            fix="trainer=cpu, or fewer trainer.devices",
        ) from error
    return resolved


def describe(settings: TrainerSettings) -> str:
    """Resolved hardware in words, and what several processes change."""
    kind = "GPU" if settings.accelerator == "gpu" else "CPU"
    count = settings.processes
    words = (
        f"{kind}, {settings.precision}" if count == 1 else f"{count} {kind} processes, {settings.precision}"
    )
    if count > 1:
        words += (
            f"; each takes 1/{count} of every batch: pairs, loss and learning rate stay as configured"
            + ("" if kind == "GPU" else ", batch norm (if any) sees a process' share")
        )
    if settings.accumulate > 1:
        words += f"; every share passes the encoder in {settings.accumulate} parts"
    return words


def fit(
    module: SiameseModule,
    data: PairDataModule,
    *,
    trainer: TrainerSettings,
    stopping: StoppingSettings,
    folder: Path,
    title: str,
    seed: int = 0,
    report: Report | None = None,
) -> FitResult:
    """Train the module's network in place; it ends with the weights that are kept.

    A training that the folder already holds is taken from there; one that was interrupted goes on from
    its last checkpoint, with the same result as if it had not been.

    Args:
        module: The network with its loss.
        data: Training pairs, and validation pairs if there are any.
        trainer: Hardware and length.
        stopping: Early stopping and choice of weights; without validation pairs neither applies.
        folder: Where checkpoints go; this training's alone.
        title: What the log calls this training.
        seed: Seed of what is random within the network (dropout).
        report: Called with the figures of each epoch, and whether they are new: those of epochs that the
            folder already holds are not.

    Raises:
        FingerprintsError: If the training diverges, or a checkpoint cannot be written or read.
        Interrupted: If a signal asked to stop; the checkpoint is written.
    """
    if (folder / RESULT).exists():
        result = FitResult.load(folder / RESULT)
        load_into(module, read_weights(result.checkpoint), where=result.checkpoint)
        log.info("%s: finished before, %d epochs", title, result.epochs)
        if report is not None:
            for row in result.history.to_dict(orient="records"):
                report({str(name): value for name, value in row.items()}, fresh=False)
        return result
    validated = data.validation_strategy is not None
    history = History(title, report)
    checkpoints = Checkpoints(
        dirpath=folder,
        filename="best",
        monitor=stopping.best_monitor if stopping.best and validated else None,
        mode=_mode(stopping.best_monitor),
        save_top_k=1 if stopping.best and validated else 0,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    callbacks: list[Callback] = [_SeedSteps(seed), history, checkpoints]
    if stopping.early and validated:
        monitor = stopping.early_monitor
        callbacks.append(
            _EarlyStopping(
                monitor,
                patience=stopping.patience,
                mode=_mode(monitor),
                check_finite=True,
                check_on_train_epoch_end=True,
            )
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
    last = folder / LAST
    with deferred():
        runner.fit(module, datamodule=data, ckpt_path=last if last.exists() else None, weights_only=True)
    frame = pd.DataFrame(history.rows)
    checkpoint, chosen = last, len(frame)
    if stopping.best and validated and checkpoints.best_model_path:
        checkpoint = folder / Path(checkpoints.best_model_path).name  # Lightning resolves links
        monitored = frame[stopping.best_monitor]
        chosen = 1 + int(monitored.argmax() if checkpoints.mode == "max" else monitored.argmin())
        load_into(module, read_weights(checkpoint), where=checkpoint)
    result = FitResult(
        history=frame,
        images_encoded=int(module.images_encoded),
        chosen_epoch=chosen,
        checkpoint=checkpoint,
    )
    if runner.is_global_zero:
        result.save(folder / RESULT)
    return result


def _mode(monitor: str) -> str:
    return "max" if monitor.endswith("accuracy") else "min"
