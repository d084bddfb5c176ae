"""Groups: patients, or near-duplicate clusters as a substitute; splits and intervals never divide a group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.data.names import find, spellings, with_candidates
from fingerprints.data.tables import Row, first_is_header, read_rows

THUMBNAIL = 16
SHOWN = 20
"""Images in a message for which rows that they could mean are looked up."""


class GroupTable(NamedTuple):
    """The groups of images, as a table gives them.

    Attributes:
        table: Name of the file.
        groups: The group of each image, `None` if it has no row. An image with an empty cell is alone in its
            group.
        alone: Positions of the images with an empty cell.
        unmatched: Number of rows that match no image.
        files: The files of all rows.
    """

    table: str
    groups: list[str | None]
    alone: list[int]
    unmatched: int
    files: list[str]

    def lacking(self, names: Sequence[str], *, needed: Collection[str] | None = None) -> list[str]:
        """The images without a row, for messages, with the rows that they could mean.

        Args:
            names: As they were given to `read_groups`.
            needed: The names that must have a row; by default all.
        """
        missing = [name for name, group in zip(names, self.groups, strict=True) if group is None]
        missing = [name for name in missing if needed is None or name in needed]
        return [*(with_candidates(name, self.files) for name in missing[:SHOWN]), *missing[SHOWN:]]

    def notes(self, *, alone: str = "each is a group of its own") -> list[str]:
        """What the user should know about the table; `alone` says what is done with empty cells."""
        found = [f"{self.unmatched:,} row(s) of {self.table} match no image"] if self.unmatched else []
        if self.alone:
            found.append(f"{len(self.alone):,} image(s) have an empty group in {self.table}: {alone}")
        return found


def read_groups(
    path: Path, names: Sequence[str], *, shared: bool = True, give: str = "give an existing file: groups=CSV"
) -> GroupTable:
    """Read the group of each image from a table with two columns, file and group; a header is optional.

    An image matches a row by its path relative to the data root, else by its file name; the image ending is
    optional. A file name matches only if no other row has it, and its row matches no image by path.

    Args:
        path: The table.
        names: Ids, or paths relative to the data root, POSIX style.
        shared: Whether a row that gives only a file name may stand for several images of that name.
        give: How to name another table, for messages.

    Raises:
        FingerprintsError: If the file is missing or bad (`tables.read_rows`), a row has no file or other than
            two fields, or one file has two groups.
    """
    rows = read_rows(path, kind="group table", form="<file>,<group>", give=give)
    headed = first_is_header(rows, names=names)
    _check_rows(rows, headed=headed, path=path)
    given: dict[str, str] = {}
    conflicts = []
    for _, (file, group) in rows[headed:]:
        if given.setdefault(file, group) != group:
            conflicts.append(file)
    files = list(given)
    found = _rows_of(names, files, shared=shared)
    taken = {at for at in found if at is not None}
    used = {spellings(files[at]).path_without_ending: at for at in taken}
    unmatched = 0
    for at, file in enumerate(files):
        same = used.get(spellings(file).path_without_ending)
        if at not in taken and same is None:
            unmatched += 1
        elif at not in taken and given[files[same or 0]] != given[file]:
            conflicts.append(file)
    if conflicts:
        raise FingerprintsError(
            f"The group table gives {len(conflicts)} file(s) two groups:\n{listing(conflicts)}",
            where=path,
            fix="keep one row per file",
        )
    cells = [None if at is None else given[files[at]] for at in found]
    alone = [row for row, cell in enumerate(cells) if cell == ""]
    groups = [f"alone: {name}" if cell == "" else cell for name, cell in zip(names, cells, strict=True)]
    return GroupTable(path.name, groups, alone, unmatched, files)


def _check_rows(rows: Sequence[Row], *, headed: bool, path: Path) -> None:
    if len(rows[0].cells) > 2 and len({len(row.cells) for row in rows}) == 1:
        raise FingerprintsError(
            f"The group table has {len(rows[0].cells)} columns, not 2.",
            where=path,
            fix="keep two columns, file and group",
        )
    problems = []
    for line, cells in rows[headed:]:
        if not any(cells):
            problems.append(f"line {line}: empty")
        elif len(cells) != 2:
            problems.append(f"line {line}: {len(cells)} fields, not 2")
        elif not cells[0]:
            problems.append(f"line {line}: no file")
    if problems:
        raise FingerprintsError(
            f"The group table has {len(problems)} bad line(s):\n{listing(problems)}",
            where=path,
            fix="write lines <file>,<group>; leave the group empty if it is not known",
        )


def _rows_of(names: Sequence[str], files: Sequence[str], *, shared: bool) -> list[int | None]:
    """The row of each image: by path, else by file name."""
    found = find(names, files, by_file=False)
    taken = {at for at in found if at is not None}
    free = [at for at in range(len(files)) if at not in taken]
    lone = [row for row, at in enumerate(found) if at is None]
    if not shared:
        count = Counter(spellings(name).file_without_ending for name in names)
        lone = [row for row in lone if count[spellings(names[row]).file_without_ending] == 1]
    own = Counter(
        key for key, _ in {(s.file_without_ending, s.path_without_ending) for s in map(spellings, files)}
    )
    usable = [at for at in free if own[spellings(files[at]).file_without_ending] == 1]
    for row, at in zip(lone, find([names[row] for row in lone], [files[at] for at in usable]), strict=True):
        found[row] = None if at is None else usable[at]
    return found


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
    means = block_means(images, side=side, block=block)
    out = means.reshape(len(means), -1)
    out -= out.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(out, axis=1, keepdims=True)
    # A constant image gives the zero vector: use a fixed unit vector, so that constant images are alike.
    out[norms[:, 0] < 1e-6, 0] = 1.0
    return (out / np.where(norms < 1e-6, 1.0, norms)).astype(np.float32)


def block_means(images: NDArray[np.uint8], *, side: int, block: int = 1024) -> NDArray[np.float32]:
    """`(n, h, w)` means of blocks of `(n, H, W)` images; h is `side`, or H if it is smaller; w likewise."""
    n, height, width = images.shape
    row_edges = np.linspace(0, height, min(side, height), endpoint=False).astype(int)
    column_edges = np.linspace(0, width, min(side, width), endpoint=False).astype(int)
    out = np.empty((n, len(row_edges), len(column_edges)), dtype=np.float32)
    areas = np.outer(np.diff([*row_edges, height]), np.diff([*column_edges, width]))
    for start in range(0, n, block):
        sums = np.add.reduceat(images[start : start + block].astype(np.float32), row_edges, axis=1)
        out[start : start + block] = np.add.reduceat(sums, column_edges, axis=2) / areas
    return out
