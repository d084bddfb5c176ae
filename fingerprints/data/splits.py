"""Splits by group, stratified by label, seeded: a group is never divided."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import Task
from fingerprints.data.settings import DataSettings


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


def split_training(
    table: pd.DataFrame, task: Task, settings: DataSettings, notes: list[str], *, seed: int
) -> None:
    """Hold out one fold or a share by group; small `usage` parts get folds. Per generator and domain.

    Args:
        table: As in `Index`; its `split` and `fold` are filled in.
        task: The task.
        settings: The share, or the folds.
        notes: A smaller number of folds is added here.
        seed: Of the random order of groups.

    Raises:
        FingerprintsError: If the groups cannot be divided so.
    """
    generators = table["generator"].unique() if task.by_generator else [None]
    for generator in generators:
        own = table["split"] == "train"
        if generator is not None:
            own &= table["generator"] == generator
        labelled = own & (table["domain"] == task.unit) & (table["label"] != "")
        small = task.unit == "real" and int(labelled.sum()) < settings.folds_below
        parts = [table[own & (table["domain"] == domain)] for domain in ("real", "generated")]
        folds_wanted = settings.folds
        if small or settings.fold is not None:
            folds_wanted = _folds(parts, settings, notes)
        for part in parts:
            if part.empty:
                continue
            labels, groups = part["label"].tolist(), part["group"].tolist()
            if settings.fold is not None:
                folds = k_folds(labels, groups, k=folds_wanted, seed=seed)
                held = folds == settings.fold
                _require_labels(part["label"], held, settings)
                table.loc[part.index[held], "split"] = "validation"
            elif small:
                table.loc[part.index, "fold"] = k_folds(labels, groups, k=folds_wanted, seed=seed)
            elif settings.validation > 0:
                held = hold_out(labels, groups, fraction=settings.validation, seed=seed)
                table.loc[part.index[held], "split"] = "validation"


def _folds(parts: Sequence[pd.DataFrame], settings: DataSettings, notes: list[str]) -> int:
    """Number of folds, at least 2: the setting or, if smaller, the fewest groups of a label (with a note)."""
    fewest = min(fewest_groups(part["label"].tolist(), part["group"].tolist()) for part in parts if len(part))
    if fewest >= settings.folds:
        return settings.folds
    folds = max(2, fewest)
    if settings.fold is not None and settings.fold >= folds:
        raise FingerprintsError(
            f"There is no fold {settings.fold}: the label with the fewest groups (patients) has {fewest}, "
            f"so there are only {folds} folds.",
            where="data.fold",
            fix=f"choose data.fold=0 to {folds - 1}, or give finer groups (data.groups=CSV)",
        )
    note = f"{folds} folds instead of {settings.folds}: a label has only {fewest} groups (patients)"
    if note not in notes:
        notes.append(note)
    return folds


def _require_labels(labels: pd.Series, held: NDArray[np.bool_], settings: DataSettings) -> None:
    """Check that each label is in the fold and in the rest; large groups can prevent this."""
    lacking = sorted(set(labels[held]) ^ set(labels[~held]))
    if lacking:
        raise FingerprintsError(
            f"Fold {settings.fold} of {settings.folds} cannot have label(s) {', '.join(lacking)} both inside "
            "and outside the fold: their groups are too few or too large.",
            where="data.fold",
            fix="use fewer folds (data.folds=N), another seed, or finer groups (data.groups=CSV)",
        )
