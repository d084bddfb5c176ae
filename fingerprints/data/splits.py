"""Splits by group, stratified by label, seeded: a group is never divided."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from fingerprints.core.errors import FingerprintsError


def hold_out(
    labels: Sequence[str], groups: Sequence[str], *, fraction: float, seed: int
) -> NDArray[np.bool_]:
    """Hold out whole groups for validation, as close to `fraction` of each label as the groups allow.

    Groups are visited in a seeded random order. A group is taken if this brings the held-out counts closer
    to their targets. For a label without a held-out image, its smallest group is taken.

    Returns:
        `(n,)` mask, true where held out.

    Raises:
        FingerprintsError: If a label has only one group, which cannot be divided.
    """
    label_names, label_codes = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    group_names, group_codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    counts = np.zeros((len(group_names), len(label_names)), dtype=np.int64)
    np.add.at(counts, (group_codes, label_codes), 1)
    _require_groups(counts, label_names, wanted=2)

    total = counts.sum(axis=0)
    target = (fraction * total).tolist()
    held = np.zeros(len(label_names))
    chosen = np.zeros(len(group_names), dtype=bool)
    order = np.random.default_rng([seed, 0x5EED]).permutation(len(group_names))
    rows = counts.tolist()  # for tens of thousands of groups, a loop over Python numbers is much faster
    for group in order.tolist():
        nearer, fits = 0.0, True
        for label, count in enumerate(rows[group]):
            if count:
                after = held[label] + count
                nearer += abs(held[label] - target[label]) - abs(after - target[label])
                fits = fits and after < total[label]
        if nearer > 1e-9 and fits:
            chosen[group] = True
            held += counts[group]
    for label in range(len(label_names)):
        if held[label] > 0:
            continue
        candidates = [g for g in order if counts[g, label] and np.all(held + counts[g] < total)]
        if not candidates:
            raise FingerprintsError(
                f"Label '{label_names[label]}' cannot be held out by group: its groups contain all "
                "images of another label.",
                where="groups",
                fix="give finer groups (data.groups=CSV)",
            )
        smallest = min(candidates, key=lambda g: counts[g].sum())
        chosen[smallest] = True
        held = held + counts[smallest]
    return chosen[group_codes]


def k_folds(labels: Sequence[str], groups: Sequence[str], *, k: int, seed: int) -> NDArray[np.int64]:
    """`(n,)` fold numbers `0..k-1`; groups are not divided, and label shares are as even as possible.

    Raises:
        FingerprintsError: If a label has fewer groups than folds.
    """
    label_names, label_codes = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    group_names, group_codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    counts = np.zeros((len(group_names), len(label_names)), dtype=np.int64)
    np.add.at(counts, (group_codes, label_codes), 1)
    _require_groups(counts, label_names, wanted=k)
    folds = np.full(len(label_codes), -1, dtype=np.int64)
    # If every image is its own group, the plain splitter gives equally even folds in much less time.
    alone = len(group_names) == len(group_codes)
    kind = StratifiedKFold if alone else StratifiedGroupKFold
    splitter = kind(n_splits=k, shuffle=True, random_state=seed)
    rows = np.zeros((len(label_codes), 1))
    for fold, (_, held) in enumerate(splitter.split(rows, label_codes, None if alone else group_codes)):
        folds[held] = fold
    return folds


def fewest_groups(labels: Sequence[str], groups: Sequence[str]) -> int:
    """Number of groups of the label with the fewest groups."""
    pairs = np.unique(np.array([labels, groups], dtype=str), axis=1)
    return int(np.unique(pairs[0], return_counts=True)[1].min())


def _require_groups(counts: NDArray[np.int64], label_names: NDArray, *, wanted: int) -> None:
    groups_per_label = (counts > 0).sum(axis=0)
    if np.any(groups_per_label < wanted):
        label = int(np.argmin(groups_per_label))
        raise FingerprintsError(
            f"Label '{label_names[label]}' has {groups_per_label[label]} group(s); a split by group "
            f"needs at least {wanted}.",
            where="groups",
            fix="give finer groups (data.groups=CSV) or more patients, or use fewer folds (data.folds=N)",
        )
