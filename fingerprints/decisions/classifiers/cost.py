"""The cost C of a classifier, chosen by a k-fold over groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.classifiers.fit_set import FitSet

Indices = NDArray[np.int64]

# Seven costs, a factor of ten apart: raw features of ImageNet networks want small ones, standardised larger.
COSTS = tuple(10.0**power for power in range(-4, 3))
FOLDS = 5  # at most; fewer where a class has fewer groups
SEARCH_IMAGES = 5000  # the search sees whole groups up to so many images; the final fit sees all
# A large C on classes that overlap may not end in an hour, and is not the best one either.
SEARCH_STEPS = 200_000


def group_folds(
    images: FitSet, *, classes: int, seed: int, folds: int = FOLDS
) -> list[tuple[Indices, Indices]]:
    """Rows to fit on and rows to score, with whole groups on one side and every class on the first.

    Raises:
        FingerprintsError: If a class has a single group, or no fold leaves every class to fit on.
    """
    fewest = min(len(np.unique(images.groups[images.codes == code])) for code in range(classes))
    if fewest < 2:
        raise _impossible("a class has images of one group only")
    splitter = StratifiedGroupKFold(min(FOLDS, fewest), shuffle=True, random_state=seed)
    found = [
        (inside, outside)
        for inside, outside in splitter.split(images.embeddings, images.codes, images.groups)
        if len(np.unique(images.codes[inside])) == classes
    ]
    if not found:
        raise _impossible("no fold leaves images of every class to fit on")
    return found


def _impossible(reason: str) -> FingerprintsError:
    return FingerprintsError(
        f"C cannot be chosen by cross-validation: {reason}.",
        where="decision.C=null",
        fix="give C a number, or images of more groups (patients)",
    )


def some_groups(images: FitSet, *, most: int, seed: int) -> FitSet:
    """Images of groups drawn at random, whole groups until `most` images would be passed."""
    if len(images.codes) <= most:
        return images
    names, inverse, counts = np.unique(images.groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    drawn = np.zeros(len(names), dtype=bool)
    drawn[order[np.cumsum(counts[order]) <= most]] = True
    rows = drawn[inverse]
    return FitSet(images.embeddings[rows], images.codes[rows], images.groups[rows])


def choose_cost(
    estimator: BaseEstimator,
    images: FitSet,
    *,
    classes: int,
    seed: int,
    features: Callable[..., NDArray[np.floating]] | None = None,
) -> tuple[float, dict[str, Any]]:
    """The cost with the highest mean accuracy over the folds; the smallest of equals.

    Args:
        estimator: Has the parameter C.
        images: What is split; of more than `SEARCH_IMAGES`, some groups.
        classes: How many.
        seed: Seed of the folds and of the groups.
        features: Kernel of an estimator that takes a matrix of kernel values, `(n, n)`.

    Returns:
        The cost; and it with the accuracy of each cost by its name, to be kept.

    Raises:
        FingerprintsError: As `group_folds`.
    """
    some = some_groups(images, most=SEARCH_IMAGES, seed=seed)
    x = some.embeddings if features is None else features(some.embeddings, some.embeddings)
    folds = group_folds(some, classes=classes, seed=seed)
    search = GridSearchCV(
        estimator, {"C": list(COSTS)}, scoring="accuracy", cv=folds, refit=False, error_score="raise"
    ).fit(x, some.codes)
    accuracy = dict(zip(COSTS, search.cv_results_["mean_test_score"], strict=True))
    cost = search.best_params_["C"]
    return cost, {"cost": cost, "accuracies": {f"{c:g}": float(value) for c, value in accuracy.items()}}
