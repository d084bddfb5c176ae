"""The figures of each epoch: what a row says, who is told, and that an interruption changes none."""

from __future__ import annotations

import io
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.signals import Interrupted, handled
from fingerprints.data.datamodule import PairDataModule
from fingerprints.data.index import Index
from fingerprints.data.pairs import RandomPairs
from fingerprints.data.store import ImageStore
from fingerprints.training.augment import Augmentation
from fingerprints.training.checkpoint import LAST
from fingerprints.training.fit import FitResult, fit
from fingerprints.training.history import History
from fingerprints.training.optimise import rate
from fingerprints.training.settings import (
    OptimiserSettings,
    PairTrainingSettings,
    StoppingSettings,
    TrainerSettings,
)
from fingerprints.training.siamese import SiameseModule
from tests.networks import build_network

Data = tuple[Index, ImageStore]
COLUMNS = {
    "epoch",
    "train_loss",
    "zero_embeddings",
    "val_loss",
    "val_pair_accuracy",
    "val_distance_spread",
    "lr",
    "seconds",
    "images_per_second",
}
TIMES = {"seconds", "images_per_second"}


@pytest.fixture
def data(subset_root: Callable[..., Path], prepared: Callable[..., Any]) -> Data:
    return prepared(subset_root(per_class=8), "subset", validation=0.25)


def make_module(optimiser: OptimiserSettings | None = None, *, final_relu: bool = False) -> SiameseModule:
    torch.manual_seed(0)
    settings = {"name": "siamese_cnn", "channels": [4, 8], "embedding": 8, "final_relu": final_relu}
    return SiameseModule(
        build_network(settings, size=48),
        settings=PairTrainingSettings(),
        optimiser=optimiser or OptimiserSettings(lr=1e-3),
        augmentation=Augmentation(),
    )


def make_data(data: Data, *, held: bool = True) -> PairDataModule:
    index, store = data
    made = PairDataModule(
        index,
        store,
        strategy=lambda pools, _: RandomPairs(pools, batch_size=7, seed=0),
        train=index.select(split="train"),
        validation=index.select(split="validation") if held else None,
        seed=0,
    )
    if held:
        made.validation_strategy.pairs = 30
    return made


