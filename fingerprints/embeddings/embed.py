"""Embeddings of images, computed on all processes; those of a frozen network are computed once and cached."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.files import write_atomically
from fingerprints.core.progress import Progress
from fingerprints.data.datamodule import PixelSource
from fingerprints.data.store import ImageStore, new_array
from fingerprints.encoders.identity import describe_network, weights_digest
from fingerprints.encoders.network import EmbeddingNetwork

log = logging.getLogger(__name__)

FORMAT = 1  # version of the cached features


class _Embedder(pl.LightningModule):
    """Predict step of `embed`: from row numbers to embeddings."""

    def __init__(self, network: EmbeddingNetwork, pixels: PixelSource) -> None:
        super().__init__()
        self.network = network
        self._pixels = pixels

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.network(self._pixels.gather(batch.cpu().numpy(), self.device)).float()


class _Collector(pl.Callback):
    """Collects the embeddings of all processes after each predict step, so that they do not fill the device.

    Args:
        out: `(n, d)` array for the embeddings; `None` on processes that do not need them.
        length: Number of rows in the share of one process.
        progress: Called with the number of encoded images.
    """

    def __init__(self, out: NDArray[np.float32] | None, *, length: int, progress: Progress | None) -> None:
        self.out, self.length, self.progress, self.done = out, length, progress, 0

    def on_predict_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Write the rows of every process to its share of the array."""
        world = trainer.world_size
        parts = outputs[None] if world == 1 else trainer.strategy.all_gather(outputs)
        start, self.done = self.done, self.done + len(batch)
        if self.out is None:
            return
        values = parts.cpu().numpy()
        for rank in range(world):
            at = rank * self.length + start
            kept = max(0, min(len(batch), len(self.out) - at))  # fillers are beyond the end
            self.out[at : at + kept] = values[rank, :kept]
        if self.progress is not None:
            self.progress("encoding images", min(self.done * world, len(self.out)), len(self.out))


def embed(
    network: EmbeddingNetwork,
    pixels: PixelSource,
    rows: NDArray[np.int64],
    *,
    trainer: pl.Trainer,
    batch_size: int = 256,
) -> NDArray[np.float32]:
    """Embeddings of store rows, in the given order, the same on every process.

    Each process encodes its share of the rows. Fillers make all shares equally long, so that they can be
    gathered; the embeddings of fillers are dropped.

    Args:
        network: The encoder with its projection and norm; it is set to evaluation mode.
        pixels: The image store.
        rows: `(n,)` rows of the store; may be empty.
        trainer: Defines device, precision and processes.
        batch_size: Images at a time on each process.

    Returns:
        `(n, d)` float32.
    """
    out = np.empty((len(rows), network.embedding), dtype=np.float32)
    if len(rows):
        _encode(network, pixels, rows, out, trainer=trainer, batch_size=batch_size, progress=None)
    return out


