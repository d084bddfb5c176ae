"""Fitting: history, checkpoints, early stopping and the choice of weights."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fingerprints.data.datamodule import PairDataModule
from fingerprints.data.index import Index
from fingerprints.data.pairs import RandomPairs
from fingerprints.data.store import ImageStore
from fingerprints.encoders import build_network
from fingerprints.encoders.weights import read_weights
from fingerprints.errors import FingerprintsError
from fingerprints.training.augment import Augmentation
from fingerprints.training.fit import FitResult, StoppingSettings, TrainerSettings, fit
from fingerprints.training.optimise import OptimiserSettings
from fingerprints.training.siamese import SiameseModule, SiameseSettings

Data = tuple[Index, ImageStore]


@pytest.fixture
def data(subset_root: Callable[..., Path], prepared: Callable[..., Any]) -> Data:
    return prepared(subset_root(), "subset", validation=0.25)


def make_module(*, lr: float = 1e-3, **encoder: Any) -> SiameseModule:
    torch.manual_seed(0)
    settings = {"name": "siamese_cnn", "channels": [4, 8], "embedding": 8, "final_relu": False, **encoder}
    return SiameseModule(
        build_network(settings, size=48),
        settings=SiameseSettings(),
        optimiser=OptimiserSettings(lr=lr),
        augmentation=Augmentation(),
    )


def make_data(data: Data, *, held: bool = True) -> PairDataModule:
    index, store = data
    return PairDataModule(
        index,
        store,
        strategy=lambda pools, _: RandomPairs(pools, batch_size=9, seed=0),
        train=index.select(split="train"),
        validation=index.select(split="validation") if held else None,
        seed=0,
    )


def run(
    module: SiameseModule,
    made: PairDataModule,
    folder: Path,
    *,
    epochs: int = 2,
    stopping: StoppingSettings | None = None,
) -> FitResult:
    return fit(
        module,
        made,
        trainer=TrainerSettings(accelerator="cpu", max_epochs=epochs),
        stopping=stopping or StoppingSettings(),
        folder=folder,
        title="training",
    )


def weights(module: SiameseModule) -> list[float]:
    return module.network.encoder.dense.weight.detach().flatten().tolist()


def test_history_has_the_figures_of_each_epoch(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, made = make_module(lr=1e-30), make_data(data)
    losses: list[float] = []
    plain = SiameseModule.training_step

    def watched(self: SiameseModule, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = plain(self, batch, batch_idx)
        losses.append(loss.item() * batch.images)
        return loss

    monkeypatch.setattr(SiameseModule, "training_step", watched)
    result = run(module, made, tmp_path, epochs=3)
    steps, images = made.train_strategy.steps, made.train_strategy.images_per_epoch
    expected = np.array(losses).reshape(3, steps).sum(axis=1) / images
    assert len(set(np.round(expected, 6))) == 3
    np.testing.assert_allclose(result.history["train_loss"], expected, rtol=1e-5)
    assert result.history["epoch"].tolist() == [1, 2, 3]
    assert result.history["val_loss"].nunique() == 1
    assert (result.epochs, result.chosen_epoch, result.images_encoded) == (3, 3, 3 * images)
    assert result.seconds > 0


def test_history_counts_the_zero_embeddings_of_each_epoch(data: Data, tmp_path: Path) -> None:
    module, made = make_module(final_relu=True), make_data(data)
    with torch.no_grad():
        module.network.encoder.dense.bias.fill_(-100)
    history = run(module, made, tmp_path).history
    assert history["zero_embeddings"].tolist() == [made.train_strategy.images_per_epoch] * 2


def test_last_weights_are_kept_and_stored(data: Data, tmp_path: Path) -> None:
    module = make_module()
    before = weights(module)
    result = run(module, make_data(data), tmp_path / "deep")
    assert weights(module) != before
    assert result.checkpoint.parent == tmp_path / "deep"
    state = read_weights(result.checkpoint)
    assert torch.equal(state["network.encoder.dense.weight"], module.network.encoder.dense.weight)


def test_without_validation(data: Data, tmp_path: Path) -> None:
    stopping = StoppingSettings(early=True, best=True)
    result = run(make_module(), make_data(data, held=False), tmp_path, stopping=stopping)
    assert "val_loss" not in result.history
    assert result.chosen_epoch == result.epochs == 2
    assert result.checkpoint.is_file()


@pytest.mark.parametrize("monitor", ["val_loss", "val_pair_accuracy"])
def test_best_weights_are_those_of_the_best_epoch(
    data: Data, tmp_path: Path, monitor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = iter([3.0, 1.0, 2.0, 1.0] if monitor == "val_loss" else [0.1, 0.9, 0.5, 0.9])
    seen: list[list[float]] = []

    def staged(self: SiameseModule) -> None:
        seen.append(weights(self))
        self.log(monitor, next(figures))

    monkeypatch.setattr(SiameseModule, "on_validation_epoch_end", staged)
    module = make_module(lr=1e-2)
    stopping = StoppingSettings(best=True, best_monitor=monitor)
    result = run(module, make_data(data), tmp_path, epochs=4, stopping=stopping)
    assert (result.chosen_epoch, result.epochs) == (2, 4)
    assert weights(module) == seen[1] != seen[3]
    state = read_weights(result.checkpoint)
    assert state["network.encoder.dense.weight"].flatten().tolist() == seen[1]


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 4)])
def test_early_stopping_waits_as_long_as_told(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: int, epochs: int
) -> None:
    figures = iter([3.0, 1.0, 2.0, 2.0, 2.0, 2.0])
    monkeypatch.setattr(
        SiameseModule, "on_validation_epoch_end", lambda self: self.log("val_loss", next(figures))
    )
    stopping = StoppingSettings(early=True, patience=patience)
    result = run(make_module(), make_data(data), tmp_path, epochs=6, stopping=stopping)
    assert result.epochs == result.chosen_epoch == len(result.history) == epochs


def test_divergence_is_an_error_that_says_what_to_do(data: Data, tmp_path: Path) -> None:
    with pytest.raises(FingerprintsError, match="diverged in epoch 1") as error:
        run(make_module(lr=1e30), make_data(data), tmp_path)
    assert "training.optimiser.lr" in str(error.value)


def test_same_seed_gives_the_same_weights(data: Data, tmp_path: Path) -> None:
    results = []
    for name in ("one", "two"):
        module = make_module()
        run(module, make_data(data), tmp_path / name)
        torch.rand(7)
        results.append(weights(module))
    assert results[0] == results[1]


def test_log_has_a_line_an_epoch(data: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "fingerprints.training.fit"):
        run(make_module(), make_data(data), tmp_path)
    lines = [record.getMessage() for record in caplog.records]
    assert any("training epoch 2/2" in line and "val_loss" in line for line in lines)
    assert any("images encoded an epoch" in line for line in lines)
