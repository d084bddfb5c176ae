"""Embeddings: every image of a list through the network, over all processes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from fingerprints.data.datamodule import PixelSource
from fingerprints.encoders.network import EmbeddingNetwork


class _Embedder(pl.LightningModule):
    """Predict step of `embed`: row numbers in, unit embeddings out."""

    def __init__(self, network: EmbeddingNetwork, pixels: PixelSource) -> None:
        super().__init__()
        self.network = network
        self._pixels = pixels

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.network(self._pixels.gather(batch.cpu().numpy(), self.device)).float()


def embed(
    network: EmbeddingNetwork,
    pixels: PixelSource,
    rows: NDArray[np.int64],
    *,
    trainer: pl.Trainer,
    batch_size: int = 256,
) -> NDArray[np.float32]:
    """Embeddings of store rows, in the order given, the same on every process.

    Each process encodes its share of the rows; shares are filled up to equal length so that they
    can be gathered, and the fillers are dropped.

    Args:
        network: The encoder with its projection and norm; put into evaluation mode.
        pixels: The image store.
        rows: `(n,)` rows of the store; may be empty.
        trainer: Brings device, precision and processes.
        batch_size: Images at a time on each process.

    Returns:
        `(n, d)` float32.
    """
    rank, world = trainer.global_rank, trainer.world_size
    length = -(-len(rows) // world)
    if length == 0:
        return np.empty((0, network.embedding), dtype=np.float32)
    padded = np.concatenate([rows, np.repeat(rows[:1], length * world - len(rows))])
    # Dealt in blocks, so that gathered shares are in order when laid end to end.
    share = torch.from_numpy(padded[rank * length : (rank + 1) * length])
    loader: DataLoader = DataLoader(share, batch_size=batch_size, shuffle=False)  # type: ignore[arg-type]
    module = _Embedder(network, pixels)
    parts: Any = trainer.predict(module, loader)
    own = torch.cat(parts)
    if world > 1:
        own = trainer.strategy.all_gather(own.to(trainer.strategy.root_device)).flatten(0, 1)
    return own[: len(rows)].cpu().numpy()