def _encode(
    network: EmbeddingNetwork,
    pixels: PixelSource,
    rows: NDArray[np.int64],
    out: NDArray[np.float32] | None,
    *,
    trainer: pl.Trainer,
    batch_size: int,
    progress: Progress | None,
) -> None:
    """Encode the rows once; write `(n, d)` embeddings to `out` on every process that has one."""
    rank, world = trainer.global_rank, trainer.world_size
    length = -(-len(rows) // world)
    padded = np.concatenate([rows, np.repeat(rows[:1], length * world - len(rows))])
    # Each share is a contiguous block, so that the concatenated shares keep the order.
    share = torch.from_numpy(padded[rank * length : (rank + 1) * length])
    loader: DataLoader = DataLoader(share, batch_size=batch_size, shuffle=False)  # type: ignore[arg-type]
    collector = _Collector(out, length=length, progress=progress)
    trainer.callbacks.append(collector)  # type: ignore[attr-defined]
    try:
        trainer.predict(_Embedder(network, pixels), loader, return_predictions=False)
    finally:
        trainer.callbacks.remove(collector)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Features:
    """Embeddings of a whole image store by a frozen network.

    Attributes:
        values: `(n, d)` float32, memory-mapped; row i belongs to row i of the store, NaN if the store has no
            image there.
        facts: Facts that identify them: the network with its preprocessing, the digest of its weights, the
            images, the precision.
        encoded: Number of images that this call encoded: 0 if the embeddings were found in the cache.
        path: The file.
    """

    values: NDArray[np.float32]
    facts: dict[str, Any]
    encoded: int
    path: Path


def frozen_features(
    network: EmbeddingNetwork,
    store: ImageStore,
    *,
    trainer: pl.Trainer,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> Features:
    """Embeddings of all images of a store: read from the store's folder, or computed once and saved there.

    Args:
        network: The frozen network.
        store: The images, after filter and region.
        trainer: Defines device, precision and processes.
        batch_size: Images at a time on each process.
        progress: Called with the number of encoded images.

    Raises:
        FingerprintsError: If the folder cannot be written.
    """
    facts = {
        "format": FORMAT,
        "network": describe_network(network),
        "weights": weights_digest(network),
        "images": f"{store.folder.name}/{Path(store.images.filename).name}",  # type: ignore[attr-defined]
        "precision": str(trainer.precision),
        "shape": [len(store.images), network.embedding],
    }
    identity = {key: value for key, value in facts.items() if key != "format"}
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]
    path = store.folder / "features" / f"{key}.npy"
    # Another process may change the cache meanwhile, so only the main process looks and tells the others.
    found = trainer.strategy.broadcast(_found(path, facts)) if trainer.world_size > 1 else _found(path, facts)
    rows = np.setdiff1d(np.arange(len(store.images)), list(store.errors)).astype(np.int64)
    if not found:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        _compute(network, store, rows, path, facts, trainer=trainer, batch_size=batch_size, progress=progress)
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    return Features(values=values, facts=facts, encoded=0 if found else len(rows), path=path)


def _found(path: Path, facts: dict[str, Any]) -> bool:
    beside = path.with_suffix(".json")
    if not (path.exists() and beside.exists()):
        return False
    written = json.loads(beside.read_text())
    if written == facts:
        return True
    log.warning(
        "note: the cached features %s have format %s, but this version uses format %s: they are computed "
        "again",
        path,
        written.get("format"),
        FORMAT,
    )
    return False


def _compute(
    network: EmbeddingNetwork,
    store: ImageStore,
    rows: NDArray[np.int64],
    path: Path,
    facts: dict[str, Any],
    *,
    trainer: pl.Trainer,
    batch_size: int,
    progress: Progress | None,
) -> None:
    """Write the features of all readable rows to a temporary file, then rename it."""
    main = trainer.is_global_zero
    part = path.with_name(f"{path.stem}.{os.getpid()}.part.npy")
    out: Any = None
    try:
        if main:
            path.parent.mkdir(parents=True, exist_ok=True)
            out = new_array(part, (len(store.images), network.embedding), np.float32)
            out[list(store.errors)] = np.nan
        target = None if out is None else _ReadableRows(out, rows)
        _encode(
            network,
            PixelSource(store),
            rows,
            target,  # type: ignore[arg-type]
            trainer=trainer,
            batch_size=batch_size,
            progress=progress,
        )
        if main:
            out.flush()
            part.replace(path)
            write_atomically(path.with_suffix(".json"), json.dumps(facts, indent=1).encode())
    except OSError as error:
        raise FingerprintsError(
            f"The features cannot be written: {error.strerror or error}.",
            where=path.parent,
            fix="give a folder that can be written and has room for "
            f"{len(store.images) * network.embedding * 4 / 1e6:,.0f} MB: paths.store=DIR",
        ) from error
    finally:
        part.unlink(missing_ok=True)
    if trainer.world_size > 1:
        trainer.strategy.barrier()


class _ReadableRows:
    """The readable rows of a store's features as one array: position i is row `rows[i]`."""

    def __init__(self, out: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        self._out, self._rows = out, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __setitem__(self, at: slice, values: NDArray[np.float32]) -> None:
        self._out[self._rows[at]] = values
