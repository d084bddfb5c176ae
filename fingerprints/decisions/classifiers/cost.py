"""Choosing the cost C of a classifier by k-fold cross-validation over groups."""

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

# Seven powers of ten. Raw features of ImageNet networks need small costs, standardised features larger ones.
COSTS = tuple(10.0**power for power in range(-4, 3))
FOLDS = 5  # at most; fewer if a class has fewer groups
SEARCH_IMAGES = 5000  # the search uses whole groups with at most this many images; the final fit uses all
# Solver iterations. With a large C and overlapping classes, a fit can take hours, and that C is not the best.
SEARCH_STEPS = 200_000


def group_folds(
    images: FitSet, *, classes: int, seed: int, folds: int = FOLDS
) -> list[tuple[Indices, Indices]]:
    """Folds: rows to fit on and rows to score. Groups are never split, and each class has rows to fit on.

    Raises:
        FingerprintsError: If a class has a single group, or if every fold lacks a class to fit on.
    """
    fewest = min(len(np.unique(images.groups[images.codes == code])) for code in range(classes))
    if fewest < 2:
        raise _impossible("all images of a class are in one group")
    splitter = StratifiedGroupKFold(min(FOLDS, fewest), shuffle=True, random_state=seed)
    found = [
        (inside, outside)
        for inside, outside in splitter.split(images.embeddings, images.codes, images.groups)
        if len(np.unique(images.codes[inside])) == classes
    ]
    if not found:
        raise _impossible("in every fold, a class has no images to fit on")
    return found


def _impossible(reason: str) -> FingerprintsError:
    return FingerprintsError(
        f"C cannot be chosen by cross-validation: {reason}.",
        where="decision.C=null",
        fix="give a number: decision.C=1, or give images of more groups (patients)",
    )


def some_groups(images: FitSet, *, most: int, seed: int) -> FitSet:
    """Randomly drawn whole groups with at most `most` images in total."""
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
    """The cost with the highest mean accuracy over the folds; the smallest cost if several are equal.

    Args:
        estimator: An estimator with the parameter C.
        images: Images to split into folds; if there are more than `SEARCH_IMAGES`, some groups are drawn.
        classes: Number of classes.
        seed: Seed of the folds and of the drawn groups.
        features: Kernel function, for an estimator that takes an `(n, n)` matrix of kernel values.

    Returns:
        The cost, and a record for the state: the cost and the accuracy of each candidate.

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
