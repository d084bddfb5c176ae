"""Embedding a list of rows: order, batches and mode. Two processes: see training/test_siamese.py."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fingerprints.data.datamodule import PixelSource
from fingerprints.data.store import ImageStore
from fingerprints.embeddings.embed import embed, frozen_features
from fingerprints.encoders.network import EmbeddingNetwork
from fingerprints.training.hardware import make_trainer
from fingerprints.training.settings import TrainerSettings
from tests.networks import build_network


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
    assert embedded(network, store, list(range(20))).shape == (20, 8)
    assert before
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def frozen(network: EmbeddingNetwork, store: ImageStore, **options: Any) -> Any:
    return frozen_features(
        network, store, trainer=make_trainer(TrainerSettings(accelerator="cpu")), **options
    )


def test_features_are_those_of_each_image_and_are_found_again(
    store: ImageStore, network: EmbeddingNetwork
) -> None:
    shown: list[tuple[int, int]] = []
    first = frozen(network, store, batch_size=7, progress=lambda _, done, total: shown.append((done, total)))
    assert first.encoded == len(store.images) == shown[-1][0] == shown[-1][1]
    np.testing.assert_allclose(
        first.values, embedded(network, store, list(range(len(store.images)))), rtol=1e-4, atol=1e-6
    )
    again = frozen(network, store)
    assert again.encoded == 0
    assert again.path == first.path
    np.testing.assert_array_equal(again.values, first.values)
    assert isinstance(again.values, np.memmap)


def test_other_weights_or_images_have_features_of_their_own(
    store: ImageStore, network: EmbeddingNetwork
) -> None:
    first = frozen(network, store)
    with torch.no_grad():
        next(network.parameters()).add_(0.5)
    second = frozen(network, store)
    assert second.encoded
    assert second.path != first.path
    assert np.abs(second.values - first.values).max() > 1e-3
    darker = store.folder / "darker.npy"
    np.save(darker, store.images // 2)
    third = frozen(network, replace(store, images=np.load(darker, mmap_mode="r")))
    assert third.encoded
    assert third.path != second.path


def test_rows_without_an_image_are_no_numbers(store: ImageStore, network: EmbeddingNetwork) -> None:
    found = frozen(network, replace(store, errors={4: "truncated"}))
    assert np.isnan(found.values[4]).all()
    assert np.isfinite(np.delete(found.values, 4, axis=0)).all()
    assert found.encoded == len(store.images) - 1


def test_features_of_another_version_are_computed_anew_and_said(
    store: ImageStore, network: EmbeddingNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    first = frozen(network, store)
    beside = first.path.with_suffix(".json")
    beside.write_text(json.dumps({**json.loads(beside.read_text()), "format": 0}))
    with caplog.at_level(logging.WARNING, logger="fingerprints"):
        again = frozen(network, store)
    assert again.encoded == len(store.images)
    assert "have format 0, but this version uses format" in caplog.text
    assert frozen(network, store).encoded == 0
