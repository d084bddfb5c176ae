"""Curves beside the run folder: none, CSV, TensorBoard or Weights & Biases."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger, WandbLogger

from fingerprints.errors import FingerprintsError


@contextlib.contextmanager
def open_logger(config: dict[str, Any], folder: Path) -> Iterator[Any]:
    """The configured Lightning logger, finished whatever happens; `False` for none.

    W&B is offline unless `logger.offline=false`, and is never given pixels.

    Raises:
        FingerprintsError: If the logger's package is missing.
    """
    name = config["logger"]["name"]
    if name == "none":
        yield False
    elif name == "csv":
        yield CSVLogger(save_dir=folder, name="curves", version="")
    elif name == "tensorboard":
        try:
            yield TensorBoardLogger(save_dir=folder, name="curves", version="")
        except ModuleNotFoundError as error:
            raise FingerprintsError(
                "TensorBoard is not installed.", where="logger=tensorboard", fix="pip install tensorboard"
            ) from error
    else:
        import wandb

        logger = WandbLogger(
            project=config["logger"]["project"],
            name=f"{config['name']}-{folder.name}",
            group=config["name"],
            save_dir=folder,
            offline=config["logger"]["offline"],
            config=config,
        )
        try:
            yield logger
        finally:
            wandb.finish()
