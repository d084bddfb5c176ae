"""Pairs: how many, of whom, and that nothing but (seed, epoch, step) decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import get_task
from fingerprints.data.pairs import (
    PAD,
    AllPairs,
    NearestPairs,
    PairBatch,
    PairPools,
    PairStrategy,
    RandomPairs,
    cycle,
    pools,
)

FIELDS = ("left", "left_classes", "left_positions", "right", "right_classes", "right_positions")


def make_pools(
    left: tuple[int, ...] = (11, 7, 9), right: tuple[int, ...] = (8, 8, 13), seed: int = 0
) -> PairPools:
    """Pools with so many images of each class a side; rows are shuffled and never equal positions."""
    rng = np.random.default_rng(seed)
    left_classes, right_classes = (np.repeat(np.arange(len(n)), n) for n in (left, right))
    rows = 1000 + rng.permutation(sum(left) + sum(right))
    return PairPools(
        left=rows[: sum(left)],
        left_classes=rng.permutation(left_classes),
        right=rows[sum(left) :],
        right_classes=rng.permutation(right_classes),
        names=tuple(f"t{i}" for i in range(len(left))),
    )


def epoch_of(strategy: PairStrategy, epoch: int) -> dict[str, np.ndarray]:
    batches = [strategy.batch(epoch, step) for step in range(strategy.steps)]
    return {name: np.concatenate([getattr(b, name) for b in batches]) for name in FIELDS}


def same(one: PairBatch, other: PairBatch) -> bool:
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in FIELDS)


def make(kind: str, drawn: PairPools, seed: int = 0) -> PairStrategy:
    if kind == "random":
        return RandomPairs(drawn, batch_size=8, seed=seed)
    if kind == "all":
        return AllPairs(drawn, images_per_class=3, seed=seed)
    images = np.random.default_rng(9).integers(0, 256, (2000, 32, 32), dtype=np.uint8)
    return NearestPairs(drawn, images, neighbours=3, contrast="pair", batch_size=8, seed=seed)


KINDS = ("random", "all", "nearest")


class TestRandom:
    @pytest.mark.parametrize("epoch", [0, 3])
    def test_one_pair_an_image_half_of_them_positive(self, epoch: int) -> None:
        drawn = make_pools()
        strategy = RandomPairs(drawn, batch_size=8, seed=0)
        pairs = epoch_of(strategy, epoch)
        assert len(pairs["left"]) == len(drawn.right) == 29
        assert (pairs["left_classes"] == pairs["right_classes"]).sum() == 15
        assert strategy.images_per_epoch == 58
        assert [len(strategy.batch(epoch, s).left) for s in range(strategy.steps)] == [8, 8, 8, 5]

    def test_classes_are_those_of_the_rows(self) -> None:
        drawn = make_pools()
        pairs = epoch_of(RandomPairs(drawn, batch_size=8, seed=0), 0)
        of_left = dict(zip(drawn.left, drawn.left_classes, strict=True))
        of_right = dict(zip(drawn.right, drawn.right_classes, strict=True))
        assert [of_left[row] for row in pairs["left"]] == pairs["left_classes"].tolist()
        assert [of_right[row] for row in pairs["right"]] == pairs["right_classes"].tolist()

    @pytest.mark.parametrize("pairs_per_epoch", [None, 20, 100])
    @pytest.mark.parametrize("side", ["left", "right"])
    def test_images_of_the_larger_side_repeat_only_when_exhausted(
        self, side: str, pairs_per_epoch: int | None
    ) -> None:
        drawn = make_pools((11, 9, 9), (8, 8, 8)) if side == "left" else make_pools()
        strategy = RandomPairs(drawn, batch_size=8, seed=0, pairs_per_epoch=pairs_per_epoch)
        pairs = epoch_of(strategy, 0)
        positive = pairs["left_classes"] == pairs["right_classes"]
        own = getattr(drawn, side).tolist()
        for half in (positive, ~positive):
            times = Counter(pairs[side][half].tolist())
            counts = [times[row] for row in own]
            assert max(counts) - min(counts) <= 1
            assert sum(counts) == half.sum()
        assert len(set(pairs[side].tolist())) == min(len(own), len(positive))

    def test_twice_as_many_pairs_match_each_generated_image_with_a_used_and_a_not_used_one(self) -> None:
        drawn = make_pools((5, 7), (0, 30))
        pairs = epoch_of(RandomPairs(drawn, batch_size=8, seed=0, pairs_per_epoch=60), 0)
        for used in (0, 1):
            partners = pairs["right"][pairs["left_classes"] == used]
            assert sorted(partners.tolist()) == sorted(drawn.right.tolist())
        once = epoch_of(RandomPairs(drawn, batch_size=8, seed=0), 0)
        assert sorted(once["right"].tolist()) == sorted(drawn.right.tolist())
        assert np.bincount(once["left_classes"]).tolist() == [15, 15]

    def test_both_kinds_come_mixed_in_every_batch(self) -> None:
        strategy = RandomPairs(make_pools((60, 60), (60, 60)), batch_size=30, seed=0)
        for step in range(strategy.steps):
            batch = strategy.batch(0, step)
            assert 5 < (batch.left_classes == batch.right_classes).sum() < 25

    def test_partners_are_drawn_uniformly(self) -> None:
        drawn = make_pools((6, 6), (5, 5))
        strategy = RandomPairs(drawn, batch_size=4000, seed=0, pairs_per_epoch=4000)
        times = Counter(epoch_of(strategy, 0)["right"].tolist())
        assert set(times) == set(drawn.right.tolist())
        assert all(330 < count < 470 for count in times.values())

    def test_usage_pairs_used_as_positive_and_not_used_as_negative(self) -> None:
        drawn = make_pools((9, 12), (0, 10))
        pairs = epoch_of(RandomPairs(drawn, batch_size=8, seed=0), 0)
        positive = pairs["left_classes"] == pairs["right_classes"]
        assert (pairs["left_classes"][positive] == 1).all()
        assert (pairs["left_classes"][~positive] == 0).all()
        assert (positive.sum(), (~positive).sum()) == (11, 10)
        assert len(set(pairs["left"][positive].tolist())) == 11
        assert len(set(pairs["left"][~positive].tolist())) == 9


class TestAll:
    @pytest.mark.parametrize("k", [1, 3, 5])
    def test_k_images_of_each_class_and_side(self, k: int) -> None:
        strategy = AllPairs(make_pools(), images_per_class=k, seed=0)
        for step in range(strategy.steps):
            batch = strategy.batch(1, step)
            for classes in (batch.left_classes, batch.right_classes):
                assert np.bincount(classes).tolist() == [k, k, k]
            assert batch.images == 6 * k

    @pytest.mark.parametrize("k", [1, 2, 3, 5])
    def test_budget_is_that_of_random_within_one_batch(self, k: int) -> None:
        drawn = make_pools((40, 30, 50), (20, 20, 20))
        every = AllPairs(drawn, images_per_class=k, seed=0)
        budget = RandomPairs(drawn, batch_size=8, seed=0).images_per_epoch
        assert abs(every.images_per_epoch - budget) <= every.batch_images
        assert sum(every.batch(0, s).images for s in range(every.steps)) == every.images_per_epoch

    def test_at_least_one_step(self) -> None:
        assert AllPairs(make_pools((2, 2), (2, 2)), images_per_class=50, seed=0).steps == 1

    def test_every_image_is_drawn_before_any_is_drawn_twice(self) -> None:
        drawn = make_pools()
        strategy = AllPairs(drawn, images_per_class=2, seed=0, images_per_epoch=12 * 14)
        for rows, classes, side in (
            (drawn.left, drawn.left_classes, "left"),
            (drawn.right, drawn.right_classes, "right"),
        ):
            seen = [
                row
                for step in range(strategy.steps)
                for row in getattr(strategy.batch(0, step), side).tolist()
            ]
            for c in range(3):
                members = rows[classes == c].tolist()
                order = [row for row in seen if row in members]
                assert len(order) == 28
                for start in range(0, len(order) - len(members) + 1, len(members)):
                    assert sorted(order[start : start + len(members)]) == sorted(members)

    def test_usage_has_one_class_of_generated_images(self) -> None:
        batch = AllPairs(make_pools((9, 12), (0, 10)), images_per_class=4, seed=0).batch(0, 0)
        assert np.bincount(batch.left_classes).tolist() == [4, 4]
        assert batch.right_classes.tolist() == [1] * 4


class TestNearest:
    @pytest.mark.parametrize("neighbours", [1, 3])
    def test_partners_are_among_the_nearest(self, neighbours: int) -> None:
        drawn = make_pools((9, 12), (0, 10))
        images = np.random.default_rng(9).integers(0, 256, (1100, 32, 32), dtype=np.uint8)
        strategy = NearestPairs(drawn, images, neighbours=neighbours, contrast="pair", batch_size=8, seed=0)
        flat = images.reshape(len(images), -1)
        for left, right in zip(*(epoch_of(strategy, 0)[side] for side in ("left", "right")), strict=True):
            likeness = {row: np.corrcoef(flat[left], flat[row])[0, 1] for row in drawn.right.tolist()}
            assert right in sorted(likeness, key=lambda row: -likeness[row])[:neighbours]

    def test_batch_contrast_makes_the_partner_the_class(self) -> None:
        drawn = make_pools((9, 12), (0, 10))
        images = np.random.default_rng(9).integers(0, 256, (1100, 32, 32), dtype=np.uint8)
        options: dict[str, Any] = {"neighbours": 2, "batch_size": 8, "seed": 0}
        plain = NearestPairs(drawn, images, contrast="pair", **options).batch(0, 0)
        strategy = NearestPairs(drawn, images, contrast="batch", **options)
        batch = strategy.batch(0, 0)
        assert not strategy.aligned
        assert np.array_equal(batch.left, plain.left)
        assert np.array_equal(batch.right, plain.right)
        used = plain.left_classes == 1
        assert batch.right_classes.tolist() == batch.right.tolist()
        assert batch.left_classes[used].tolist() == batch.right[used].tolist()
        assert set(batch.left_classes[~used]).isdisjoint(batch.right_classes)
        assert used.any()
        assert not used.all()


@pytest.mark.parametrize("kind", KINDS)
class TestPurity:
    def test_batch_is_a_function_of_seed_epoch_and_step(self, kind: str) -> None:
        drawn = make_pools()
        once, again = make(kind, drawn), make(kind, drawn)
        order = [(e, s) for e in range(3) for s in range(once.steps)]
        forward = {at: once.batch(*at) for at in order}
        for at in reversed(order):
            assert same(forward[at], again.batch(*at))

    def test_epochs_steps_and_seeds_differ(self, kind: str) -> None:
        drawn = make_pools()
        batches = [make(kind, drawn).batch(*at) for at in ((0, 0), (1, 0), (0, 1))]
        batches.append(make(kind, drawn, seed=1).batch(0, 0))
        for i, one in enumerate(batches):
            assert not any(same(one, other) for other in batches[:i])

    @pytest.mark.parametrize("world", [2, 3, 5])
    def test_shares_together_are_the_global_batch(self, kind: str, world: int) -> None:
        strategy = make(kind, make_pools())
        for step in range(strategy.steps):
            batch = strategy.batch(0, step)
            shares = [batch.share(rank, world) for rank in range(world)]
            for side in ("left", "right"):
                assert len({len(getattr(share, side)) for share in shares}) == 1
                dealt = [
                    (position, row, c)
                    for share in shares
                    for position, row, c in zip(
                        *(getattr(share, side + field) for field in ("_positions", "", "_classes")),
                        strict=True,
                    )
                    if c != PAD
                ]
                whole = zip(
                    *(getattr(batch, side + field) for field in ("_positions", "", "_classes")), strict=True
                )
                assert sorted(dealt) == sorted(whole)
            assert {share.images for share in shares} == {batch.images}

    def test_one_process_takes_all(self, kind: str) -> None:
        batch = make(kind, make_pools()).batch(0, 0)
        assert batch.share(0, 1) is batch


@pytest.mark.parametrize("world", [2, 3, 5, 40])
def test_rows_of_a_share_remain_pairs(world: int) -> None:
    batch = RandomPairs(make_pools(), batch_size=27, seed=0).batch(0, 0)
    pairs = set(zip(batch.left.tolist(), batch.right.tolist(), strict=True))
    for rank in range(world):
        share = batch.share(rank, world)
        fillers = share.left_classes == PAD
        assert np.array_equal(fillers, share.right_classes == PAD)
        assert fillers.sum() <= 1
        for left, right in zip(share.left[~fillers].tolist(), share.right[~fillers].tolist(), strict=True):
            assert (left, right) in pairs
        assert np.array_equal(share.right_positions - share.left_positions, np.full(len(share.left), 27))


@pytest.mark.parametrize(("candidates", "count"), [(5, 0), (5, 2), (5, 3), (5, 5), (5, 13)])
def test_cycle_takes_what_was_not_drawn_first(candidates: int, count: int) -> None:
    before = np.array([11, 14, 99])
    fresh = sorted({*range(10, 10 + candidates)} - {11, 14})
    rng = np.random.default_rng(0)
    drawn = cycle(np.arange(10, 10 + candidates), count, rng, before=before).tolist()
    assert len(drawn) == count
    first, rest = drawn[: len(fresh)], drawn[len(fresh) :]
    assert len(set(first)) == len(first)
    assert set(first) <= set(fresh)
    for start in range(0, len(rest), candidates):
        part = rest[start : start + candidates]
        assert len(set(part)) == len(part)


@pytest.mark.parametrize(("candidates", "count"), [(5, 0), (5, 3), (5, 5), (5, 13)])
def test_cycle(candidates: int, count: int) -> None:
    drawn = cycle(np.arange(10, 10 + candidates), count, np.random.default_rng(0))
    assert len(drawn) == count
    for start in range(0, count, candidates):
        part = drawn[start : start + candidates]
        assert len(set(part.tolist())) == len(part)
        assert set(part.tolist()) <= set(range(10, 10 + candidates))


class TestPools:
    def test_subset(self, subset_root: Callable[..., Path], prepared: Callable[..., Any]) -> None:
        index, _ = prepared(subset_root(), "subset")
        drawn = pools(index.task, index.select(split="train"), index.classes)
        table = index.table
        assert set(table.loc[drawn.left, "domain"]) == {"real"}
        assert set(table.loc[drawn.right, "domain"]) == {"generated"}
        assert set(table.loc[[*drawn.left, *drawn.right], "split"]) == {"train"}
        for rows, classes in ((drawn.left, drawn.left_classes), (drawn.right, drawn.right_classes)):
            assert [drawn.names[c] for c in classes] == table.loc[rows, "label"].tolist()
        assert len(drawn.left) == len(index.select(domain="real", split="train"))

    def test_usage(self, usage_root: Callable[..., Path], prepared: Callable[..., Any]) -> None:
        index, _ = prepared(usage_root(), "usage")
        drawn = pools(index.task, index.select(split="train"), index.classes)
        assert [drawn.names[c] for c in drawn.left_classes] == index.table.loc[drawn.left, "label"].tolist()
        assert {drawn.names[c] for c in drawn.right_classes} == {"used"}
        assert set(index.table.loc[drawn.right, "domain"]) == {"generated"}

    def test_model(self, model_root: Callable[..., Path], prepared: Callable[..., Any]) -> None:
        index, _ = prepared(model_root(), "model")
        drawn = pools(index.task, index.select(split="train"), index.classes)
        assert drawn.left.tolist() == drawn.right.tolist() == index.select(split="train").index.tolist()
        assert drawn.left_classes.tolist() == drawn.right_classes.tolist()

    def test_rows_in_another_order_give_the_same_pools(
        self, subset_root: Callable[..., Path], prepared: Callable[..., Any]
    ) -> None:
        index, _ = prepared(subset_root(), "subset")
        rows = index.select(split="train")
        one, other = (pools(get_task("subset"), r, index.classes) for r in (rows, rows[::-1]))
        assert one.left.tolist() == other.left.tolist()
        assert one.right_classes.tolist() == other.right_classes.tolist()

    def test_no_positive_or_no_negative_pair_is_an_error(self) -> None:
        with pytest.raises(FingerprintsError, match="No positive pair"):
            make_pools((5, 0), (0, 5))
        with pytest.raises(FingerprintsError, match="No negative pair"):
            make_pools((0, 5), (0, 5))
