"""Names of clusters; aligning several labellings of the same images, and voting between them."""

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
    """The same clusters, named again by first occurrence, because a cluster may have disappeared."""
    return cluster_names(np.unique(labels, return_inverse=True)[1])


def align(labels: Labels, reference: Labels) -> Labels:
    """`(n,)` labels renamed to the reference labels that they agree with best.

    The Hungarian method pairs names one to one; each name without a partner gets the reference name that it
    overlaps with most.
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
    """`(n,)` most frequent label of each unit; if labels tie, the one of the earliest voter wins.

    Raises:
        FingerprintsError: If there is no voter, or voters have different numbers of units.
    """
    if len({len(voter) for voter in labels}) != 1:
        raise FingerprintsError(
            f"All voters must label the same units; numbers of labels: {[len(voter) for voter in labels]}.",
            where="votes",
            fix="give at least one array of labels, all of the same length",
        )
    table = np.stack([np.asarray(voter, dtype=str) for voter in labels])
    support = (table[:, None, :] == table[None, :, :]).sum(axis=1)  # votes for the label of each voter
    return table[support.argmax(axis=0), np.arange(table.shape[1])]


def vote(clusterings: Sequence[Labels]) -> Labels:
    """Majority of several clusterings; each is first aligned with the first one."""
    return majority([clusterings[0], *(align(labels, clusterings[0]) for labels in clusterings[1:])])
