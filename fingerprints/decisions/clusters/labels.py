"""Names of clusters, and several labellings of the same images: aligned, and counted as votes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from fingerprints.core.errors import FingerprintsError

Labels = NDArray[np.str_]


def cluster_names(codes: NDArray[np.integer]) -> NDArray[np.str_]:
    """`(n,)` names `cluster_1`, ... of `(n,)` codes; the first image is in `cluster_1`."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(1, len(first) + 1)
    return np.char.add("cluster_", rank[inverse].astype(str))


def renamed(labels: Labels) -> Labels:
    """The same clusters, named by first occurrence again: one may have vanished."""
    return cluster_names(np.unique(labels, return_inverse=True)[1])


def align(labels: Labels, reference: Labels) -> Labels:
    """`(n,)` labels renamed to those of the reference that they agree with best.

    The Hungarian method pairs names one to one; a name that is left over takes the reference's name that
    it overlaps most with.
    """
    names, codes = np.unique(labels, return_inverse=True)
    targets, target_codes = np.unique(reference, return_inverse=True)
    table = np.zeros((len(names), len(targets)), dtype=np.int64)
    np.add.at(table, (codes, target_codes), 1)
    chosen = table.argmax(axis=1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    chosen[rows] = columns
    return targets[chosen[codes]]


def majority(labels: Sequence[Labels]) -> Labels:
    """`(n,)` most frequent of several labels of each unit; a tie goes to the first voter that is in it.

    Raises:
        FingerprintsError: If there is no voter, or they do not speak of the same number of units.
    """
    if len({len(voter) for voter in labels}) != 1:
        raise FingerprintsError(
            f"A vote needs labels of the same units; there are {[len(voter) for voter in labels]}.",
            where="votes",
            fix="give at least one array of labels, all of one length",
        )
    table = np.stack([np.asarray(voter, dtype=str) for voter in labels])
    support = (table[:, None, :] == table[None, :, :]).sum(axis=1)  # votes for what each voter says
    return table[support.argmax(axis=0), np.arange(table.shape[1])]


def vote(clusterings: Sequence[Labels]) -> Labels:
    """Majority of several clusterings after each is aligned with the first."""
    return majority([clusterings[0], *(align(labels, clusterings[0]) for labels in clusterings[1:])])
