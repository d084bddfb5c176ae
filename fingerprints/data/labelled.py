"""Batches of labelled images, for classifiers: the right side of a batch stays empty."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fingerprints.data.pairs import PairBatch, Rows


class LabelledImages:
    """Every image once an epoch, in an order of the epoch's own, in batches as even as can be.

    What a step sees is a function of (seed, epoch, step), as with pairs. A last batch of what is left over
    could be a single image, of which batch norm has no statistics.

    Args:
        rows: `(n,)` store rows.
        classes: `(n,)` class numbers.
        batch_size: Most images in the global batch.
        seed: Seed of the run.
    """

    aligned = False

    def __init__(self, rows: Rows, classes: NDArray[np.int64], *, batch_size: int, seed: int) -> None:
        self.rows, self.classes = rows, classes
        self.batch_size, self.seed = batch_size, seed

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return -(-len(self.rows) // self.batch_size)

    @property
    def images_per_epoch(self) -> int:
        """Each image once."""
        return len(self.rows)

    def batch(self, epoch: int, step: int) -> PairBatch:
        """The `step`-th part of the epoch's order."""
        order = np.random.default_rng([self.seed, epoch, 3]).permutation(len(self.rows))
        at = np.array_split(order, self.steps)[step]
        nothing = np.empty(0, dtype=np.int64)
        return PairBatch.whole(self.rows[at], self.classes[at], nothing, nothing)
