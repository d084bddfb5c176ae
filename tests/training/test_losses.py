"""Losses against values computed by hand and double loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fingerprints.training.losses import (
    aligned_distances,
    all_distances,
    balanced_contrastive_loss,
    contrastive_terms,
    mean_over,
)


def vectors(seed: int, n: int, d: int = 5) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive_distance(a: Tensor, b: Tensor) -> float:
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a.tolist(), b.tolist(), strict=True)))


def naive_term(distance: float, positive: bool, margin: float) -> float:
    return distance**2 if positive else max(margin - distance, 0.0) ** 2


def test_distances_by_hand() -> None:
    left = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    right = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    assert aligned_distances(left, right).tolist() == pytest.approx([5, 1])
    assert all_distances(left, right).flatten().tolist() == pytest.approx([5, 1, math.sqrt(13), 1])


def test_distances_agree_with_loops() -> None:
    left, right = vectors(0, 4), vectors(1, 6)
    expected = [[naive_distance(a, b) for b in right] for a in left]
    torch.testing.assert_close(all_distances(left, right), torch.tensor(expected, dtype=torch.float64))
    diagonal = [naive_distance(a, b) for a, b in zip(left, right[:4], strict=True)]
    torch.testing.assert_close(
        aligned_distances(left, right[:4]), torch.tensor(diagonal, dtype=torch.float64)
    )


def test_terms_by_hand() -> None:
    distance = torch.tensor([0.0, 0.5, 2.0, 0.0, 0.25, 1.0, 3.0])
    positive = torch.tensor([True, True, True, False, False, False, False])
    assert contrastive_terms(distance, positive, margin=1.0).tolist() == [0, 0.25, 4, 1, 0.5625, 0, 0]
    assert contrastive_terms(distance, positive, margin=0.5).tolist() == [0, 0.25, 4, 0.25, 0.0625, 0, 0]


@pytest.mark.parametrize("distances", [aligned_distances, all_distances])
@pytest.mark.parametrize("positive", [True, False])
def test_gradient_is_finite_where_embeddings_coincide(distances: object, positive: bool) -> None:
    left = torch.tensor([[0.6, 0.8], [0.0, 0.0]], requires_grad=True)
    right = torch.tensor([[0.6, 0.8], [0.0, 0.0]], requires_grad=True)
    distance = distances(left, right)  # type: ignore[operator]
    contrastive_terms(distance, torch.full_like(distance, positive).bool(), margin=1.0).sum().backward()
    for side in (left, right):
        assert side.grad is not None
        assert side.grad.isfinite().all()


def test_gradient_pulls_positives_and_pushes_negatives() -> None:
    left = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]], requires_grad=True)
    right = torch.tensor([[0.3, 0.0], [0.3, 0.0], [2.0, 0.0]])
    positive = torch.tensor([True, False, False])
    contrastive_terms(aligned_distances(left, right), positive, margin=1.0).sum().backward()
    assert left.grad is not None
    torch.testing.assert_close(left.grad[:, 0], torch.tensor([-0.6, 1.4, 0.0]))


def test_mean_over_counted_terms_only() -> None:
    terms = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    assert mean_over(terms, torch.tensor([True, False, True])).item() == 3.5
    nothing = mean_over(terms, torch.zeros(3, dtype=torch.bool))
    assert nothing.item() == 0
    nothing.backward()
    assert terms.grad is not None
    assert terms.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize("margin", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("fillers", [False, True])
def test_balanced_loss_agrees_with_double_loops(margin: float, fillers: bool) -> None:
    left, right = vectors(2, 7), vectors(3, 5)
    left_classes, right_classes = torch.tensor([0, 0, 1, 1, 2, 2, 0]), torch.tensor([0, 1, 2, 1, 0])
    if fillers:
        left_classes[3] = right_classes[1] = -1
    sums = {True: [0.0, 0], False: [0.0, 0]}
    for i, a in enumerate(left_classes.tolist()):
        for j, b in enumerate(right_classes.tolist()):
            if a >= 0 and b >= 0:
                sums[a == b][0] += naive_term(naive_distance(left[i], right[j]), a == b, margin)
                sums[a == b][1] += 1
    expected = sum(0.5 * total / count for total, count in sums.values())
    loss = balanced_contrastive_loss(
        all_distances(left, right),
        left_classes[:, None] == right_classes[None, :],
        (left_classes >= 0)[:, None] & (right_classes >= 0)[None, :],
        margin=margin,
    )
    assert loss.item() == pytest.approx(expected)


def test_both_kinds_weigh_the_same_whatever_their_number() -> None:
    distance = torch.full((10, 10), 0.5)
    positive = torch.zeros(10, 10, dtype=torch.bool)
    counted = torch.ones_like(positive)
    positive[0, 0] = True
    few = balanced_contrastive_loss(distance, positive, counted, margin=2.0)
    many = balanced_contrastive_loss(distance, ~positive, counted, margin=2.0)
    assert few.item() == many.item() == pytest.approx(0.5 * 0.25 + 0.5 * 2.25)
