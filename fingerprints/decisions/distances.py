"""Distances between sets of vectors, block by block: the full n x m matrix is never in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.floating]


def euclidean(left: Vectors, right: Vectors) -> NDArray[np.float32]:
    """Cell [i, j] is the Euclidean distance from `left[i]` to `right[j]`; `(a, d), (b, d)` -> `(a, b)`."""
    squared = (left**2).sum(1)[:, None] + (right**2).sum(1)[None, :] - 2.0 * left @ right.T
    return np.sqrt(np.maximum(squared, 0.0)).astype(np.float32)


def blocks(
    left: Vectors, right: Vectors, *, cells: int = 16_000_000
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Distances from blocks of left rows to all right rows, at most `cells` values at a time."""
    step = max(1, cells // max(1, len(right)))
    for start in range(0, len(left), step):
        rows = slice(start, min(start + step, len(left)))
        yield rows, euclidean(left[rows], right)


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
    for rows, distances in blocks(queries, references):
        if scales is not None:
            distances /= scales[None, :].astype(np.float32)
        if leave_one_out:
            distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = np.inf
        if count < distances.shape[1]:
            distances = np.partition(distances, count - 1, axis=1)[:, :count]
        out[rows] = distances.mean(axis=1)
    return out
