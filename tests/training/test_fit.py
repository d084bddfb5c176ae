"""Fitting: history, checkpoints, early stopping, the choice of weights, resuming, and hardware."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.signals import Interrupted, handled
from fingerprints.core.weights import read_weights
from fingerprints.data.datamodule import PairDataModule
from fingerprints.data.index import Index
from fingerprints.data.pairs import RandomPairs
from fingerprints.data.store import ImageStore
from fingerprints.training.augment import Augmentation
from fingerprints.training.checkpoint import LAST
from fingerprints.training.fit import RESULT, FitResult, fit
from fingerprints.training.settings import (
    OptimiserSettings,
    PairTrainingSettings,
    StoppingSettings,
    TrainerSettings,
)
from fingerprints.training.siamese import SiameseModule
from tests.networks import build_network
from tests.training.stopping import stopping as stopping_of

Data = tuple[Index, ImageStore]


@pytest.fixture
def data(subset_root: Callable[..., Path], prepared: Callable[..., Any]) -> Data:
    return prepared(subset_root(), "subset", validation=0.25)


def make_module(*, lr: float = 1e-3, optimiser: dict | None = None, **encoder: Any) -> SiameseModule:
    torch.manual_seed(0)
    settings = {"name": "siamese_cnn", "channels": [4, 8], "embedding": 8, "final_relu": False, **encoder}
    return SiameseModule(
        build_network(settings, size=48),
        settings=PairTrainingSettings(),
        optimiser=OptimiserSettings(lr=lr, **(optimiser or {})),
        augmentation=Augmentation(),
    )


def make_data(data: Data, *, held: bool = True, batch_size: int = 9) -> PairDataModule:
    index, store = data
    made = PairDataModule(
        index,
        store,
        strategy=lambda pools, _: RandomPairs(pools, batch_size=batch_size, seed=0),
        train=index.select(split="train"),
        validation=index.select(split="validation") if held else None,
        seed=0,
        validation_batch=25,
    )
    if held:
        made.validation_strategy.pairs = 40  # for speed
    return made


def run(
    module: SiameseModule,
    made: PairDataModule,
    folder: Path,
    *,
    epochs: int = 2,
    stopping: StoppingSettings | None = None,
    **options: Any,
) -> FitResult:
    return fit(
        module,
        made,
        trainer=TrainerSettings(accelerator="cpu", max_epochs=epochs),
        stopping=stopping or StoppingSettings(),
        folder=folder,
        title="training",
        **options,
    )


def weights(module: SiameseModule) -> list[float]:
    return module.network.encoder.dense.weight.detach().flatten().tolist()


def test_history_has_the_figures_of_each_epoch(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, made = make_module(lr=1e-30), make_data(data)
    losses: list[float] = []
    plain = SiameseModule.training_step

    def watched(self: SiameseModule, batch: Any, batch_idx: int) -> dict[str, torch.Tensor]:
        out = plain(self, batch, batch_idx)
        losses.append(out["loss"].item() * batch.images)
        return out

    monkeypatch.setattr(SiameseModule, "training_step", watched)
    result = run(module, made, tmp_path, epochs=3)
    steps, images = made.train_strategy.steps, made.train_strategy.images_per_epoch
    expected = np.array(losses).reshape(3, steps).sum(axis=1) / images
    assert len(set(np.round(expected, 6))) == 3
    np.testing.assert_allclose(result.history["train_loss"], expected, rtol=1e-5)
    assert result.history["epoch"].tolist() == [1, 2, 3]
    assert result.history["val_loss"].nunique() == 1
    assert (result.epochs, result.chosen_epoch, result.images_encoded) == (3, 3, 3 * images)
    assert result.seconds == result.history["seconds"].sum() > 0


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
    stopping = stopping_of(early=True, best=True)
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
    stopping = stopping_of(best=True, best_monitor=monitor)
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
    stopping = stopping_of(early=True, patience=patience)
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
    with caplog.at_level(logging.INFO, "fingerprints.training"):
        run(make_module(), make_data(data), tmp_path)
    lines = [record.getMessage() for record in caplog.records]
    assert any("training epoch 2/2" in line and "val_loss" in line for line in lines)
    assert any("images encoded per epoch" in line for line in lines)


TIMES = ["seconds", "images_per_second"]
EARLY_AND_BEST = stopping_of(early=True, patience=2, best=True)
COSINE = {"schedule": "cosine", "warmup": 0.3}


class Killed(BaseException):
    """Nothing can be saved any more."""


def stop_at(module: SiameseModule, *places: tuple[int, int], kill: bool = False) -> list[tuple[int, int]]:
    """End the training in the steps `(epoch, step)`; returns the steps that are trained."""
    step, trained = module.training_step, []

    def dying(batch: Any, *_: Any) -> Any:
        trained.append((batch.epoch, batch.step))
        if trained[-1] in places:
            if kill:
                raise Killed
            os.kill(os.getpid(), signal.SIGTERM)
        return step(batch, 0)

    module.training_step = dying  # type: ignore[method-assign]
    return trained


def same(module: SiameseModule, expected: dict[str, torch.Tensor]) -> bool:
    state = module.state_dict()
    return list(state) == list(expected) and all(torch.equal(state[name], expected[name]) for name in state)


def assert_same_result(result: FitResult, expected: FitResult) -> None:
    pd.testing.assert_frame_equal(
        result.history.drop(columns=TIMES), expected.history.drop(columns=TIMES), check_exact=True
    )
    assert (result.images_encoded, result.chosen_epoch) == (expected.images_encoded, expected.chosen_epoch)
    assert result.checkpoint.name == expected.checkpoint.name
    assert (result.history[TIMES] > 0).all(axis=None)


@pytest.mark.parametrize("stopping", [StoppingSettings(), EARLY_AND_BEST], ids=["plain", "early and best"])
def test_training_interrupted_anywhere_ends_as_if_it_had_not_been(
    data: Data, tmp_path: Path, stopping: StoppingSettings
) -> None:
    def resumed(folder: Path, *places: tuple[int, int]) -> tuple[SiameseModule, list, FitResult | None]:
        module = make_module(lr=1e-2, optimiser=COSINE, batch_norm=True, downsampling="stride")
        trained = stop_at(module, *places)
        made, options = make_data(data, batch_size=12), {"epochs": 3, "stopping": stopping}
        if places:
            with pytest.raises(Interrupted) as caught, handled():
                run(module, made, folder, **options)
            assert caught.value.exit_code == 143
            assert not (folder / RESULT).exists()
            return module, trained, None
        return module, trained, run(module, made, folder, **options)

    module, steps, expected = resumed(tmp_path / "whole")
    assert steps == list(itertools.product(range(3), range(3)))
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    for place in steps:
        folder = tmp_path / "{}_{}".format(*place)
        _, before, _ = resumed(folder, place)
        torch.manual_seed(99)
        module, after, result = resumed(folder)
        assert before + after == steps, place
        assert before[-1] == place
        assert same(module, state), place
        assert_same_result(result, expected)

    folder = tmp_path / "every step"
    trained = []
    for place in steps:
        trained += resumed(folder, place)[1]
    module, rest, result = resumed(folder)
    assert (trained, rest) == (steps, [])
    assert same(module, state)
    assert_same_result(result, expected)


def test_signal_during_validation_ends_after_the_epoch(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = make_module()
    expected = run(module, make_data(data), tmp_path / "whole", epochs=3)
    state, plain = module.state_dict(), SiameseModule.validation_step

    def dying(self: SiameseModule, batch: Any, batch_idx: int) -> None:
        if (self.current_epoch, batch_idx) == (1, 0):
            os.kill(os.getpid(), signal.SIGTERM)
        plain(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(SiameseModule, "validation_step", dying)
        with pytest.raises(Interrupted), handled():
            run(make_module(), make_data(data), tmp_path / "resumed", epochs=3)
    module = make_module()
    trained = stop_at(module)
    assert_same_result(run(module, make_data(data), tmp_path / "resumed", epochs=3), expected)
    assert {epoch for epoch, _ in trained} == {2}
    assert same(module, state)


def test_second_signal_ends_within_the_step(data: Data, tmp_path: Path) -> None:
    module = make_module()
    step, done = module.training_step, []

    def dying(batch: Any, *_: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("first")
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("second")
        return step(batch, 0)

    module.training_step = dying  # type: ignore[method-assign]
    with pytest.raises(Interrupted), handled():
        run(module, make_data(data), tmp_path)
    assert done == ["first"]
    assert not (tmp_path / LAST).exists()


def test_killed_training_goes_on_from_its_last_epoch(data: Data, tmp_path: Path) -> None:
    def fresh() -> tuple[SiameseModule, PairDataModule]:
        return make_module(lr=3e-3, optimiser=COSINE), make_data(data)

    module, made = fresh()
    expected = run(module, made, tmp_path / "whole", epochs=3, stopping=EARLY_AND_BEST)
    state = module.state_dict()
    for place in [(0, 1), (1, 0), (2, 2)]:
        folder = tmp_path / "{}_{}".format(*place)
        module, made = fresh()
        stop_at(module, place, kill=True)
        with pytest.raises(Killed):
            run(module, made, folder, epochs=3, stopping=EARLY_AND_BEST)
        module, made = fresh()
        trained = stop_at(module)
        result = run(module, made, folder, epochs=3, stopping=EARLY_AND_BEST)
        assert trained[0] == (place[0], 0)
        assert same(module, state), place
        assert_same_result(result, expected)


def test_dropout_goes_on_as_if_not_interrupted(data: Data, tmp_path: Path) -> None:
    def trained(folder: str, *places: tuple[int, int], seed: int = 5) -> SiameseModule:
        module = make_module()
        module.network.projection = nn.Dropout(0.4)
        stop_at(module, *places)
        torch.manual_seed(len(folder))  # what was drawn before is of no importance
        if places:
            with pytest.raises(Interrupted), handled():
                run(module, make_data(data), tmp_path / folder, epochs=2, seed=seed)
        else:
            run(module, make_data(data), tmp_path / folder, epochs=2, seed=seed)
        return module

    state = trained("whole").state_dict()
    assert not same(trained("other seed", seed=6), state)
    for place in [(0, 0), (0, 3), (1, 1)]:
        folder = "{}_{}".format(*place)
        trained(folder, place)
        assert same(trained(folder), state), place


def test_finished_training_is_returned_without_a_step(data: Data, tmp_path: Path) -> None:
    stopping = stopping_of(best=True)
    module = make_module()
    expected = run(module, make_data(data), tmp_path / "here", stopping=stopping)
    state = module.state_dict()
    # A run folder can be moved.
    shutil.move(tmp_path / "here", tmp_path / "there")
    module = make_module(lr=1.0)
    trained = stop_at(module)
    rows: list[tuple[dict, bool]] = []
    result = run(
        module,
        make_data(data),
        tmp_path / "there",
        stopping=stopping,
        report=lambda row, *, fresh: rows.append((row, fresh)),
    )
    assert trained == []
    assert same(module, state)
    pd.testing.assert_frame_equal(result.history, expected.history, check_exact=True)
    assert result.checkpoint == tmp_path / "there" / expected.checkpoint.name
    assert replace(result, history=None, checkpoint=None) == replace(expected, history=None, checkpoint=None)
    assert result.seconds == expected.seconds
    assert rows == [(row, False) for row in expected.history.to_dict(orient="records")]


def test_finished_training_without_its_weights_is_an_error(data: Data, tmp_path: Path) -> None:
    run(make_module(), make_data(data), tmp_path).checkpoint.unlink()
    with pytest.raises(FingerprintsError, match="do not exist") as error:
        run(make_module(), make_data(data), tmp_path)
    assert error.value.where == str(tmp_path / LAST)


def test_result_is_read_as_saved(tmp_path: Path) -> None:
    history = pd.DataFrame({"epoch": [1, 2], "train_loss": [0.1, float("nan")], "seconds": [0.1, 0.2]})
    result = FitResult(history=history, images_encoded=7, chosen_epoch=1, checkpoint=tmp_path / "best.ckpt")
    result.save(tmp_path / RESULT)
    read = FitResult.load(tmp_path / RESULT)
    pd.testing.assert_frame_equal(read.history, history, check_exact=True)
    assert (read.images_encoded, read.chosen_epoch, read.epochs) == (7, 1, 2)
    assert read.checkpoint == result.checkpoint
    assert read.seconds == pytest.approx(0.3)


def stage(monkeypatch: pytest.MonkeyPatch, *figures: float) -> None:
    """Let the epochs have these validation losses."""
    monkeypatch.setattr(
        SiameseModule,
        "on_validation_epoch_end",
        lambda self: self.log("val_loss", torch.tensor(figures[self.current_epoch])),
    )


@pytest.mark.parametrize("how", ["signal", "kill"])
def test_killed_training_that_had_stopped_early_does_not_train_on(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    stage(monkeypatch, 3.0, 1.0, 2.0, 2.0, 2.0, 2.0)
    options = {"epochs": 6, "stopping": stopping_of(early=True, patience=1, best=True)}
    module, made = make_module(), make_data(data)
    if how == "signal":
        stop_at(module, (2, made.train_strategy.steps - 1))
        with pytest.raises(Interrupted), handled():
            run(module, made, tmp_path, **options)
    else:
        run(module, made, tmp_path, **options)
        (tmp_path / RESULT).unlink()
    module = make_module()
    trained = stop_at(module)
    result = run(module, make_data(data), tmp_path, **options)
    assert trained == []
    assert (result.epochs, result.chosen_epoch) == (3, 2)
    assert result.history["val_loss"].tolist() == [3.0, 1.0, 2.0]
    assert result.checkpoint == tmp_path / "best.ckpt"
    assert same(module, read_weights(result.checkpoint))
    assert (tmp_path / RESULT).is_file()


def test_patience_is_counted_on_after_a_resume(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(monkeypatch, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0)
    options = {"epochs": 6, "stopping": stopping_of(early=True, patience=3)}
    module = make_module()
    stop_at(module, (2, 1))
    with pytest.raises(Interrupted), handled():
        run(module, make_data(data), tmp_path, **options)
    assert run(make_module(), make_data(data), tmp_path, **options).epochs == 4


@pytest.mark.parametrize("early", [False, True])
def test_epochs_of_a_training_that_only_lacked_its_result_are_reported(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    stage(monkeypatch, 1.0, 2.0, 2.0)
    options = {"epochs": 3 if early else 2, "stopping": stopping_of(early=early, patience=1)}
    expected = run(make_module(), make_data(data), tmp_path, **options)
    assert expected.epochs == 2
    (tmp_path / RESULT).unlink()
    rows: list[tuple[dict, bool]] = []

    def report(row: dict, *, fresh: bool) -> None:
        rows.append((row, fresh))

    result = run(make_module(), make_data(data), tmp_path, report=report, **options)
    assert_same_result(result, expected)
    assert rows == [(row, False) for row in expected.history.to_dict(orient="records")]


def test_damaged_checkpoint_is_an_error_that_names_the_file(data: Data, tmp_path: Path) -> None:
    module = make_module()
    stop_at(module, (0, 1))
    with pytest.raises(Interrupted), handled():
        run(module, make_data(data), tmp_path)
    (tmp_path / LAST).write_bytes((tmp_path / LAST).read_bytes()[:1000])
    with pytest.raises(FingerprintsError, match="checkpoint cannot be read") as error:
        run(make_module(), make_data(data), tmp_path)
    assert error.value.where == str(tmp_path / LAST)


def test_training_that_stopped_at_a_figure_that_is_not_finite_does_not_train_on(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Lightning's early stopping ends such a training whatever the patience.
    stage(monkeypatch, 3.0, float("nan"), 1.0, 1.0)
    options = {"epochs": 4, "stopping": stopping_of(early=True, patience=3)}
    assert run(make_module(), make_data(data), tmp_path, **options).epochs == 2
    (tmp_path / RESULT).unlink()
    assert run(make_module(), make_data(data), tmp_path, **options).epochs == 2
