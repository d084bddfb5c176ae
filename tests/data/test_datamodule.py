"""The data module: plans become pixels, and shares of all processes the global batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from fingerprints.data.datamodule import ImageBatch, PairDataModule
from fingerprints.data.index import Index
from fingerprints.data.pairs import PAD, AllPairs, PairPools, PairStrategy, RandomPairs
from fingerprints.data.store import ImageStore

CPU = torch.device("cpu")
Data = tuple[Index, ImageStore]


@pytest.fixture
def data(subset_root: Callable[..., Path], prepared: Callable[..., Any]) -> Data:
    return prepared(subset_root(), "subset", validation=0.25)


def strategy(kind: str) -> Callable[[PairPools, ImageStore], PairStrategy]:
    if kind == "random":
        return lambda pools, store: RandomPairs(pools, batch_size=7, seed=0)
    return lambda pools, store: AllPairs(pools, images_per_class=3, seed=0)


def module(
    data: Data, kind: str = "random", *, held: bool = True, rank: int = 0, world: int = 1
) -> PairDataModule:
    index, store = data
    made = PairDataModule(
        index,
        store,
        strategy=strategy(kind),
        train=index.select(split="train"),
        validation=index.select(split="validation") if held else None,
        seed=0,
        validation_batch=16,
    )
    if world > 1:
        made.trainer = SimpleNamespace(global_rank=rank, world_size=world)
    return made


def batches(made: PairDataModule, part: str = "train", *, epoch: int = 0) -> list[ImageBatch]:
    loader = made.train_dataloader() if part == "train" else made.val_dataloader()
    loader.sampler.set_epoch(epoch)
    return [made.transfer_batch_to_device(batch, CPU, 0) for batch in loader]


@pytest.mark.parametrize("kind", ["random", "all"])
@pytest.mark.parametrize("part", ["train", "validation"])
def test_pixels_are_those_of_the_store(data: Data, kind: str, part: str) -> None:
    index, store = data
    seen = batches(module(data, kind), part)
    assert seen
    for batch in seen:
        for pixels, rows, classes in (
            (batch.left, batch.left_rows, batch.left_classes),
            (batch.right, batch.right_rows, batch.right_classes),
        ):
            assert pixels.dtype == torch.uint8
            assert np.array_equal(pixels[:, 0].numpy(), store.images[rows.numpy()])
            labels = index.table.loc[rows.numpy(), "label"]
            assert [index.classes[c] for c in classes] == labels.tolist()
        assert len(batch.positions) == batch.images == len(batch.left) + len(batch.right)
        assert len(batch) == len(batch.left)


@pytest.mark.parametrize("kind", ["random", "all"])
def test_parts_do_not_mix(data: Data, kind: str) -> None:
    index, _ = data
    for part in ("train", "validation"):
        for batch in batches(module(data, kind), part):
            rows = torch.cat([batch.left_rows, batch.right_rows]).numpy()
            assert set(index.table.loc[rows, "split"]) == {part}
            assert set(index.table.loc[batch.left_rows.numpy(), "domain"]) == {"real"}
            assert set(index.table.loc[batch.right_rows.numpy(), "domain"]) == {"generated"}


def test_validation_is_the_same_for_every_strategy_and_epoch(data: Data) -> None:
    reference = batches(module(data, "random"), "validation")
    assert sum(len(b) for b in reference) == 200
    assert all(b.aligned for b in reference)
    for kind, epoch in (("random", 3), ("all", 0), ("all", 7)):
        other = batches(module(data, kind), "validation", epoch=epoch)
        for one, two in zip(reference, other, strict=True):
            assert torch.equal(one.left_rows, two.left_rows)
            assert torch.equal(one.right_rows, two.right_rows)


def test_nothing_held_out_means_no_validation(data: Data) -> None:
    assert len(module(data).val_dataloader()) > 0
    assert module(data, held=False).val_dataloader() == []


@pytest.mark.parametrize("kind", ["random", "all"])
@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("part", ["train", "validation"])
def test_shares_of_all_processes_are_the_global_batches(data: Data, kind: str, world: int, part: str) -> None:
    whole = batches(module(data, kind), part, epoch=2)
    shares = [batches(module(data, kind, rank=rank, world=world), part, epoch=2) for rank in range(world)]
    for number, batch in enumerate(whole):
        own = [share[number] for share in shares]
        assert {b.images for b in own} == {batch.images}
        assert {(b.epoch, b.step, b.aligned) for b in own} == {(batch.epoch, batch.step, batch.aligned)}
        for side in ("left", "right"):
            rows, pixels = getattr(batch, f"{side}_rows"), getattr(batch, side)
            dealt: list[tuple[int, int]] = []
            for b in own:
                before = 0 if side == "left" else len(b.left)
                for i, c in enumerate(getattr(b, f"{side}_classes").tolist()):
                    if c != PAD:
                        at = int(b.positions[before + i]) - (0 if side == "left" else len(batch.left))
                        assert torch.equal(getattr(b, side)[i], pixels[at])
                        dealt.append((at, int(getattr(b, f"{side}_rows")[i])))
            assert sorted(dealt) == list(enumerate(rows.tolist()))


@pytest.mark.parametrize("kind", ["random", "all"])
def test_epochs_differ_and_come_back(data: Data, kind: str) -> None:
    made = module(data, kind)
    rows = {
        key: torch.cat([b.left_rows for b in batches(made, epoch=epoch)]).tolist()
        for key, epoch in (("first", 0), ("second", 1), ("first again", 0))
    }
    assert rows["first"] == rows["first again"] != rows["second"]


class Watch(pl.LightningModule):
    """Learns nothing; remembers which steps it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.steps: list[tuple[int, int, tuple[int, ...]]] = []

    def training_step(self, batch: ImageBatch, batch_idx: int) -> torch.Tensor:
        self.steps.append((batch.epoch, batch.step, tuple(batch.left_rows.tolist())))
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_trainer_moves_the_epoch_on(data: Data) -> None:
    watch, made = Watch(), module(data, held=False)
    trainer = pl.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(watch, datamodule=made)
    steps = made.train_strategy.steps
    assert [(e, s) for e, s, _ in watch.steps] == [(e, s) for e in range(3) for s in range(steps)]
    for epoch, step, rows in watch.steps:
        assert rows == tuple(made.train_strategy.batch(epoch, step).left.tolist())
