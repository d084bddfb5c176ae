"""Batches of labelled images, for classifiers: the right side of a batch is empty."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fingerprints.data.pairs import PairBatch, Rows


class LabelledImages:
    """Every image once per epoch, in a new order each epoch, in batches of nearly equal size.

    The images of a step are a function of (seed, epoch, step), as with pairs. Batches have nearly equal size
    because a smaller last batch could hold a single image, which is not enough for batch normalisation.

    Args:
        rows: `(n,)` store rows.
        classes: `(n,)` class numbers.
        batch_size: Largest number of images in the global batch.
        seed: Seed of the run.
    """

    aligned = False

    def __init__(self, rows: Rows, classes: NDArray[np.int64], *, batch_size: int, seed: int) -> None:
        self.rows, self.classes = rows, classes
        self.batch_size, self.seed = batch_size, seed

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return -(-len(self.rows) // self.batch_size)

    @property
    def images_per_epoch(self) -> int:
        """Images per epoch: each image once."""
        return len(self.rows)

    def batch(self, epoch: int, step: int) -> PairBatch:
        """The images of a step: part number `step` of the epoch's order."""
        order = np.random.default_rng([self.seed, epoch, 3]).permutation(len(self.rows))
        at = np.array_split(order, self.steps)[step]
        nothing = np.empty(0, dtype=np.int64)
        return PairBatch.whole(self.rows[at], self.classes[at], nothing, nothing)
