"""Groups: patients, or near-duplicate clusters as a substitute; splits and intervals never divide a group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.data.layout import IMAGE_SUFFIXES

THUMBNAIL = 16


def read_groups(
    path: Path, names: Sequence[str], *, by_file_name: bool = True
) -> tuple[list[str | None], int]:
    """Read the group of each image from a CSV with two columns, file and group; their names do not matter.

    An image matches by its path relative to the data root (the extension is optional), else by its file
    name if that is unique in the CSV.

    Args:
        path: The CSV file.
        names: Relative paths, POSIX style.
        by_file_name: Whether an image may match by its file name alone.

    Returns:
        A group or `None` for each name, and the number of rows of the CSV that matched no image.

    Raises:
        FingerprintsError: If the file is missing, is not a table of two columns, or gives one file
            two groups.
    """
    if not path.is_file():
        raise FingerprintsError(
            "The group table does not exist.",
            where=path,
            fix="give an existing file (data.groups=CSV), or leave data.groups out",
        )
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise FingerprintsError(
            f"The group table cannot be read: {error}",
            where=path,
            fix="give a CSV with a header and two columns, file and group",
        ) from error
    columns = table.shape[1] + (not isinstance(table.index, pd.RangeIndex))  # pandas hides a surplus field
    if columns != 2:
        raise FingerprintsError(
            f"The group table has {columns} columns, not 2.",
            where=path,
            fix="give a CSV with a header and two columns, file and group",
        )
    by_path = _by_path(table, path)
    stems = Counter(key.rsplit("/", 1)[-1] for key in by_path)
    by_name = {key.rsplit("/", 1)[-1]: key for key in by_path if stems[key.rsplit("/", 1)[-1]] == 1}
    used: set[str] = set()
    groups: list[str | None] = []
    for name in names:
        key = _without_suffix(name)
        if key not in by_path and by_file_name:
            key = by_name.get(key.rsplit("/", 1)[-1], "")
        groups.append(by_path.get(key))
        used.add(key)
    return groups, len(by_path.keys() - used)


def _by_path(table: pd.DataFrame, path: Path) -> dict[str, str]:
    """Group of each file, by path without extension.

    Raises:
        FingerprintsError: If a file has two groups.
    """
    by_path: dict[str, str] = {}
    conflicts = []
    for file, group in zip(table.iloc[:, 0], table.iloc[:, 1], strict=True):
        key = _without_suffix(str(file).strip().replace("\\", "/").removeprefix("./"))
        if not key:
            continue
        if by_path.setdefault(key, str(group)) != str(group):
            conflicts.append(file)
    if conflicts:
        raise FingerprintsError(
            f"The group table gives {len(conflicts)} file(s) two groups:\n{listing(conflicts)}",
            where=path,
            fix="keep one row per file",
        )
    return by_path


def _without_suffix(name: str) -> str:
    head, _, suffix = name.rpartition(".")
    return head if f".{suffix.lower()}" in IMAGE_SUFFIXES else name


def near_duplicate_groups(
    images: NDArray[np.uint8], *, threshold: float, block: int = 2048
) -> NDArray[np.int64]:
    """Clusters of near-duplicate images, as substitutes for patients.

    Two images are linked when the correlation of their 16 x 16 thumbnails is at least `threshold`;
    a cluster is a connected component (single linkage: a chain of neighbouring slices is one cluster).

    Args:
        images: `(n, H, W)` uint8.
        threshold: Correlation in (0, 1].
        block: Side of the tiles in which the `n x n` correlation matrix is computed, to save memory.

    Returns:
        `(n,)` cluster numbers, in order of first appearance.
    """
    vectors = thumbnails(images)
    return near_duplicate_clusters(vectors, threshold=threshold, block=block)


def near_duplicate_clusters(
    vectors: NDArray[np.float32], *, threshold: float, block: int = 2048
) -> NDArray[np.int64]:
    """The clusters of `near_duplicate_groups`, from the thumbnails of the images."""
    n = len(vectors)
    component = np.arange(n)
    for i, j, _ in near_pairs(vectors, threshold=threshold, block=block):
        # Link the clusters found so far, so that memory does not grow with the number of pairs.
        links = coo_array((np.ones(len(i), dtype=bool), (component[i], component[j])), shape=(n, n))
        _, merged = connected_components(links, directed=False)
        component = merged[component]
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def near_pairs(
    vectors: NDArray[np.float32], *, threshold: float, block: int = 2048
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
    """Pairs of images whose thumbnails correlate by at least `threshold`, found tile by tile.

    Args:
        vectors: `(n, d)` thumbnails, as `thumbnails` makes them.
        threshold: Correlation in (0, 1]; 1 means equal up to rounding.
        block: Side of the tiles in which the `n x n` correlation matrix is computed, to save memory.

    Yields:
        For each tile that has pairs: rows `i < j` and their correlation, each `(pairs,)`. Every pair occurs
        once.
    """
    n, least = len(vectors), min(threshold, 1 - 1e-5)
    for top in range(0, n, block):
        for left in range(top, n, block):
            near = vectors[top : top + block] @ vectors[left : left + block].T
            found = near >= least
            i, j = np.nonzero(np.triu(found, 1) if top == left else found)
            if len(i):
                yield i + top, j + left, near[i, j]


def thumbnails(images: NDArray[np.uint8], *, side: int = THUMBNAIL, block: int = 1024) -> NDArray[np.float32]:
    """`(n, side^2)` block means of the images, centred and of unit length (correlation = dot product).

    Images smaller than `side` keep their size.
    """
    n, height, width = images.shape
    row_edges = np.linspace(0, height, min(side, height), endpoint=False).astype(int)
    column_edges = np.linspace(0, width, min(side, width), endpoint=False).astype(int)
    out = np.empty((n, len(row_edges) * len(column_edges)), dtype=np.float32)
    areas = np.outer(np.diff([*row_edges, height]), np.diff([*column_edges, width]))
    for start in range(0, n, block):
        sums = np.add.reduceat(images[start : start + block].astype(np.float32), row_edges, axis=1)
        sums = np.add.reduceat(sums, column_edges, axis=2)
        out[start : start + block] = (sums / areas).reshape(len(sums), -1)
    out -= out.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(out, axis=1, keepdims=True)
    # A constant image gives the zero vector: use a fixed unit vector, so that constant images are alike.
    out[norms[:, 0] < 1e-6, 0] = 1.0
    return (out / np.where(norms < 1e-6, 1.0, norms)).astype(np.float32)
