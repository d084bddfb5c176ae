"""Checkpoints: whole or not at all, where the folder is now, and when a signal asked to stop."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.signals import Interrupted, deferred, handled, pending
from fingerprints.training import checkpoint as checkpoint_module
from fingerprints.training.checkpoint import LAST, AtomicCheckpointIO, Checkpoints
from fingerprints.training.hardware import make_trainer
from fingerprints.training.settings import TrainerSettings
from tests.disk import file_size_limit, names

STEPS = 3


class Line(pl.LightningModule):
    """A training that costs nothing; `at` is called with each `(epoch, step)`."""

    def __init__(self, at: Callable[[tuple[int, int]], None] = lambda _: None) -> None:
        super().__init__()
        self.layer, self.at = nn.Linear(2, 1), at
        self.steps: list[tuple[int, int]] = []
        self.figures = [3.0, 1.0, 2.0, 2.0]

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.steps.append((self.current_epoch, batch_idx))
        self.at(self.steps[-1])
        return self.layer(batch).square().mean()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val_loss", self.figures[self.current_epoch])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def loader() -> DataLoader:
    return DataLoader(torch.ones(STEPS, 2), batch_size=1)


def make_checkpoints(folder: Path, *, best: bool = True) -> Checkpoints:
    return Checkpoints(
        dirpath=folder,
        filename="best",
        monitor="val_loss" if best else None,
        save_top_k=int(best),
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


def train(
    module: Line, folder: Path, *, epochs: int = 3, best: bool = True, resume: bool = False
) -> Checkpoints:
    checkpoints = make_checkpoints(folder, best=best)
    settings = TrainerSettings(accelerator="cpu", max_epochs=epochs)
    make_trainer(settings, callbacks=[checkpoints], validate=best).fit(
        module, loader(), loader(), ckpt_path=folder / LAST if resume else None, weights_only=True
    )
    return checkpoints


def read(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def test_checkpoint_is_read_as_written(tmp_path: Path) -> None:
    io, path = AtomicCheckpointIO(), tmp_path / "deep" / LAST
    for value in (1.0, 2.0):
        content = {"state_dict": {"weight": torch.full((3,), value)}, "epoch": 4}
        io.save_checkpoint(content, path)
        read_back = io.load_checkpoint(path, weights_only=True)
        assert torch.equal(read_back["state_dict"]["weight"], content["state_dict"]["weight"])
        assert read_back["epoch"] == 4
    assert names(path.parent) == [LAST]


def test_checkpoint_that_does_not_fit_leaves_the_previous_one(tmp_path: Path) -> None:
    io, path = AtomicCheckpointIO(), tmp_path / LAST
    io.save_checkpoint({"weight": torch.ones(10)}, path)
    large = {"weight": torch.zeros(1_000_000)}
    with file_size_limit(1_000_000), pytest.raises(FingerprintsError, match="cannot be written") as error:
        io.save_checkpoint(large, path)
    assert "the previous one is kept" in error.value.what
    assert error.value.where == str(path)
    assert "make room for 4 MB" in str(error.value.fix)
    assert names(tmp_path) == [LAST]
    assert torch.equal(read(path)["weight"], torch.ones(10))
    io.save_checkpoint(large, path)
    assert torch.equal(read(path)["weight"], large["weight"])


def test_first_checkpoint_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    with file_size_limit(1000), pytest.raises(FingerprintsError, match="File too large"):
        AtomicCheckpointIO().save_checkpoint({"weight": torch.ones(10_000)}, tmp_path / LAST)
    assert names(tmp_path) == []


@pytest.mark.parametrize("obstacle", ["fsync", "folder"])
def test_why_it_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if obstacle == "fsync":
        monkeypatch.setattr(os, "fsync", full)
        path, reason = tmp_path / LAST, "No space left on device"
    else:
        (tmp_path / "file").touch()
        path, reason = tmp_path / "file" / LAST, "File exists|Not a directory"
    with pytest.raises(FingerprintsError, match=reason):
        AtomicCheckpointIO().save_checkpoint({"weight": torch.ones(3)}, path)
    assert not path.exists()


def test_training_ends_when_the_disk_is_full_and_goes_on_from_the_epoch_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Line()
    start = {name: tensor.clone() for name, tensor in expected.state_dict().items()}
    train(expected, tmp_path / "whole")
    sync, full = os.fsync, []

    def filling(descriptor: int) -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    def fill(place: tuple[int, int]) -> None:
        full.extend([place] if place == (1, 1) else [])

    monkeypatch.setattr(os, "fsync", filling)
    folder, module = tmp_path / "full", Line(fill)
    module.load_state_dict(start)
    with pytest.raises(FingerprintsError, match="No space left on device; the previous one is kept"):
        train(module, folder)
    assert names(folder) == ["best.ckpt", LAST]
    assert read(folder / LAST)["global_step"] == STEPS
    full.clear()
    module = Line()
    train(module, folder, resume=True)
    assert module.steps[0] == (1, 0)
    assert torch.equal(module.layer.weight, expected.layer.weight)


def test_last_weights_are_saved_every_epoch_and_the_best_when_they_are(tmp_path: Path) -> None:
    seen: dict[tuple[int, int], Tensor] = {}
    module = Line(lambda place: seen.update({place: module.layer.weight.detach().clone()}))
    checkpoints = train(module, tmp_path, epochs=4)
    assert names(tmp_path) == ["best.ckpt", LAST]
    assert checkpoints.last == tmp_path / LAST
    assert torch.equal(read(tmp_path / LAST)["state_dict"]["layer.weight"], module.layer.weight)
    # The second epoch was best: its weights are those that the third began with.
    assert torch.equal(read(tmp_path / "best.ckpt")["state_dict"]["layer.weight"], seen[2, 0])
    assert not torch.equal(seen[2, 0], module.layer.weight)


def test_last_weights_only_where_no_best_are_asked_for(tmp_path: Path) -> None:
    train(Line(), tmp_path, best=False)
    assert names(tmp_path) == [LAST]


def test_folder_that_was_moved_is_no_other_folder(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    before = train(Line(), old, epochs=2)
    assert before.best_model_path == str(old / "best.ckpt")
    shutil.move(old, new)
    checkpoints = make_checkpoints(new)
    checkpoints.load_state_dict(before.state_dict())
    assert checkpoints.best_model_path == checkpoints.kth_best_model_path == str(new / "best.ckpt")
    assert checkpoints.best_k_models == {str(new / "best.ckpt"): 1.0}
    assert (checkpoints.best_model_score, checkpoints.kth_value) == (1.0, 1.0)
    assert checkpoints.last == new / LAST
    assert Path(checkpoints.last_model_path).parent in (new, Path())


def test_training_goes_on_in_a_moved_folder(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    train(Line(), old, epochs=2)
    best = read(old / "best.ckpt")["state_dict"]["layer.weight"]
    shutil.move(old, new)
    module = Line()
    checkpoints = train(module, new, epochs=4, resume=True)
    assert not old.exists()
    assert module.steps[0] == (2, 0)
    # Neither of the later epochs is better, and what was best is remembered.
    assert checkpoints.best_model_path == str(new / "best.ckpt")
    assert torch.equal(read(new / "best.ckpt")["state_dict"]["layer.weight"], best)


def test_better_epoch_in_a_moved_folder_takes_the_place_of_the_best(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    train(Line(), old, epochs=2)
    shutil.move(old, new)
    module = Line()
    module.figures[2] = 0.5
    checkpoints = train(module, new, epochs=3, resume=True)
    assert names(new) == ["best.ckpt", LAST]
    assert checkpoints.best_model_score == 0.5
    assert torch.equal(read(new / "best.ckpt")["state_dict"]["layer.weight"], module.layer.weight)


def test_empty_paths_stay_empty(tmp_path: Path) -> None:
    before = make_checkpoints(tmp_path / "old", best=False)
    checkpoints = make_checkpoints(tmp_path / "new", best=False)
    checkpoints.load_state_dict(before.state_dict())
    assert checkpoints.best_model_path == checkpoints.last_model_path == ""
    assert checkpoints.best_k_models == {}


@pytest.mark.parametrize(
    ("place", "steps"),
    [((0, 0), 1), ((1, 1), 5), ((1, 2), 6), ((2, 2), 9)],
    ids=["first step", "within an epoch", "last step of an epoch", "last step"],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_saves_after_its_step_and_leaves(
    tmp_path: Path, number: int, place: tuple[int, int], steps: int
) -> None:
    module = Line(lambda now: os.kill(os.getpid(), number) if now == place else None)
    with pytest.raises(Interrupted) as caught, handled(), deferred():
        train(module, tmp_path)
    assert caught.value.number == number
    assert len(module.steps) == steps
    saved = read(tmp_path / LAST)
    assert saved["global_step"] == steps
    assert torch.equal(saved["state_dict"]["layer.weight"], module.layer.weight)
    # Only an epoch that has been validated can be the best.
    assert names(tmp_path) == (["best.ckpt", LAST] if steps >= STEPS else [LAST])


def test_nothing_is_saved_within_an_epoch_unless_asked(tmp_path: Path) -> None:
    found: list[list[str]] = []
    module = Line(lambda _: found.append(names(tmp_path)))
    train(module, tmp_path, epochs=2, best=False)
    assert found == [[]] * STEPS + [[LAST]] * STEPS
    assert pending() is None


def test_signal_of_any_process_stops_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, str]] = []

    def reduce(tensor: Tensor, *, reduce_op: str) -> Tensor:
        asked.append((int(tensor), reduce_op))
        return torch.tensor(15)

    saved: list[Path] = []
    trainer: Any = SimpleNamespace(
        is_last_batch=False,
        world_size=2,
        strategy=SimpleNamespace(root_device=torch.device("cpu"), reduce=reduce),
        save_checkpoint=saved.append,
    )
    monkeypatch.setattr(checkpoint_module.ModelCheckpoint, "on_train_batch_end", lambda *_, **__: None)
    with pytest.raises(Interrupted) as caught:
        make_checkpoints(tmp_path).on_train_batch_end(trainer)
    assert caught.value.number == signal.SIGTERM
    assert asked == [(0, "max")]
    assert saved == [tmp_path / LAST]


@pytest.mark.filterwarnings("ignore:You defined a `validation_step`", "ignore:You're resuming from")
def test_last_weights_are_saved_every_few_steps_of_a_long_epoch_if_asked(tmp_path: Path) -> None:
    def last_saved(_: object) -> None:
        path = tmp_path / LAST
        saved.append(read(path)["global_step"] if path.exists() else 0)

    saved: list[int] = []
    module, data = Line(last_saved), DataLoader(torch.ones(7, 2), batch_size=1)

    def run(epochs: int, ckpt_path: Path | None = None) -> None:
        checkpoints = Checkpoints(every_steps=3, dirpath=tmp_path, save_top_k=0, enable_version_counter=False)
        settings = TrainerSettings(accelerator="cpu", max_epochs=epochs)
        trainer = make_trainer(settings, callbacks=[checkpoints], validate=False)
        trainer.fit(module, data, ckpt_path=ckpt_path, weights_only=True)

    run(2)
    # What each step found: the steps are counted within the epoch, whose end saves, too.
    assert saved == [0, 0, 0, 3, 3, 3, 6, 7, 7, 7, 10, 10, 10, 13]
    assert names(tmp_path) == [LAST]
    assert read(tmp_path / LAST)["global_step"] == 14
    assert torch.equal(read(tmp_path / LAST)["state_dict"]["layer.weight"], module.layer.weight)
    module.at = lambda place: os.kill(os.getpid(), signal.SIGTERM) if place == (2, 0) else None
    with pytest.raises(Interrupted), handled(), deferred():
        run(3, tmp_path / LAST)
    saved.clear()
    module.at = last_saved
    run(3, tmp_path / LAST)
    assert saved == [15, 15, 17, 17, 17, 20]  # one step was done; the count goes on
