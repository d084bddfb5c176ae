"""Answers as numbers: coded, without each group in turn, and with labels permuted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import Task
from fingerprints.evidence.estimates import MIN_NON_MEMBERS
from fingerprints.evidence.metrics import (
    BoolArray,
    FloatArray,
    IntArray,
    Labels,
    allowed_false,
    area,
    best_order,
    contingency,
    encode,
    mean_of_defined,
    ranked_roc,
    rate_at,
    score_ranks,
    weight_below,
)

BLOCKS = 200
"""Most values of a jackknife; their number hardly changes an interval, but takes time."""


@dataclass(frozen=True, eq=False)
class CodedAnswers:
    """Coded images, sorted, so that the input order has no influence.

    `ranks` holds one column of dense score ranks for each class in `scored`. `places` holds the share of
    each class (row) that each answer (column) stands for if clusters are not matched to classes.
    """

    truth: IntArray
    predicted: IntArray
    group: IntArray
    ranks: list[IntArray]
    scored: list[int]
    fprs: list[float]
    position: IntArray
    shape: tuple[int, int]
    places: FloatArray

    @property
    def n_groups(self) -> int:
        """How many groups there are."""
        return int(self.group.max()) + 1

    def groups_of(self, code: int) -> int:
        """How many groups have an image of that class."""
        return len(np.unique(self.group[self.truth == code]))

    @property
    def pure_groups(self) -> BoolArray:
        """Whether all images of a group carry one label, shape (groups,)."""
        pairs = np.unique(np.stack([self.group, self.truth]), axis=1)
        return np.bincount(pairs[0]) == 1

    def matched(self) -> IntArray:
        """The class that the Hungarian method assigns to the cluster of each image; (n,), -1 without one."""
        order = best_order(self.table(self.truth))[1][: self.shape[0]]
        classes = np.full(self.shape[1], -1, dtype=np.int64)
        classes[order] = np.arange(self.shape[0])
        return classes[self.predicted]

    def below(self, weights: FloatArray) -> FloatArray:
        """`weight_below` of every score column, shape (score columns, n)."""
        return np.array([weight_below(ranks=ranks, weights=weights) for ranks in self.ranks])

    def table(self, truth: IntArray, weights: FloatArray | None = None) -> FloatArray:
        """Contingency table of that truth and the answers."""
        return contingency(rows=truth, columns=self.predicted, shape=self.shape, weights=weights)

    def ranking(self, truth: IntArray, weights: FloatArray, below: FloatArray) -> list[float]:
        """AUC, then the true positive rates; empty without scores."""
        if not self.ranks:
            return []
        # Each image contributes to the area of its own class only, so that one pass over n is enough.
        own = below.ravel().take(truth * len(truth) + self.position) if len(self.ranks) > 1 else below[0]
        sums = np.bincount(truth, weights=weights * own, minlength=self.shape[0])
        masses = np.bincount(truth, weights=weights, minlength=self.shape[0])
        areas = [area(below=sums[code], mass=masses[code], total=masses.sum()) for code in self.scored]
        rates: list[float] = []
        if self.fprs:
            members = weights * (truth == self.scored[0])
            false, true = ranked_roc(
                ranks=self.ranks[0], positive_weights=members, negative_weights=weights - members
            )
            negatives = round(float(false[-1]))
            rates = [
                # After an exchange of labels there may be too few negatives: then none is allowed.
                rate_at(false=false, true=true, allowed=max(0, allowed_false(negatives=negatives, fpr=fpr)))
                for fpr in self.fprs
            ]
        return [mean_of_defined(areas), *rates]


def leave_out(answers: CodedAnswers, *, seed: int) -> tuple[FloatArray, FloatArray]:
    """Tables (B, C, K) and ranking figures (B, m) without each of B blocks of groups.

    A block is a group; more than `BLOCKS` groups are divided at random into so many blocks.
    """
    blocks = np.arange(answers.n_groups)
    if len(blocks) > BLOCKS:
        blocks = np.random.default_rng(seed).permutation(len(blocks)) % BLOCKS
    block = blocks[answers.group]
    tables, rankings = [], []
    for left_out in range(int(blocks.max()) + 1):
        weights = (block != left_out).astype(np.float64)
        tables.append(answers.table(answers.truth, weights))
        rankings.append(answers.ranking(answers.truth, weights, answers.below(weights)))
    return np.array(tables), np.array(rankings).reshape(len(tables), -1)


def permute(
    answers: CodedAnswers, *, rng: np.random.Generator, draws: int, among_images: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Tables (draws, C, K) and ranking figures (draws, m) after labels are permuted.

    Groups with one label exchange their labels. In a group with several labels, its images do: whether such a
    group is easy or hard is the same for all its labels. With `among_images`, all images exchange their
    labels, as if they were independent.
    """
    if among_images:
        answers = replace(answers, group=np.arange(len(answers.truth)))
    pure = answers.pure_groups
    within = ~pure[answers.group]
    unit = np.cumsum(pure)[answers.group[~within]] - 1
    labels = np.empty(int(pure.sum()), dtype=np.int64)
    labels[unit] = answers.truth[~within]
    inside, own = np.flatnonzero(within), answers.group[within]
    ones = np.ones(len(answers.truth))
    below = answers.below(ones)
    tables, rankings = [], []
    for _ in range(draws):
        truth = answers.truth.copy()
        truth[~within] = rng.permutation(labels)[unit]
        truth[inside] = truth[inside[np.lexsort((rng.random(len(inside)), own))]]
        tables.append(answers.table(truth))
        rankings.append(answers.ranking(truth, ones, below))
    return np.array(tables).reshape(draws, *answers.shape), np.array(rankings).reshape(draws, -1)


