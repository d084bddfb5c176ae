"""Batches of real images: every image once in each pass, and nothing but (seed, step) decides."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fingerprints.generators.batches import GeneratorData, RealBatch


def numbered(n: int) -> NDArray[np.uint8]:
    """Image `i` has the grey level `i`."""
    return np.repeat(np.arange(n, dtype=np.uint8), 16).reshape(n, 4, 4)


def drawn(n: int, *, batch_size: int, steps: int, seed: int = 0) -> list[RealBatch]:
    return list(GeneratorData(numbered(n), batch_size=batch_size, steps=steps, seed=seed).train_dataloader())


def rows(batches: list[RealBatch]) -> list[int]:
    return [row for batch in batches for row in batch.images[:, 0, 0, 0].tolist()]


def test_steps_come_in_order_with_images_as_they_are() -> None:
    batches = drawn(10, batch_size=3, steps=7)
    assert [batch.step for batch in batches] == list(range(7))
    for batch in batches:
        assert batch.images.shape == (3, 1, 4, 4)
        assert batch.images.dtype == torch.uint8
        assert torch.equal(batch.images, batch.images[:, :, :1, :1].expand(3, 1, 4, 4))


@pytest.mark.parametrize(("n", "batch_size", "steps"), [(12, 4, 9), (10, 3, 10), (7, 7, 3), (5, 12, 5)])
def test_every_image_comes_once_in_each_pass(n: int, batch_size: int, steps: int) -> None:
    order = rows(drawn(n, batch_size=batch_size, steps=steps))
    assert len(order) == steps * batch_size
    passes = [order[start : start + n] for start in range(0, len(order), n)]
    assert all(sorted(one) == list(range(n)) for one in passes)
    if n > 5:
        assert len({tuple(one) for one in passes}) == len(passes)


def test_batch_larger_than_the_data_set_holds_every_image_as_often_as_any_other() -> None:
    for batch in drawn(4, batch_size=12, steps=3):
        assert Counter(rows([batch])) == dict.fromkeys(range(4), 3)


def test_step_is_a_function_of_seed_and_number_whatever_the_length_and_whatever_came_before() -> None:
    long = drawn(10, batch_size=4, steps=20, seed=3)
    torch.manual_seed(1)
    np.random.default_rng(5).random()
    data = GeneratorData(numbered(10), batch_size=4, steps=8, seed=3)
    for step in (7, 0, 3):
        alone = data.steps[0, step]
        assert torch.equal(alone.images, long[step].images)
        assert (alone.step, alone.seed) == (step, long[step].seed)


def test_seeds_differ_between_steps_and_between_generators() -> None:
    seeds = [batch.seed for seed in range(4) for batch in drawn(10, batch_size=4, steps=25, seed=seed)]
    assert len(set(seeds)) == 100
    for seed in seeds:
        torch.Generator().manual_seed(seed)  # none is out of range
    assert rows(drawn(10, batch_size=5, steps=2)) != rows(drawn(10, batch_size=5, steps=2, seed=1))


def test_images_that_numpy_does_not_hold_in_one_piece_are_taken() -> None:
    images = np.ascontiguousarray(numbered(12).transpose(1, 2, 0)).transpose(2, 0, 1)[::2]
    data = GeneratorData(images, batch_size=6, steps=1, seed=0)
    assert sorted(rows(list(data.train_dataloader()))) == [0, 2, 4, 6, 8, 10]


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_every_batch_and_agree_on_its_seed(world: int) -> None:
    whole = drawn(10, batch_size=6, steps=5, seed=2)
    shares = []
    for rank in range(world):
        data = GeneratorData(numbered(10), batch_size=6, steps=5, seed=2)
        data.trainer = SimpleNamespace(global_rank=rank, world_size=world)
        shares.append(list(data.train_dataloader()))
    for step, batch in enumerate(whole):
        parts = [one[step] for one in shares]
        assert (batch.rank, batch.world, batch.count) == (0, 1, 6)
        for rank, part in enumerate(parts):
            assert (part.rank, part.world, part.count) == (rank, world, 6)
            assert (part.step, part.seed) == (step, batch.seed)
            assert torch.equal(part.images, batch.images[rank::world])
            assert torch.equal(part.share(batch.images), part.images)


def test_shares_are_rows_of_the_whole_on_the_device_of_the_images() -> None:
    batch = RealBatch(images=torch.zeros(2, 1, 4, 4, device="meta"), step=0, seed=0, rank=1, world=3)
    assert batch.share(torch.rand(6, 5)).device.type == "meta"
    here = RealBatch(images=torch.zeros(2, 1, 4, 4), step=0, seed=0, rank=1, world=3)
    assert here.share(torch.arange(6)).tolist() == [1, 4]


def test_pixels_reach_from_minus_one_to_one() -> None:
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    pixels = RealBatch(images=images, step=0, seed=0).pixels()
    assert (pixels.dtype, pixels.shape) == (torch.float32, images.shape)
    assert pixels.flatten().tolist() == pytest.approx([value / 127.5 - 1 for value in range(256)], abs=1e-6)
    assert (float(pixels.min()), float(pixels.max())) == (-1, 1)


def test_pixels_alone_go_to_the_device() -> None:
    data = GeneratorData(numbered(4), batch_size=2, steps=1, seed=0)
    data.steps.rank, data.steps.world = 1, 2
    batch = data.steps[0, 0]
    moved = data.transfer_batch_to_device(batch, torch.device("meta"), 0)
    assert moved.images.device.type == "meta"
    assert (moved.step, moved.seed) == (batch.step, batch.seed)
    assert (moved.rank, moved.world) == (1, 2)
