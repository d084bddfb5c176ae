"""The cost C of a classifier, chosen by a k-fold over groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.classifiers.fit_set import FitSet

Indices = NDArray[np.int64]

# Seven costs, a factor of ten apart: raw features of ImageNet networks want small ones, standardised larger.
COSTS = tuple(10.0**power for power in range(-4, 3))
FOLDS = 5  # at most; fewer where a class has fewer groups
SEARCH_IMAGES = 5000  # the search sees whole groups up to so many images; the final fit sees all


def group_folds(images: FitSet, *, classes: int, folds: int, seed: int) -> Iterator[tuple[Indices, Indices]]:
    """Rows to fit on and rows to score, with whole groups on one side and every class on the first.

    Raises:
        FingerprintsError: If a class has a single group, which cannot be on both sides.
    """
    fewest = min(len(np.unique(images.groups[images.codes == code])) for code in range(classes))
    if fewest < 2:
        raise FingerprintsError(
            "C cannot be chosen by cross-validation: a class has images of one group only.",
            where="decision.C=null",
            fix="give C a number, or images of more groups (patients)",
        )
    splitter = StratifiedGroupKFold(min(folds, fewest), shuffle=True, random_state=seed)
    for inside, outside in splitter.split(images.embeddings, images.codes, images.groups):
        if len(np.unique(images.codes[inside])) == classes:
            yield inside, outside


def some_groups(images: FitSet, *, most: int | None, seed: int) -> FitSet:
    """Images of groups drawn at random, whole groups until `most` images would be passed; `None`: all."""
    if most is None or len(images.codes) <= most:
        return images
    names, inverse, counts = np.unique(images.groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    drawn = np.zeros(len(names), dtype=bool)
    drawn[order[np.cumsum(counts[order]) <= most]] = True
    rows = drawn[inverse]
    return FitSet(images.embeddings[rows], images.codes[rows], images.groups[rows])


def choose_cost(
    predict: Callable[[Indices, Indices, float], Indices],
    images: FitSet,
    *,
    classes: int,
    costs: Sequence[float],
    folds: int,
    seed: int,
) -> tuple[float, dict[str, float]]:
    """The cost with the highest mean accuracy over the folds; the smallest of equals.

    Args:
        predict: Gives the codes of its second rows, fitted on its first, at a cost.
        images: What is split.
        classes: How many.
        costs: To choose from.
        folds: At most.
        seed: Seed of the folds.

    Returns:
        The cost, and the accuracy of each by its name.

    Raises:
        FingerprintsError: As `group_folds`, or if no fold leaves every class to fit on.
    """
    splits = list(group_folds(images, classes=classes, folds=folds, seed=seed))
    if not splits:
        raise FingerprintsError(
            "C cannot be chosen by cross-validation: no fold leaves images of every class to fit on.",
            where="decision.C=null",
            fix="give C a number, or images of more groups (patients)",
        )
    accuracy = {
        cost: float(np.mean([np.mean(predict(a, b, cost) == images.codes[b]) for a, b in splits]))
        for cost in sorted(costs)
    }
    best = max(accuracy, key=lambda cost: accuracy[cost])  # the first, so the smallest, of equals
    return best, {f"{cost:g}": value for cost, value in accuracy.items()}