def arrangements(answers: CodedAnswers) -> float:
    """Logarithm of the number of different label arrangements that `permute` can draw."""
    pure = answers.pure_groups
    table = contingency(rows=answers.group, columns=answers.truth, shape=(answers.n_groups, answers.shape[0]))
    units = np.vstack([table[~pure], (table[pure] > 0).sum(axis=0)])
    return float((gammaln(units.sum(axis=1) + 1) - gammaln(units + 1).sum(axis=1)).sum())


def _checked_scores(scores: NDArray[Any], *, n: int, columns: int | None) -> FloatArray:
    """Scores as float64 in the shape that the task needs."""
    array = np.asarray(scores, dtype=np.float64)
    wanted = (n,) if columns is None else (n, columns)
    if array.shape != wanted:
        raise FingerprintsError(
            f"Scores have the shape {array.shape}; the expected shape is {wanted}.",
            where="scores",
            fix="give one score for each image, or one for each image and class",
        )
    if not np.isfinite(array).all():
        raise FingerprintsError(
            f"{int((~np.isfinite(array)).sum())} scores are not finite numbers.",
            where="scores",
            fix="check the decision for distances to empty sets and logarithms of 0",
        )
    return array


def coded(
    *,
    task: Task,
    classes: Sequence[str],
    truth: Labels,
    predicted: Labels,
    scores: NDArray[Any] | None,
    groups: Labels,
    clusters: bool,
) -> CodedAnswers:
    """Labels, scores and groups as codes, sorted by all of them."""
    if not len(truth) == len(predicted) == len(groups) or len(truth) == 0:
        raise FingerprintsError(
            f"There are {len(truth)} true labels, {len(predicted)} answers and {len(groups)} groups: the"
            " numbers must be equal.",
            fix="give one of each for every image, and at least one image",
        )
    rows = encode(truth, classes=classes)
    answers = np.asarray(predicted, dtype=str)
    names: Sequence[str] = classes
    named = not clusters or bool(np.isin(answers, list(classes)).all())
    if not named:
        names = np.unique(answers).tolist()
    columns = encode(answers, classes=names)
    width = max(len(names), len(classes))
    group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1].astype(np.int64)
    ranks: list[IntArray] = []
    scored: list[int] = []
    if scores is not None and task.positive is not None:
        ranks = [score_ranks(_checked_scores(scores, n=len(rows), columns=None))]
        scored = [list(classes).index(task.positive)]
    elif scores is not None and not clusters:
        table = _checked_scores(scores, n=len(rows), columns=len(classes))
        ranks, scored = [score_ranks(column) for column in table.T], list(range(len(classes)))
    negatives = int((rows != scored[0]).sum()) if task.positive is not None and scored else 0
    order = np.lexsort((*ranks, columns, rows, group))
    return CodedAnswers(
        truth=rows[order],
        predicted=columns[order],
        group=group[order],
        ranks=[column[order] for column in ranks],
        scored=scored,
        fprs=[fpr for fpr, needed in MIN_NON_MEMBERS.items() if negatives >= needed],
        position=np.arange(len(rows)),
        shape=(len(classes), width),
        places=np.eye(len(classes), width)
        if named
        else places_by_size(np.bincount(columns, minlength=width), classes=len(classes)),
    )


def places_by_size(sizes: IntArray, *, classes: int) -> FloatArray:
    """Share [i][j] of class i that cluster j stands for: the k-th largest cluster stands for the k-th class.

    Names and order of clusters come from the order of files, and have no influence. Clusters of one size
    share their places equally, so that equal clusters give 1 / classes, whatever they contain.

    Args:
        sizes: `(K,)` images in each cluster, K at least `classes`.
        classes: Number of classes, C.

    Returns:
        float64 `(C, K)`; each row adds up to 1.
    """
    out = np.zeros((len(sizes), len(sizes)))
    for size in np.unique(sizes):
        same = np.flatnonzero(sizes == size)
        first = int((sizes > size).sum())
        out[first : first + len(same), same] = 1 / len(same)
    return out[:classes]
