"""Point figures: confusion tables, agreement of partitions, and quality of rankings.

Functions of tables are vectorised over leading axes, so that a thousand tables need one call. Conventions are
scikit-learn's with `zero_division=0`: a ratio with a denominator of 0 is 0.
A figure that is not defined (no image, no second class) is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import xlogy

from fingerprints.core.errors import FingerprintsError, listing

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Labels = Sequence[str] | NDArray[Any]

AVERAGED = ("precision", "recall", "f1", "specificity")
SIGNED = ("kappa", "ari")
"""Figures from -1 to 1; all others are from 0 to 1."""


def encode(labels: Labels, *, classes: Sequence[str]) -> IntArray:
    """The position of every label in `classes`, shape (n,).

    Raises:
        FingerprintsError: If a label is not one of the classes; the message names it.
    """
    array = np.asarray(labels, dtype=str)
    codes = pd.Index(list(classes), dtype=object).get_indexer(pd.Index(array, dtype=object))
    if (codes < 0).any():
        strangers = sorted(set(array[codes < 0].tolist()))
        raise FingerprintsError(
            f"Some labels are not among the classes ({', '.join(classes)}):\n{listing(strangers)}",
            fix="spell the labels like the classes, or add the missing classes",
        )
    return codes.astype(np.int64)


def contingency(
    *, rows: IntArray, columns: IntArray, shape: tuple[int, int], weights: FloatArray | None = None
) -> FloatArray:
    """Cell [i][j] = weight of the images with row code i and column code j, float64, shape `shape`."""
    cells = np.bincount(rows * shape[1] + columns, weights=weights, minlength=shape[0] * shape[1])
    return cells.reshape(shape).astype(np.float64)


def confusion(*, truth: Labels, predicted: Labels, classes: Sequence[str]) -> IntArray:
    """Cell [i][j] = number of images of class i that were predicted as j; int64, shape (C, C).

    Raises:
        FingerprintsError: If a label is not one of the classes.
    """
    size = len(classes)
    rows, columns = encode(truth, classes=classes), encode(predicted, classes=classes)
    return contingency(rows=rows, columns=columns, shape=(size, size)).astype(np.int64)


def _ratio(above: FloatArray, below: FloatArray, undefined: float = 0.0) -> FloatArray:
    """`above / below`, or `undefined` where the denominator is 0."""
    out = np.full(np.broadcast_shapes(above.shape, below.shape), undefined)
    np.divide(above, below, out=out, where=below != 0)
    return out


def from_confusion(
    matrix: NDArray[Any], *, classes: Sequence[str] | None = None, positive: str | None = None
) -> dict[str, FloatArray]:
    """Every figure that can be computed from a confusion table.

    Averages include all C classes. A class that occurs in neither truth nor answers counts as 0 (as in
    scikit-learn with `labels=classes, zero_division=0`), so that a figure has the same meaning without
    any of the groups. Specificity of a class is the recall of "not this class".

    Args:
        matrix: Counts or weights, shape (..., C, K) with K >= C, rows = truth. Columns past C are
            answers that are not among the classes: they lower the recall of their row, and no precision.
        classes: The names of the rows; needed with `positive`.
        positive: A class whose own figures are returned too.

    Returns:
        Arrays of shape (...): `accuracy`, the macro averages `precision`, `recall`, `f1`,
        `specificity` (all in [0, 1]), the same weighted by support as `<name>_weighted`, those of the
        one class as `<name>_<positive>`, and Cohen's `kappa` in [-1, 1]. Kappa is 0 if all answers are
        the same class, and NaN if truth and answers consist of the same single class. An empty table
        gives NaN everywhere.
    """
    table = np.asarray(matrix, dtype=np.float64)
    size = table.shape[-2]
    if table.shape[-1] < size:
        raise ValueError(f"a confusion table needs a column for each class, not the shape {table.shape}")
    hits = np.diagonal(table, axis1=-2, axis2=-1)
    support = table.sum(axis=-1)
    called = table.sum(axis=-2)[..., :size]
    total = support.sum(axis=-1)
    others = total[..., None] - support
    by_class = {
        "precision": _ratio(hits, called),
        "recall": _ratio(hits, support),
        "f1": _ratio(2 * hits, support + called),
        "specificity": _ratio(others - (called - hits), others),
    }
    figures = {"accuracy": _ratio(hits.sum(axis=-1), total)}
    figures |= {name: by_class[name].mean(axis=-1) for name in AVERAGED}
    for name in AVERAGED:
        figures[f"{name}_weighted"] = _ratio((support * by_class[name]).sum(axis=-1), total)
    if positive is not None:
        if classes is None:
            raise ValueError("a positive class needs the names of the classes")
        column = list(classes).index(positive)
        figures |= {f"{name}_{positive}": by_class[name][..., column] for name in AVERAGED}
    # Cohen 1960, computed from counts so that integers stay exact: (n tr - e) / (n^2 - e).
    chance = (support * called).sum(axis=-1)
    figures["kappa"] = _ratio(total * hits.sum(axis=-1) - chance, total**2 - chance, undefined=np.nan)
    return {name: np.where(total > 0, values, np.nan) for name, values in figures.items()}


def table_ari(table: NDArray[Any]) -> FloatArray:
    """Adjusted Rand index (Hubert and Arabie 1985) of contingency tables (..., C, K) -> (...).

    In [-0.5, 1], 0 by chance. Two partitions with a single part each are equal, as are two partitions
    with one image in each part: 1.
    """
    counts = np.asarray(table, dtype=np.float64)
    rows, columns, total = counts.sum(axis=-1), counts.sum(axis=-2), counts.sum(axis=(-2, -1))
    together = (counts * (counts - 1)).sum(axis=(-2, -1)) / 2
    in_rows = (rows * (rows - 1)).sum(axis=-1) / 2
    in_columns = (columns * (columns - 1)).sum(axis=-1) / 2
    expected = _ratio(in_rows * in_columns, total * (total - 1) / 2)
    most = (in_rows + in_columns) / 2
    return np.where(total > 0, _ratio(together - expected, most - expected, undefined=1.0), np.nan)


def _entropy(counts: FloatArray) -> FloatArray:
    """Entropy in nats of the last axis."""
    share = _ratio(counts, counts.sum(axis=-1, keepdims=True))
    return np.asarray(-xlogy(share, share).sum(axis=-1), dtype=np.float64)


def table_nmi(table: NDArray[Any]) -> FloatArray:
    """Normalised mutual information (arithmetic mean of entropies) of tables (..., C, K) -> (...).

    In [0, 1]; not adjusted for chance, so that it is above 0 for unrelated partitions. Two
    partitions with a single part each are equal: 1.
    """
    counts = np.asarray(table, dtype=np.float64)
    rows, columns, total = counts.sum(axis=-1), counts.sum(axis=-2), counts.sum(axis=(-2, -1))
    row_entropy, column_entropy = _entropy(rows), _entropy(columns)
    information = row_entropy + column_entropy - _entropy(counts.reshape(*counts.shape[:-2], -1))
    # Without any information, rounding gives about 1e-16 instead of 0, of either sign.
    information = np.where(information < 1e-14, 0.0, information)
    value = np.minimum(_ratio(information, (row_entropy + column_entropy) / 2, undefined=1.0), 1.0)
    return np.where(total > 0, value, np.nan)


def _partition_table(truth: Labels, predicted: Labels) -> FloatArray:
    parts, rows = np.unique(np.asarray(truth, dtype=str), return_inverse=True)
    clusters, columns = np.unique(np.asarray(predicted, dtype=str), return_inverse=True)
    return contingency(rows=rows, columns=columns, shape=(len(parts), len(clusters)))


def ari(*, truth: Labels, predicted: Labels) -> float:
    """Adjusted Rand index of two labellings of n images; names do not matter."""
    return float(table_ari(_partition_table(truth, predicted)))


def nmi(*, truth: Labels, predicted: Labels) -> float:
    """Normalised mutual information of two labellings of n images; names do not matter."""
    return float(table_nmi(_partition_table(truth, predicted)))


def match_columns(table: NDArray[Any]) -> FloatArray:
    """A table of clusters (C, K) with its columns in the order that agrees best with its rows.

    The Hungarian method assigns one column to every row. Remaining clusters follow as columns after
    the first C; a class without a cluster gets a column of zeros. Shape (C, max(C, K)).
    """
    counts = np.asarray(table, dtype=np.float64)
    padded, order = best_order(counts)
    return np.asarray(padded[:, order], dtype=np.float64)


def best_order(counts: FloatArray) -> tuple[FloatArray, IntArray]:
    """A table (C, K) padded to at least C columns, and the column order that agrees best with the rows."""
    padded = np.pad(counts, ((0, 0), (0, max(0, counts.shape[0] - counts.shape[1]))))
    _, columns = linear_sum_assignment(padded, maximize=True)
    rest = np.setdiff1d(np.arange(padded.shape[1]), columns)
    return padded, np.concatenate([columns, rest]).astype(np.int64)


def matched_confusion(
    *, truth: Labels, clusters: Labels, classes: Sequence[str]
) -> tuple[IntArray, list[str]]:
    """Images of each class in each cluster, with the clusters in the order that agrees best.

    Returns:
        int64 `(C, max(C, K))`, where column j < C is matched to class j; and the names of the columns, ""
        for a column without a cluster.

    Raises:
        FingerprintsError: If a true label is not one of the classes.
    """
    names, columns = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    table = contingency(
        rows=encode(truth, classes=classes), columns=columns, shape=(len(classes), len(names))
    )
    padded, order = best_order(table)
    return padded[:, order].astype(np.int64), [str(names[i]) if i < len(names) else "" for i in order]


def score_ranks(scores: NDArray[Any]) -> IntArray:
    """Dense ranks (n,) from 0 for the lowest score; equal scores share one."""
    return np.unique(scores, return_inverse=True)[1].astype(np.int64)


def weight_below(*, ranks: IntArray, weights: FloatArray) -> FloatArray:
    """For every image the weight of those with a lower score plus half of those with the same, (n,)."""
    blocks = np.bincount(ranks, weights=weights)
    return np.asarray((np.cumsum(blocks) - blocks / 2)[ranks], dtype=np.float64)


def area(*, below: float, mass: float, total: float) -> float:
    """Mann-Whitney's AUC from sums of weights; NaN without a positive or without a negative.

    Positives below positives add up to half of their squared weight in any order. Subtracting this
    leaves the negatives below positives, where ties count as half.

    Args:
        below: Weight of each positive times its `weight_below`, summed.
        mass: Weight of the positives.
        total: Weight of all images.
    """
    pairs = mass * (total - mass)
    return float((below - mass**2 / 2) / pairs) if pairs > 0 else float("nan")


def auc(*, positive: BoolArray, scores: NDArray[Any], weights: FloatArray | None = None) -> float:
    """Area under the ROC curve: probability that a positive outscores a negative; ties count as half.

    Args:
        positive: Which images are positive, shape (n,); or one column for each class, shape (n, C).
        scores: Higher = more likely positive, same shape. With columns the result is the macro
            average one-vs-rest over the classes that have a positive and a negative.
        weights: How often each image counts, shape (n,); once by default.

    Returns:
        In [0, 1], 0.5 by chance; NaN if no column has both.
    """
    mass = np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=np.float64)
    areas = []
    for column, score in zip(
        positive.reshape(len(scores), -1).T, scores.reshape(len(scores), -1).T, strict=True
    ):
        below = weight_below(ranks=score_ranks(score), weights=mass)
        positives = mass * column
        areas.append(
            area(
                below=float((positives * below).sum()),
                mass=float(positives.sum()),
                total=float(mass.sum()),
            )
        )
    return mean_of_defined(areas)


def mean_of_defined(values: Sequence[float]) -> float:
    """Mean of those that are not NaN; NaN if none is."""
    defined = [value for value in values if not np.isnan(value)]
    return sum(defined) / len(defined) if defined else float("nan")


def ranked_roc(
    *, ranks: IntArray, positive_weights: FloatArray, negative_weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Weight of negatives and of positives at or above each distinct score, highest first.

    Both start at 0 (no image is called positive) and have one entry more than there are distinct scores.
    """
    negatives = np.bincount(ranks, weights=negative_weights)[::-1]
    positives = np.bincount(ranks, weights=positive_weights)[::-1]
    return np.concatenate([[0.0], np.cumsum(negatives)]), np.concatenate([[0.0], np.cumsum(positives)])


