"""The Siamese module: its loss, its figures, and one loss for any number of processes."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fingerprints.data.datamodule import ImageBatch, PairDataModule
from fingerprints.data.index import Index
from fingerprints.data.pairs import AllPairs, PairStrategy, RandomPairs
from fingerprints.data.store import ImageStore
from fingerprints.training.augment import Augmentation
from fingerprints.training.hardware import make_trainer
from fingerprints.training.history import History
from fingerprints.training.settings import OptimiserSettings, PairTrainingSettings, TrainerSettings
from fingerprints.training.siamese import SiameseModule
from tests.networks import build_network
from tests.pair import Pair
from tests.training import pair_training

CPU = torch.device("cpu")
ENCODER = {"name": "siamese_cnn", "channels": [4, 8], "embedding": 8, "final_relu": False}
Data = tuple[Index, ImageStore]


@pytest.fixture
def data(subset_root: Callable[..., Path], prepared: Callable[..., Any]) -> Data:
    return prepared(subset_root(), "subset", validation=0.25)


def make_module(
    *, lr: float = 1e-3, augmentation: Augmentation | None = None, **encoder: Any
) -> SiameseModule:
    torch.manual_seed(0)
    return SiameseModule(
        build_network({**ENCODER, **encoder}, size=48),
        settings=PairTrainingSettings(margin=1.0, pair_threshold=0.5),
        optimiser=OptimiserSettings(lr=lr),
        augmentation=augmentation or Augmentation(),
    )


def make_data(data: Data, kind: str, *, rank: int = 0, world: int = 1) -> PairDataModule:
    def strategy(pools: Any, store: ImageStore) -> PairStrategy:
        if kind == "random":
            return RandomPairs(pools, batch_size=9, seed=0)
        return AllPairs(pools, images_per_class=3, seed=0)

    index, store = data
    made = PairDataModule(
        index,
        store,
        strategy=strategy,
        train=index.select(split="train"),
        validation=index.select(split="validation"),
        seed=0,
    )
    if world > 1:
        made.trainer = SimpleNamespace(global_rank=rank, world_size=world)
    return made


def shares(data: Data, kind: str, world: int) -> list[ImageBatch]:
    """The second training batch, as each of the processes gets it."""
    out = []
    for rank in range(world):
        made = make_data(data, kind, rank=rank, world=world)
        out.append(made.transfer_batch_to_device(list(made.train_dataloader())[1], CPU, 0))
    return out


def attach(module: SiameseModule, world: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    monkeypatch.setattr(SiameseModule, "trainer", SimpleNamespace(world_size=world))


def gradient(module: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


def naive_loss(module: SiameseModule, batch: ImageBatch) -> float:
    with torch.no_grad():
        left, right = (module.network(side).double() for side in (batch.left, batch.right))
    terms: dict[bool, list[float]] = {True: [], False: []}
    for i in range(len(left)):
        for j in [i] if batch.aligned else range(len(right)):
            positive = bool(batch.left_classes[i] == batch.right_classes[j])
            distance = float((left[i] - right[j]).norm())
            terms[positive].append(distance**2 if positive else max(1.0 - distance, 0.0) ** 2)
    if batch.aligned:
        return float(np.mean(terms[True] + terms[False]))
    return 0.5 * float(np.mean(terms[True])) + 0.5 * float(np.mean(terms[False]))


@pytest.mark.parametrize("kind", ["random", "all"])
def test_loss_agrees_with_loops_over_pairs(data: Data, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, (batch,) = make_module(), shares(data, kind, 1)
    attach(module, 1, monkeypatch)
    assert module.training_step(batch, 0)["loss"].item() == pytest.approx(naive_loss(module, batch), rel=1e-5)
    assert int(module.images_encoded) == batch.images


def test_image_with_itself_is_no_pair(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    module, (batch,) = make_module(), shares(data, "all", 1)
    attach(module, 1, monkeypatch)
    fields = {
        **vars(batch),
        "right": batch.left,
        "right_rows": batch.left_rows,
        "right_classes": batch.left_classes,
    }
    itself = ImageBatch(**fields)
    with torch.no_grad():
        embedded = module.network(batch.left).double()
    distance = torch.cdist(embedded, embedded)
    same = batch.left_classes[:, None] == batch.left_classes[None]
    apart = batch.left_rows[:, None] != batch.left_rows[None]
    expected = (
        0.5 * distance[same & apart].pow(2).mean() + 0.5 * (1 - distance[~same]).clamp_min(0).pow(2).mean()
    )
    assert module.training_step(itself, 0)["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("world", [2, 4])
def test_aligned_shares_give_the_global_loss_and_gradient(
    data: Data, world: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    augmentation = Augmentation(seed=3, flip=True, noise=0.05)
    module, (whole,) = make_module(augmentation=augmentation), shares(data, "random", 1)
    attach(module, 1, monkeypatch)
    loss = module.training_step(whole, 0)["loss"]
    loss.backward()
    expected = gradient(module)
    module.zero_grad()
    attach(module, world, monkeypatch)
    parts = [module.training_step(share, 0)["loss"] for share in shares(data, "random", world)]
    mean = torch.stack(parts).mean()
    mean.backward()
    assert mean.item() == pytest.approx(loss.item(), rel=1e-5)
    torch.testing.assert_close(gradient(module), expected, rtol=1e-4, atol=1e-6)
    assert len({part.item() for part in parts}) == world


@pytest.mark.parametrize("world", [2, 4])
def test_gathered_shares_give_the_global_loss_and_gradient(
    data: Data, world: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, (whole,) = make_module(), shares(data, "all", 1)
    attach(module, 1, monkeypatch)
    loss = module.training_step(whole, 0)["loss"]
    loss.backward()
    expected = gradient(module)
    module.zero_grad()

    attach(module, world, monkeypatch)
    sent: list[list[Tensor]] = []

    def send(tensor: Tensor, **_: Any) -> Tensor:
        sent[-1].append(tensor)
        return tensor

    monkeypatch.setattr(module, "_gather", send)
    for share in shares(data, "all", world):
        sent.append([])
        module.training_step(share, 0)
    received = iter([torch.cat(tensors) for tensors in zip(*sent, strict=True)])
    monkeypatch.setattr(module, "_gather", lambda *_, **__: next(received))
    together = module.training_step(shares(data, "all", world)[0], 0)["loss"]
    together.backward()
    assert together.item() == pytest.approx(loss.item(), rel=1e-5)
    torch.testing.assert_close(gradient(module), expected, rtol=1e-4, atol=1e-6)


def test_augmentation_is_for_training_only(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, changed = make_module(), make_module(augmentation=Augmentation(seed=1, shift=4, noise=0.2))
    (batch,) = shares(data, "random", 1)
    attach(plain, 1, monkeypatch)
    attach(changed, 1, monkeypatch)
    assert plain.training_step(batch, 0)["loss"].item() != changed.training_step(batch, 0)["loss"].item()
    for module in (plain, changed):
        module.validation_step(batch, 0)
    assert plain.val_loss.compute() == changed.val_loss.compute()


def trained(
    module: SiameseModule, made: PairDataModule, *, epochs: int, callbacks: list | None = None
) -> pl.Trainer:
    settings = TrainerSettings(accelerator="cpu", max_epochs=epochs)
    trainer = make_trainer(settings, callbacks=callbacks, validate=True)
    trainer.fit(module, datamodule=made)
    return trainer


@pytest.mark.parametrize("kind", ["random", "all"])
def test_training_lowers_the_loss_of_unseen_pairs(data: Data, kind: str) -> None:
    settings = TrainerSettings(accelerator="cpu")
    before = make_trainer(settings, validate=True).validate(
        make_module(), datamodule=make_data(data, kind), verbose=False
    )[0]
    after = trained(make_module(lr=3e-3), make_data(data, kind), epochs=8).callback_metrics
    assert after["val_loss"] < 0.7 * before["val_loss"]
    assert after["val_pair_accuracy"] > max(0.75, before["val_pair_accuracy"])
    assert after["val_distance_spread"] > 0.5


def test_validation_figures_agree_with_numpy(data: Data) -> None:
    module, made = make_module(), make_data(data, "all")
    figures = make_trainer(TrainerSettings(accelerator="cpu"), validate=True).validate(
        module, datamodule=made, verbose=False
    )[0]
    index, store = data
    batches = [made.validation_strategy.batch(0, s) for s in range(made.validation_strategy.steps)]
    left, right = (np.concatenate([getattr(b, side) for b in batches]) for side in ("left", "right"))
    with torch.no_grad():
        embedded = module.network(torch.from_numpy(np.array(store.images))[:, None]).double().numpy()
    distance = np.linalg.norm(embedded[left] - embedded[right], axis=1)
    label = index.table["label"].to_numpy()
    positive = label[left] == label[right]
    assert positive.mean() == 0.5
    expected = {
        "val_loss": np.where(positive, distance**2, np.maximum(1 - distance, 0) ** 2).mean(),
        "val_pair_accuracy": ((distance < 0.5) == positive).mean(),
        "val_distance_spread": distance.max() - distance.min(),
    }
    for name, value in expected.items():
        assert figures[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_collapse_is_told_and_zero_embeddings_are_counted(
    data: Data, caplog: pytest.LogCaptureFixture
) -> None:
    module, made = make_module(final_relu=True), make_data(data, "random")
    with torch.no_grad():
        module.network.encoder.dense.bias.fill_(-100)
    with caplog.at_level(logging.WARNING, "fingerprints.training.siamese"):
        history = History("training")
        trained(module, made, epochs=1, callbacks=[history])
    assert "collapsed" in caplog.text
    assert history.rows[0]["zero_embeddings"] == made.train_strategy.images_per_epoch
    assert history.rows[0]["val_distance_spread"] < 1e-3


def test_healthy_training_raises_no_alarm(data: Data, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "fingerprints.training.siamese"):
        history = History("training")
        trained(make_module(), make_data(data, "random"), epochs=2, callbacks=[history])
    assert caplog.text == ""
    assert [row["zero_embeddings"] for row in history.rows] == [0, 0]


def test_two_processes_agree_with_one(tmp_path: Path, subset_root: Callable[..., Path], pair: Pair) -> None:
    layout = Path(__file__).parents[2] / "conf/data/imageclef2025_subset.yaml"
    arguments = [str(subset_root(test=0)), str(layout), str(tmp_path)]
    pair_training.train_and_embed(*arguments, 1)
    for kept in (tmp_path / "store").glob("*/features"):  # or two processes would find what one has made
        shutil.rmtree(kept)
    pair(pair_training.train_and_embed, *arguments, 2)
    one, first, second = (dict(np.load(tmp_path / f"found_{n}.npz")) for n in ("1_0", "2_0", "2_1"))

    assert one["random losses"].shape == one["all losses"].shape == (3,)
    for kind in ("random", "all"):
        np.testing.assert_allclose(first[f"{kind} losses"], one[f"{kind} losses"], rtol=1e-5)
        scale = np.abs(one[f"{kind} gradients"]).max()
        np.testing.assert_allclose(
            first[f"{kind} gradients"], one[f"{kind} gradients"], rtol=1e-3, atol=1e-5 * scale
        )
        for name in ("train_loss", "val_loss", "val_pair_accuracy", "val_distance_spread"):
            np.testing.assert_allclose(
                first[f"{kind} {name}"], one[f"{kind} {name}"], rtol=1e-4, err_msg=f"{kind} {name}"
            )
        assert first[f"{kind} images"] == one[f"{kind} images"]
    assert one["features encoded"] == first["features encoded"] == len(one["features"])
    np.testing.assert_allclose(first["features"], one["features"], rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(first["features"], second["features"])
    for name in [name for name in one if name.startswith("embed")]:
        assert one[name].shape == (int(name.split()[1]), 8)
        np.testing.assert_allclose(first[name], one[name], rtol=1e-3, atol=1e-4, err_msg=name)
        np.testing.assert_array_equal(first[name], second[name])
