"""Embedding a list of rows: order, batches and mode. Two processes: see training/test_siamese.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fingerprints.data.datamodule import PixelSource
from fingerprints.data.store import ImageStore
from fingerprints.embeddings import embed
from fingerprints.encoders import build_network
from fingerprints.encoders.network import EmbeddingNetwork
from fingerprints.training.hardware import TrainerSettings, make_trainer


@pytest.fixture
def store(subset_root: Callable[..., Path], prepared: Callable[..., Any]) -> ImageStore:
    return prepared(subset_root(test=0), "subset")[1]


@pytest.fixture
def network() -> EmbeddingNetwork:
    torch.manual_seed(0)
    settings = {"name": "siamese_cnn", "channels": [4, 8], "embedding": 8, "batch_norm": True}
    return build_network(settings, size=48)


def embedded(network: EmbeddingNetwork, store: ImageStore, rows: list[int], **options: Any) -> np.ndarray:
    trainer = make_trainer(TrainerSettings(accelerator="cpu"))
    return embed(network, PixelSource(store), np.array(rows, dtype=np.int64), trainer=trainer, **options)


@pytest.mark.parametrize("batch_size", [1, 4, 7, 100])
def test_rows_come_back_in_their_order(store: ImageStore, network: EmbeddingNetwork, batch_size: int) -> None:
    rows = [17, 3, 3, 80, 0, 41, 5]
    network.train()
    found = embedded(network, store, rows, batch_size=batch_size)
    network.eval()
    with torch.no_grad():
        expected = [
            network(torch.from_numpy(np.array(store.images[row]))[None, None])[0].numpy() for row in rows
        ]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_no_rows_give_no_embeddings(store: ImageStore, network: EmbeddingNetwork) -> None:
    assert embedded(network, store, []).shape == (0, 8)


def test_embedding_changes_nothing_in_the_network(store: ImageStore, network: EmbeddingNetwork) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    embedded(network, store, list(range(20)))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
