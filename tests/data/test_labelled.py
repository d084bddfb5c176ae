from __future__ import annotations

import numpy as np
import pytest

from fingerprints.data.labelled import LabelledImages
from fingerprints.data.pairs import PAD

ROWS, CLASSES = np.arange(100, 117), np.arange(17) % 3


def drawn(plan: LabelledImages, epoch: int) -> tuple[list[int], list[int]]:
    batches = [plan.batch(epoch, step) for step in range(plan.steps)]
    assert all(len(batch.right) == 0 for batch in batches)
    return [r for b in batches for r in b.left.tolist()], [
        c for b in batches for c in b.left_classes.tolist()
    ]


@pytest.mark.parametrize("batch_size", [1, 4, 17, 50])
def test_an_epoch_has_every_image_once_with_its_class(batch_size):
    plan = LabelledImages(ROWS, CLASSES, batch_size=batch_size, seed=0)
    rows, classes = drawn(plan, epoch=2)
    assert sorted(rows) == ROWS.tolist()
    assert classes == [int(CLASSES[row - 100]) for row in rows]
    assert plan.images_per_epoch == 17
    assert plan.steps == -(-17 // batch_size)


def test_no_batch_is_much_smaller_than_another():
    plan = LabelledImages(ROWS, CLASSES, batch_size=16, seed=0)
    assert [len(plan.batch(0, step).left) for step in range(plan.steps)] == [9, 8]


def test_a_step_is_a_function_of_seed_epoch_and_step():
    def order(seed: int, epoch: int) -> list[int]:
        return drawn(LabelledImages(ROWS, CLASSES, batch_size=5, seed=seed), epoch)[0]

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


def test_processes_share_a_batch_and_fill_up():
    batch = LabelledImages(ROWS, CLASSES, batch_size=5, seed=0).batch(0, 0)
    shares = [batch.share(rank, 2) for rank in range(2)]
    assert [len(share.left) for share in shares] == [3, 3]
    counted = [row for s in shares for row, c in zip(s.left, s.left_classes, strict=True) if c != PAD]
    assert sorted(counted) == sorted(batch.left)
    assert all(share.images == 5 for share in shares)
