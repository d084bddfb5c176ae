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
    """Writes a checkpoint whole or not at all.

    Lightning's own goes through a temporary file that may lie on another file system, where the move
    to its place can be interrupted.
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
                fix=f"make room for {buffer.tell() / 1e6:,.0f} MB, then go on with resume=OUT",
            ) from error

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            FingerprintsError: If it is damaged.
        """
        try:
            return super().load_checkpoint(path, *args, **kwargs)
        except Exception as error:  # damaged files raise whatever their reader stumbles over
            raise FingerprintsError(
                f"The checkpoint cannot be read: {str(error).splitlines()[0] if str(error) else error!r}",
                where=path,
                fix="delete it, and this training begins anew with resume=OUT",
            ) from error


class Checkpoints(ModelCheckpoint):
    """The last weights after every epoch, and the best if asked.

    The last are written here: Lightning's `save_last` writes them only when the best are. When a signal
    asked to stop (`interruption`), they are saved after the step and `Interrupted` is raised; all
    processes agree on the step. A folder that was moved is no other folder.

    Args:
        every_steps: Also save the last weights after each so many steps of an epoch, for long epochs.
        **options: Lightning's own.
    """

    def __init__(self, *, every_steps: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.every_steps = every_steps

    @property
    def last(self) -> Path:
        """File of the last weights."""
        return Path(str(self.dirpath)) / LAST

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Leave within an epoch; after its last step, the end of the epoch comes first."""
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
        """Save the epoch; leave if a signal came while it was validated."""
        super().on_train_epoch_end(trainer, pl_module)
        trainer.save_checkpoint(self.last)
        if number := _signalled(trainer):
            raise Interrupted(number)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what the checkpoint knows, with its paths brought to where the folder is now."""
        here = Path(str(self.dirpath))

        def moved(path: str) -> str:
            return str(here / Path(path).name) if path else path

        state = {**state_dict, "dirpath": str(self.dirpath)}
        for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
            state[name] = moved(state[name])
        state["best_k_models"] = {moved(path): value for path, value in state["best_k_models"].items()}
        super().load_state_dict(state)


def _signalled(trainer: pl.Trainer) -> int:
    """Number of the signal that any process got, 0 for none; the same on all."""
    number = pending() or 0
    if trainer.world_size == 1:
        return number
    here = torch.tensor(number, device=trainer.strategy.root_device)
    return int(trainer.strategy.reduce(here, reduce_op="max"))
