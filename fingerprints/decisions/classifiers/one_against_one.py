"""A support vector machine for each pair of classes, as libsvm's one-against-one does it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import SVC

from fingerprints.decisions.settings import ClassWeights

KernelName = Literal["linear", "rbf"]
Indices = NDArray[np.int64]
Matrix = NDArray[np.float64]

# 3.2 GB of kernel values for one pair of classes; beyond it libsvm computes them itself, many times slower.
GRAM_ROWS = 20_000


@dataclass(frozen=True)
class Kernel:
    """`linear`: a·b; `rbf`: exp(-gamma |a - b|^2).

    Attributes:
        name: Which.
        gamma: Of `rbf`.
    """

    name: KernelName
    gamma: float

    def __call__(self, left: NDArray[np.floating], right: NDArray[np.floating]) -> Matrix:
        """`(a, b)` values of `(a, d)` and `(b, d)` vectors, float64."""
        same = left is right
        left = left.astype(np.float64)
        # NumPy does half the work where it sees that both sides are one array.
        right = left if same else right.astype(np.float64)
        products = left @ right.T
        if self.name == "linear":
            return products
        squared = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None, :] - 2.0 * products
        return np.exp(-self.gamma * np.maximum(squared, 0.0))


def class_weights(codes: Indices, *, classes: int, kind: ClassWeights) -> Matrix:
    """`(C,)` weight of each class: 1, or n / (C n_c) for `balanced` (as in scikit-learn)."""
    if kind == "none":
        return np.ones(classes)
    return len(codes) / (classes * np.bincount(codes, minlength=classes))


def solve_pairs(
    embeddings: NDArray[np.floating],
    codes: Indices,
    *,
    kernel: Kernel,
    cost: float,
    weights: Matrix,
    gram: Matrix | None = None,
    iterations: int = -1,
) -> tuple[Matrix, Matrix]:
    """A support vector machine for each pair of classes, as libsvm's one-against-one does it.

    Kernel values come from one matrix product a pair instead of libsvm's own loops over features, which
    is the larger part of its time on wide features; the solution is the same.

    Args:
        embeddings: `(n, d)`.
        codes: `(n,)` in 0..C-1, each of which occurs.
        kernel: The kernel.
        cost: C, the price of a violated margin.
        weights: `(C,)` factors of the cost.
        gram: `(n, n)` kernel values, where they are already known.
        iterations: Most steps of the solver; -1 for no limit.

    Returns:
        `(P, n)` dual coefficients and `(P,)` intercepts of the P = C (C - 1) / 2 pairs (0, 1), (0, 2),
        ...; `kernel(x, embeddings) @ dual.T + intercept` is positive for the pair's first class.
    """
    pairs = list(combinations(range(len(weights)), 2))
    dual, intercept = np.zeros((len(pairs), len(codes))), np.zeros(len(pairs))
    for number, (first, second) in enumerate(pairs):
        rows = np.flatnonzero((codes == first) | (codes == second))
        x, y = embeddings[rows], (codes[rows] == second).astype(np.int64)
        options: dict[str, Any] = {
            "C": cost,
            "class_weight": {0: weights[first], 1: weights[second]},
            "max_iter": iterations,
        }
        if gram is not None:
            machine = SVC(kernel="precomputed", **options).fit(gram[np.ix_(rows, rows)], y)
        elif len(rows) <= GRAM_ROWS:
            machine = SVC(kernel="precomputed", **options).fit(kernel(x, x), y)
        else:
            machine = SVC(kernel=kernel.name, gamma=kernel.gamma, **options).fit(x, y)
        # scikit-learn's two-class decision is positive for the second class.
        dual[number, rows[machine.support_]] = -machine.dual_coef_[0]
        intercept[number] = -machine.intercept_[0]
    return dual, intercept


def against_rest(pairwise: Matrix, *, classes: int) -> Matrix:
    """`(n, C)` scores from `(n, P)` pairwise decisions: votes, with confidences in between.

    The formula of scikit-learn's `decision_function_shape="ovr"`: a class's votes plus a share below one
    third that grows with the sum s of its signed decisions, s / (3 (|s| + 1)).
    """
    votes = np.zeros((len(pairwise), classes))
    sums = np.zeros((len(pairwise), classes))
    for number, (first, second) in enumerate(combinations(range(classes), 2)):
        decision = pairwise[:, number]
        votes[:, first] += decision >= 0
        votes[:, second] += decision < 0
        sums[:, first] += decision
        sums[:, second] -= decision
    return votes + sums / (3 * (np.abs(sums) + 1))