class Reports:
    """What a report was told, and when: `log` is shared with the training's steps."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.rows: list[tuple[dict, bool]] = []

    def __call__(self, row: dict, *, fresh: bool) -> None:
        self.log.append(("report", row["epoch"], fresh))
        self.rows.append((dict(row), fresh))


def run(
    module: SiameseModule,
    made: PairDataModule,
    folder: Path,
    *,
    epochs: int = 2,
    report: Reports | None = None,
    stop_at: tuple[int, int] | None = None,
) -> FitResult:
    step = module.training_step

    def dying(batch: Any, *_: Any) -> Any:
        if report is not None:
            report.log.append((batch.epoch, batch.step))
        if (batch.epoch, batch.step) == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(batch, 0)

    module.training_step = dying  # type: ignore[method-assign]
    settings = TrainerSettings(accelerator="cpu", max_epochs=epochs)
    with handled():
        return fit(
            module,
            made,
            trainer=settings,
            stopping=StoppingSettings(),
            folder=folder,
            title="training",
            report=report,
        )


def untimed(row: dict) -> dict:
    return {name: value for name, value in row.items() if name not in TIMES}


def test_row_has_all_figures_of_its_epoch(data: Data, tmp_path: Path) -> None:
    made = make_data(data)
    history = run(make_module(), made, tmp_path).history
    assert set(history.columns) == COLUMNS
    assert history["epoch"].tolist() == [1, 2]
    assert np.isfinite(history.to_numpy(dtype=float)).all()
    np.testing.assert_allclose(
        history["images_per_second"] * history["seconds"], made.train_strategy.images_per_epoch, rtol=1e-9
    )


def test_row_without_validation_has_no_validation_figures(data: Data, tmp_path: Path) -> None:
    history = run(make_module(), make_data(data, held=False), tmp_path).history
    assert set(history.columns) == {name for name in COLUMNS if not name.startswith("val_")}


def test_loss_is_the_mean_over_images_also_where_the_last_batch_is_smaller(
    data: Data, tmp_path: Path
) -> None:
    module, made = make_module(OptimiserSettings(lr=1e-30)), make_data(data, held=False)
    strategy = made.train_strategy
    assert strategy.pairs % strategy.batch_size
    sums = np.zeros(2)
    with torch.no_grad():
        for epoch in range(2):
            for step in range(strategy.steps):
                pairs = strategy.batch(epoch, step)
                left, right = (
                    module.network(torch.from_numpy(data[1].images[rows])[:, None]).double().numpy()
                    for rows in (pairs.left, pairs.right)
                )
                distance = np.linalg.norm(left - right, axis=1)
                positive = pairs.left_classes == pairs.right_classes
                sums[epoch] += np.where(positive, distance**2, np.maximum(1 - distance, 0) ** 2).sum()
    history = run(module, made, tmp_path).history
    np.testing.assert_allclose(history["train_loss"], sums / strategy.pairs, rtol=1e-5)


def test_learning_rate_is_the_schedules_at_the_end_of_the_epoch(data: Data, tmp_path: Path) -> None:
    made, optimiser = make_data(data, held=False), OptimiserSettings(lr=1e-3, schedule="cosine", warmup=0.2)
    history = run(make_module(optimiser), made, tmp_path, epochs=3).history
    steps = made.train_strategy.steps
    # The schedule has already moved on to the step that would come next.
    expected = [1e-3 * rate(n * steps, steps=3 * steps, schedule="cosine", warmup=0.2) for n in (1, 2, 3)]
    np.testing.assert_allclose(history["lr"], expected, rtol=1e-9, atol=1e-12)


def test_zero_embeddings_of_an_epoch_are_counted(data: Data, tmp_path: Path) -> None:
    healthy, dead = make_module(), make_module(final_relu=True)
    with torch.no_grad():
        dead.network.encoder.dense.bias.fill_(-100)
    made = make_data(data)
    assert run(healthy, made, tmp_path / "healthy").history["zero_embeddings"].tolist() == [0, 0]
    counts = run(dead, make_data(data), tmp_path / "dead").history["zero_embeddings"].tolist()
    assert counts == [made.train_strategy.images_per_epoch] * 2


def test_each_epoch_is_reported_when_it_ends(data: Data, tmp_path: Path) -> None:
    report = Reports()
    result = run(make_module(), make_data(data), tmp_path, report=report)
    assert report.rows == [(row, True) for row in result.history.to_dict(orient="records")]
    steps = [(epoch, step) for epoch in range(2) for step in range(3)]
    assert report.log == [*steps[:3], ("report", 1, True), *steps[3:], ("report", 2, True)]


@pytest.mark.parametrize("stop_at", [(1, 1), (1, 2)], ids=["within an epoch", "at the end of an epoch"])
def test_earlier_epochs_are_reported_again_before_a_resumed_training_goes_on(
    data: Data, tmp_path: Path, stop_at: tuple[int, int]
) -> None:
    expected = run(make_module(), make_data(data), tmp_path / "whole", epochs=3).history
    first, second, folder = Reports(), Reports(), tmp_path / "resumed"
    with pytest.raises(Interrupted):
        run(make_module(), make_data(data), folder, epochs=3, report=first, stop_at=stop_at)
    result = run(make_module(), make_data(data), folder, epochs=3, report=second)
    done = 1 if stop_at[1] < 2 else 2
    assert [fresh for _, fresh in first.rows] == [True] * done
    assert [fresh for _, fresh in second.rows] == [False] * done + [True] * (3 - done)
    assert second.log[:done] == [("report", epoch + 1, False) for epoch in range(done)]
    # What is told again is what was told at first, times and all.
    assert [row for row, fresh in second.rows if not fresh] == [row for row, _ in first.rows]
    assert [row for row, _ in second.rows] == result.history.to_dict(orient="records")
    rows = expected.to_dict(orient="records")
    assert [untimed(row) for row, _ in second.rows] == [untimed(row) for row in rows]


def test_checkpoint_within_an_epoch_holds_what_the_epoch_has_summed_up(data: Data, tmp_path: Path) -> None:
    module = make_module(final_relu=True)
    with torch.no_grad():
        module.network.encoder.dense.bias.fill_(-100)
    with pytest.raises(Interrupted):
        run(module, make_data(data), tmp_path, stop_at=(1, 1))
    saved = torch.load(tmp_path / LAST, weights_only=True)["callbacks"]["History"]
    assert [row["epoch"] for row in saved["rows"]] == [1]
    assert saved["images"] == 2 * 2 * 7
    loss, zeros = saved["sums"]
    assert zeros == 2 * 2 * 7
    # Zero vectors: a positive pair costs nothing, a negative one the squared margin.
    made = make_data(data)
    pairs = [made.train_strategy.batch(1, step) for step in (0, 1)]
    negative = sum(int((batch.left_classes != batch.right_classes).sum()) for batch in pairs)
    assert loss == pytest.approx(2 * negative, rel=1e-4)
    assert saved["seconds"] > 0
    result = run(make_module(final_relu=True), make_data(data), tmp_path)
    assert result.history["zero_embeddings"].tolist() == [made.train_strategy.images_per_epoch] * 2


def test_time_between_interruption_and_resume_is_nobodys(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("fingerprints.training.history.time.perf_counter", lambda: now[0])
    plain = SiameseModule.training_step

    def slow(self: SiameseModule, batch: Any, batch_idx: int) -> Any:
        now[0] += 10
        return plain(self, batch, batch_idx)

    monkeypatch.setattr(SiameseModule, "training_step", slow)
    with pytest.raises(Interrupted):
        run(make_module(), make_data(data, held=False), tmp_path, stop_at=(1, 0))
    now[0] = 1e6
    made = make_data(data, held=False)
    result = run(make_module(), made, tmp_path)
    assert result.history["seconds"].tolist() == pytest.approx([30, 30])
    speed = made.train_strategy.images_per_epoch / 30
    assert result.history["images_per_second"].tolist() == pytest.approx([speed, speed])


def test_log_has_a_line_an_epoch(data: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "fingerprints.training.history"):
        history = run(make_module(), make_data(data), tmp_path).history
    lines = [r.getMessage() for r in caplog.records if r.name == "fingerprints.training.history"]
    assert len(lines) == 2
    for number, line in enumerate(lines):
        assert line.startswith(
            f"training epoch {number + 1}/2  train_loss {history['train_loss'][number]:.4f}"
        )
        assert f"val_loss {history['val_loss'][number]:.4f}" in line


def fake_trainer(world: int = 1, *, epoch: int = 0, reduce: Callable | None = None) -> Any:
    return SimpleNamespace(
        current_epoch=epoch,
        max_epochs=3,
        world_size=world,
        callback_metrics={},
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.5}])],
        strategy=SimpleNamespace(reduce=reduce or (lambda tensor, reduce_op: tensor)),
    )


def end_batch(history: History, trainer: Any, *, loss: float, zeros: int, images: int) -> None:
    outputs = {"loss": torch.tensor(loss, requires_grad=True), "zeros": torch.tensor(zeros)}
    history.on_train_batch_end(trainer, None, outputs, SimpleNamespace(images=images), 0)


BATCHES = [(0.5, 1, 10), (0.1, 0, 10), (1 / 3, 2, 7), (2.0, 0, 3)]


@pytest.mark.parametrize("after", range(len(BATCHES) + 1))
def test_state_in_the_middle_of_an_epoch_goes_through_a_file(after: int) -> None:
    def begin() -> History:
        history = History("training")
        history.on_train_start(fake_trainer(), None)
        return history

    def end_batches(history: History, batches: list[tuple[float, int, int]]) -> None:
        for loss, zeros, images in batches:
            end_batch(history, fake_trainer(), loss=loss, zeros=zeros, images=images)

    whole, first = begin(), begin()
    for history, until in ((whole, len(BATCHES)), (first, after)):
        end_batches(history, BATCHES)
        history.on_train_epoch_end(fake_trainer(), None)
        end_batches(history, BATCHES[:until])
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = History("training")
    second.load_state_dict(torch.load(file, weights_only=True))
    second.on_train_start(fake_trainer(), None)
    end_batches(second, BATCHES[after:])
    for history in (whole, second):
        history.on_train_epoch_end(fake_trainer(epoch=1), None)
    assert [untimed(row) for row in second.rows] == [untimed(row) for row in whole.rows]
    assert [row["epoch"] for row in second.rows] == [1, 2]
    assert second.rows[1]["train_loss"] == pytest.approx(sum(b[0] * b[2] for b in BATCHES) / 30)
    assert second.rows[1]["zero_embeddings"] == 3


def test_state_between_epochs_is_empty_of_sums() -> None:
    history = History("training")
    history.on_train_start(fake_trainer(), None)
    end_batch(history, fake_trainer(), loss=1.0, zeros=0, images=4)
    history.on_train_epoch_end(fake_trainer(), None)
    state = history.state_dict()
    assert (state["sums"], state["images"], state["seconds"]) == (None, 0, 0.0)
    assert state["rows"] == history.rows


def test_loaded_rows_are_not_those_of_the_state() -> None:
    state = {"rows": [{"epoch": 1}], "sums": None, "images": 0, "seconds": 0.0}
    history = History("training")
    history.load_state_dict(state)
    history.rows[0]["epoch"] = 7
    history.rows.append({"epoch": 8})
    assert state["rows"] == [{"epoch": 1}]


def test_processes_are_summed_up_and_only_the_main_one_goes_on_with_the_sum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two processes, one after the other: what each sends is noted, and received is the sum."""

    def trainer_of(sent: list, others: torch.Tensor | float, epoch: int = 0) -> Any:
        def reduce(tensor: torch.Tensor, reduce_op: str) -> torch.Tensor:
            assert reduce_op == "sum"
            sent.append(tensor)
            return tensor + others

        return fake_trainer(2, epoch=epoch, reduce=reduce)

    losses, images = {0: (0.2, 0.4), 1: (0.6, 0.8)}, 6  # of a process; images of the global batch
    halves = {rank: torch.tensor([first * images, rank]) for rank, (first, _) in losses.items()}
    states, rows = [], []
    for rank, (first, _) in losses.items():
        history = History("training")
        trainer = trainer_of([], halves[1 - rank])
        history.on_train_start(trainer, None)
        end_batch(history, trainer, loss=first, zeros=rank, images=images)
        states.append(history.state_dict())
        # Asking does not change what this process has.
        assert history.state_dict()["sums"] == states[-1]["sums"]
    assert states[0]["sums"] == pytest.approx(states[1]["sums"])
    assert states[0]["sums"] == pytest.approx([0.8 * images, 1])

    sent: list[torch.Tensor] = []
    for rank, (_, second) in losses.items():
        monkeypatch.setattr("pytorch_lightning.utilities.rank_zero_only.rank", rank)
        history = History("training")
        history.load_state_dict(states[0])
        trainer = trainer_of(sent, sent[0] if sent else 0.0)
        history.on_train_start(trainer, None)
        end_batch(history, trainer, loss=second, zeros=0, images=images)
        history.on_train_epoch_end(trainer, None)
        rows.append(history.rows[0])
    # The second process has received the sum of both.
    assert rows[1]["train_loss"] == pytest.approx((0.2 + 0.4 + 0.6 + 0.8) / 4)
    assert rows[1]["zero_embeddings"] == 1


def test_loss_that_is_not_finite_is_an_error_and_no_row() -> None:
    report = Reports()
    history = History("fold 2", report)
    history.on_train_start(fake_trainer(), None)
    end_batch(history, fake_trainer(), loss=float("nan"), zeros=0, images=4)
    with pytest.raises(FingerprintsError, match="diverged in epoch 1") as error:
        history.on_train_epoch_end(fake_trainer(), None)
    assert error.value.where == "fold 2"
    assert history.rows == report.rows == []
