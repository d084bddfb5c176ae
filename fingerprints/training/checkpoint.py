"""Checkpoints that survive a kill, a full disk and a moved folder."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io import TorchCheckpointIO
from pytorch_lightning.callbacks import ModelCheckpoint

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.files import write_atomically
from fingerprints.core.signals import Interrupted, pending

LAST = "last.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically: a file appears only when it is complete.

    Lightning uses a temporary file that may lie on another file system; then the move to the final place
    can be interrupted.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Save under a temporary name, then rename.

        Raises:
            FingerprintsError: If the checkpoint cannot be written; the previous one is kept.
        """
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        target = Path(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, buffer.getvalue())
        except OSError as error:
            raise FingerprintsError(
                f"The checkpoint cannot be written: {error.strerror or error}; the previous one is kept.",
                where=target,
                fix=f"make room for {buffer.tell() / 1e6:,.0f} MB, then continue with resume=OUT",
            ) from error

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            FingerprintsError: If it is damaged.
        """
        try:
            return super().load_checkpoint(path, *args, **kwargs)
        except Exception as error:  # a damaged file can raise any error in its reader
            raise FingerprintsError(
                f"The checkpoint cannot be read: {str(error).splitlines()[0] if str(error) else error!r}",
                where=path,
                fix="delete it, and restart this training with resume=OUT",
            ) from error


class Checkpoints(ModelCheckpoint):
    """Saves the last weights after every epoch, and the best weights if requested.

    The last weights are written here, because Lightning's `save_last` writes them only together with the
    best. If a signal asks to stop (`interruption`), they are saved after the current step and `Interrupted`
    is raised; all processes agree on the step. A run folder may be moved between stop and resume.

    Args:
        every_steps: Also save the last weights after every so many steps of an epoch, for long epochs.
        **options: Options of Lightning's `ModelCheckpoint`.
    """

    def __init__(self, *, every_steps: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.every_steps = every_steps

    @property
    def last(self) -> Path:
        """File of the last weights."""
        return Path(str(self.dirpath)) / LAST

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Stop within an epoch; after its last step, the end of the epoch comes first."""
        super().on_train_batch_end(trainer, *args, **kwargs)
        if trainer.is_last_batch:
            return
        number = _signalled(trainer)
        if number or self._due(trainer):
            trainer.save_checkpoint(self.last)
        if number:
            raise Interrupted(number)

    def _due(self, trainer: pl.Trainer) -> bool:
        if self.every_steps is None:
            return False
        return trainer.fit_loop.epoch_loop.batch_progress.current.ready % self.every_steps == 0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the epoch; stop if a signal came during validation."""
        super().on_train_epoch_end(trainer, pl_module)
        trainer.save_checkpoint(self.last)
        if number := _signalled(trainer):
            raise Interrupted(number)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from the checkpoint, with its paths changed to the current folder."""
        here = Path(str(self.dirpath))

        def moved(path: str) -> str:
            return str(here / Path(path).name) if path else path

        state = {**state_dict, "dirpath": str(self.dirpath)}
        for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
            state[name] = moved(state[name])
        state["best_k_models"] = {moved(path): value for path, value in state["best_k_models"].items()}
        super().load_state_dict(state)


def _signalled(trainer: pl.Trainer) -> int:
    """Number of the signal that any process received, 0 for none; equal on all processes."""
    number = pending() or 0
    if trainer.world_size == 1:
        return number
    here = torch.tensor(number, device=trainer.strategy.root_device)
    return int(trainer.strategy.reduce(here, reduce_op="max"))
