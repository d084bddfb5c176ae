"""Losses as pure functions of embeddings and pair labels."""

from __future__ import annotations

import torch
from torch import Tensor

# Keeps the gradient of the square root finite if two embeddings are equal.
DISTANCE_EPSILON = 1e-12


def aligned_distances(left: Tensor, right: Tensor) -> Tensor:
    """Euclidean distance of row i of `left` to row i of `right`; `(n, d)` twice -> `(n,)`."""
    return (left - right).pow(2).sum(dim=1).clamp_min(DISTANCE_EPSILON).sqrt()


def all_distances(left: Tensor, right: Tensor) -> Tensor:
    """Cell [i, j] is the Euclidean distance of `left[i]` to `right[j]`; `(a, d), (b, d)` -> `(a, b)`."""
    squared = left.pow(2).sum(1)[:, None] + right.pow(2).sum(1)[None, :] - 2.0 * left @ right.T
    return squared.clamp_min(DISTANCE_EPSILON).sqrt()


def contrastive_terms(distance: Tensor, positive: Tensor, *, margin: float) -> Tensor:
    """`y d^2 + (1 - y) max(margin - d, 0)^2` per pair, any shape [A25, script].

    Args:
        distance: Euclidean distances d >= 0.
        positive: Bool, the same shape: y.
        margin: Distance from which a negative pair costs nothing.
    """
    return torch.where(positive, distance.pow(2), (margin - distance).clamp_min(0).pow(2))


def mean_over(terms: Tensor, counted: Tensor) -> Tensor:
    """Mean of the terms where `counted` is true; 0 (with a gradient) if there are none."""
    return (terms * counted).sum() / counted.sum().clamp_min(1)


def balanced_contrastive_loss(
    distance: Tensor, positive: Tensor, counted: Tensor, *, margin: float
) -> Tensor:
    """Half the mean over positive pairs plus half the mean over negative ones.

    With k images of each of c classes on either side, positives are 1/c of all pairs. The two means give
    both kinds the same weight for every c.

    Args:
        distance: `(a, b)` distances of all left to all right embeddings.
        positive: `(a, b)` bool.
        counted: `(a, b)` bool; false for padding entries.
        margin: As in `contrastive_terms`.
    """
    terms = contrastive_terms(distance, positive, margin=margin)
    return 0.5 * mean_over(terms, positive & counted) + 0.5 * mean_over(terms, ~positive & counted)