def roc_curve(
    *, positive: BoolArray, scores: NDArray[Any], weights: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The ROC curve with one point for each distinct score, none dropped.

    Returns:
        False positive rates, true positive rates (both rising from 0 to 1; NaN without negatives or
        positives), and the thresholds (falling from infinity; an image at the threshold is called
        positive), each of shape (distinct scores + 1,).
    """
    mass = np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=np.float64)
    false, true = ranked_roc(
        ranks=score_ranks(scores), positive_weights=mass * positive, negative_weights=mass * ~positive
    )
    thresholds = np.concatenate([[np.inf], np.unique(scores)[::-1]])
    undefined = np.full(false.shape, np.nan)
    return (
        false / false[-1] if false[-1] > 0 else undefined,
        true / true[-1] if true[-1] > 0 else undefined,
        thresholds,
    )


def allowed_false(*, negatives: int, fpr: float) -> int:
    """False positives of the threshold for a false positive rate: floor(fpr (m + 1)) - 1 of m negatives.

    A positive that is exchangeable with the negatives then exceeds the threshold with a probability of at
    most `fpr`; with floor(fpr m), it would with up to twice of that (100 negatives: 0.02 instead of 0.01).
    Below 0 there is no such threshold.
    """
    return int(fpr * (negatives + 1) + 1e-9) - 1


def rate_at(*, false: FloatArray, true: FloatArray, allowed: int) -> float:
    """Highest share of positives above a threshold with at most that many false positives.

    Args:
        false: As `ranked_roc` returns them, with the next one.
        true: Positives at or above each distinct score.
        allowed: False positives.
    """
    if true[-1] == 0 or allowed < 0:
        return float("nan")
    return float(true[np.searchsorted(false, allowed + 0.5) - 1] / true[-1])


def tpr_at_fpr(*, positive: BoolArray, scores: NDArray[Any], fpr: float = 0.01) -> float:
    """Highest true positive rate of a threshold with `allowed_false` false positives.

    A step of the empirical ROC curve, without interpolation: an existing threshold has this rate
    (Carlini et al. 2022, "Membership inference attacks from first principles").

    Returns:
        In [0, 1]; NaN without a positive, or with too few negatives for such a threshold.
    """
    false, true = ranked_roc(
        ranks=score_ranks(scores),
        positive_weights=positive.astype(np.float64),
        negative_weights=(~positive).astype(np.float64),
    )
    return rate_at(false=false, true=true, allowed=allowed_false(negatives=int((~positive).sum()), fpr=fpr))
