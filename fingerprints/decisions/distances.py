"""Distances between sets of vectors, block by block: the full n x m matrix is never in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import gen_batches

Vectors = NDArray[np.floating]
CELLS = 16_000_000  # distances held at a time


def euclidean(left: Vectors, right: Vectors) -> NDArray[np.float32]:
    """Cell [i, j] is the Euclidean distance of `left[i]` to `right[j]`; `(a, d), (b, d)` -> `(a, b)`."""
    return euclidean_distances(left, right).astype(np.float32, copy=False)


def distance_to_set(
    queries: Vectors,
    references: Vectors,
    *,
    nearest: int | None,
    leave_one_out: bool = False,
    scales: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """Mean distance from each query to its `nearest` references, or to all references.

    Args:
        queries: `(n, d)`.
        references: `(m, d)`.
        nearest: Number of nearest references to use; `None`, or more than m, uses all.
        leave_one_out: `queries` are the references themselves: row i is not its own neighbour.
        scales: `(m,)` positive numbers; distances to each reference are first divided by its number.

    Returns:
        `(n,)` distances.
    """
    out = np.empty(len(queries), dtype=np.float32)
    available = len(references) - leave_one_out
    count = available if nearest is None else min(nearest, available)
    # As many rows at a time as `CELLS` distances allow.
    for rows in gen_batches(len(queries), max(1, CELLS // max(1, len(references)))):
        distances = euclidean(queries[rows], references)
        if scales is not None:
            distances /= scales[None, :].astype(np.float32)
        if leave_one_out:
            distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = np.inf
        if count < distances.shape[1]:
            distances = np.partition(distances, count - 1, axis=1)[:, :count]
        out[rows] = distances.mean(axis=1)
    return out
