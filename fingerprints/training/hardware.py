"""Hardware of a training: accelerator, processes, precision, and the Lightning trainer for them."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback, TQDMProgressBar

from fingerprints.core.errors import FingerprintsError
from fingerprints.training.checkpoint import AtomicCheckpointIO, Checkpoints
from fingerprints.training.settings import TrainerSettings


def make_trainer(
    settings: TrainerSettings, *, callbacks: list[Callback] | None = None, validate: bool = True
) -> pl.Trainer:
    """A Lightning trainer without console output of its own.

    Args:
        settings: Hardware, precision, length.
        callbacks: Callbacks.
        validate: Whether to run the validation loop.
    """
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Batches are row numbers and need no time to load: more loader workers would only be slower.
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
        # Each process sees its share of the batch only: without this, batch norm would use other statistics.
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
    # Signals are handled by the run (`interruption`). Lightning's handler communicates with the other
    # processes from within the signal; if they are in another collective operation, all would hang.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    return trainer


def resolve(settings: TrainerSettings) -> TrainerSettings:
    """Settings with the values that depend on this machine filled in.

    Raises:
        FingerprintsError: If this machine does not support the settings.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    accelerator = settings.accelerator
    if accelerator == "auto":
        accelerator = "gpu" if gpus else "cpu"
    if accelerator == "gpu" and not gpus:
        raise FingerprintsError(
            "This machine has no GPU that PyTorch can use.",
            where=f"trainer.accelerator={settings.accelerator}",
            fix="trainer=cpu, or check `nvidia-smi` and torch.cuda.is_available()",
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
            f"{devices} GPUs were requested; this machine has {gpus}.",
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
            f"Precision {precision} is not supported on this {'CPU' if accelerator == 'cpu' else 'GPU'}.",
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
            f"This machine does not support these settings: {str(error).splitlines()[0]}",
            where=f"trainer.accelerator={accelerator}, trainer.devices={devices}, "
            f"trainer.precision={precision}",
            fix="trainer=cpu, or fewer trainer.devices",
        ) from error
    return resolved


def describe(settings: TrainerSettings) -> str:
    """Resolved hardware in words, and the effect of several processes."""
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
        words += f"; every share passes through the encoder in {settings.accumulate} parts"
    return words
