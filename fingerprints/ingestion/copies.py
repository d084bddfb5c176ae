"""Identical and near-duplicate pictures in different groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fingerprints.data.groups import near_pairs
from fingerprints.ingestion.read import Picture

PAIRS_KEPT = 100_000  # keep at most this many near-duplicate pairs, the most similar ones


def near_duplicates(
    pictures: Sequence[Picture], *, threshold: float
) -> tuple[list[tuple[int, int, float]], int]:
    """Near-duplicate pairs of pictures in different groups.

    Returns:
        Row, row and thumbnail correlation of the most similar pairs, most similar first, and the total
        number of pairs.
    """
    vectors = np.array([picture.thumbnail for picture in pictures])
    groups = np.unique([picture.group for picture in pictures], return_inverse=True)[1]
    count = 0
    kept: tuple[NDArray, ...] = (np.empty(0, int), np.empty(0, int), np.empty(0, np.float32))
    for i, j, r in near_pairs(vectors, threshold=threshold):
        across = groups[i] != groups[j]
        count += int(across.sum())
        kept = tuple(
            np.concatenate(both) for both in zip(kept, (i[across], j[across], r[across]), strict=True)
        )
        order = np.lexsort((kept[1], kept[0], -kept[2]))[:PAIRS_KEPT]
        kept = tuple(column[order] for column in kept)
    return [(i, j, min(r, 1.0)) for i, j, r in zip(*(column.tolist() for column in kept), strict=True)], count


def identical(pictures: Sequence[Picture]) -> dict[str, int]:
    """`copies`: pictures equal to an earlier one; `across_groups`: pictures with a copy in another group."""
    groups: dict[bytes, set[str]] = {}
    for picture in pictures:
        groups.setdefault(picture.digest, set()).add(picture.group)
    return {
        "copies": len(pictures) - len(groups),
        "across_groups": sum(len(groups[picture.digest]) > 1 for picture in pictures),
    }
