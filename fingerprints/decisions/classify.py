"""Classifiers on embeddings: support vector machine [A25], logistic regression, nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.core.tasks import FitOn
from fingerprints.decisions.part import Answers, EmbeddedPart, FitSet, fit_set

KernelName = Literal["linear", "rbf"]
ClassWeights = Literal["none", "balanced"]
Indices = NDArray[np.int64]
Matrix = NDArray[np.float64]

# Seven costs, a factor of ten apart: raw features of ImageNet networks want small ones, standardised larger.
COSTS = tuple(10.0**power for power in range(-4, 3))
# 3.2 GB of kernel values for one pair of classes; beyond it libsvm computes them itself, many times slower.
GRAM_ROWS = 20_000
# Images asked at a time.
BLOCK = 2048


@dataclass(frozen=True)
class Scaling:
    """Features less their mean, divided by their standard deviation.

    Attributes:
        mean: `(d,)`.
        scale: `(d,)`; 1 for a constant feature.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def fit(cls, embeddings: NDArray[np.floating]) -> Scaling:
        """Mean and deviation of `(n, d)` embeddings."""
        deviation = embeddings.std(axis=0, dtype=np.float64)
        # A constant's deviation is rounding, not information.
        constant = (embeddings == embeddings[:1]).all(axis=0)
        scale = np.where(constant | (deviation == 0), 1.0, deviation)
        return cls(embeddings.mean(axis=0, dtype=np.float64).astype(np.float32), scale.astype(np.float32))

    @classmethod
    def none(cls, width: int) -> Scaling:
        """One that changes nothing."""
        return cls(np.zeros(width, np.float32), np.ones(width, np.float32))

    def __call__(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """`(n, d)` scaled embeddings."""
        return (embeddings - self.mean) / self.scale


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


@dataclass(frozen=True)
class SVMDecision:
    """Support vector machine: the published one is linear, C = 1, on raw features [A25].

    Several classes are decided one against one; scores are votes with confidences in between
    (`against_rest`), and where votes tie the confidences decide (scikit-learn's `break_ties=True`).

    Attributes:
        classes: C labels.
        kernel: With its gamma.
        cost: C of the machine, given or chosen.
        accuracies: Cross-validated accuracy of each cost; empty where C was given.
        scaling: What features go through first.
        vectors: `(s, d)` support vectors, scaled; for a linear kernel `(P, d)` weights instead.
        dual: `(P, s)` coefficients; for a linear kernel `(0, 0)`.
        intercept: `(P,)`.
    """

    classes: tuple[str, ...]
    kernel: Kernel
    cost: float
    accuracies: dict[str, float]
    scaling: Scaling
    vectors: Matrix
    dual: Matrix
    intercept: Matrix

    name: ClassVar[str] = "svm"
    transductive: ClassVar[bool] = False

    @classmethod
    def fit(
        cls,
        part: EmbeddedPart,
        classes: Sequence[str],
        *,
        fit_on: FitOn = "real",
        seed: int = 0,
        kernel: KernelName = "linear",
        C: float | None = 1.0,
        gamma: float | None = None,
        standardise: bool = False,
        class_weight: ClassWeights = "none",
        costs: Sequence[float] = COSTS,
        folds: int = 5,
        search_images: int | None = 5000,
    ) -> SVMDecision:
        """Fit on the training part.

        Args:
            part: The training part.
            classes: C labels, each with images.
            fit_on: Which images.
            seed: Seed of the folds; the machine itself is not random.
            kernel: `linear` or `rbf`.
            C: Price of a violated margin; `None` chooses from `costs` by a group k-fold.
            gamma: Of `rbf`; `None` for 1 / (d · variance of all features), scikit-learn's `scale`.
            standardise: Whether features get mean 0 and deviation 1 first.
            class_weight: `balanced` weighs classes by the inverse of their size.
            costs: What C is chosen from.
            folds: At most; fewer where a class has fewer groups.
            search_images: The search sees whole groups up to so many images; `None` for all. The final fit
                sees all images.

        Raises:
            FingerprintsError: As `fit_set` and `choose_cost`.
        """
        images = fit_set(part, classes, fit_on=fit_on)
        scaling = Scaling.fit(images.embeddings) if standardise else Scaling.none(images.embeddings.shape[1])
        x = scaling(images.embeddings)
        width = 1.0 / (x.shape[1] * float(x.var(dtype=np.float64))) if gamma is None else gamma
        shape, count = Kernel(kernel, width), len(classes)
        weights = class_weights(images.codes, classes=count, kind=class_weight)
        accuracies: dict[str, float] = {}
        cost = C
        if cost is None:
            cost, accuracies = _search(
                some_groups(FitSet(x, images.codes, images.groups), most=search_images, seed=seed),
                kernel=shape,
                weights=weights,
                costs=costs,
                folds=folds,
                seed=seed,
            )
        dual, intercept = solve_pairs(x, images.codes, kernel=shape, cost=cost, weights=weights)
        used = (dual != 0).any(axis=0)
        vectors, dual = x[used].astype(np.float64), dual[:, used]
        if kernel == "linear":
            # A weight vector a pair says the same as its support vectors.
            vectors, dual = dual @ vectors, np.empty((0, 0))
        return cls(tuple(classes), shape, cost, accuracies, scaling, vectors, dual, intercept)

    def answer(self, embeddings: NDArray[np.float32]) -> Answers:
        """Label and `(n, C)` scores of each of `(n, d)` embeddings."""
        scores = np.concatenate(
            [
                against_rest(self._pairwise(embeddings[i : i + BLOCK]), classes=len(self.classes))
                for i in range(0, max(1, len(embeddings)), BLOCK)
            ]
        )
        return Answers(np.array(self.classes)[scores.argmax(axis=1)], scores)

    def _pairwise(self, embeddings: NDArray[np.float32]) -> Matrix:
        values = self.kernel(self.scaling(embeddings), self.vectors)
        if self.kernel.name == "rbf":
            values = values @ self.dual.T
        return values + self.intercept

    def state(self) -> FittedState:
        """What `from_state` needs."""
        return FittedState(
            self.name,
            {
                "classes": list(self.classes),
                "kernel": self.kernel.name,
                "gamma": self.kernel.gamma,
                "C": self.cost,
                "accuracies": self.accuracies,
            },
            {
                "mean": self.scaling.mean,
                "scale": self.scaling.scale,
                "vectors": self.vectors,
                "dual": self.dual,
                "intercept": self.intercept,
            },
        )

    @classmethod
    def from_state(cls, state: FittedState) -> SVMDecision:
        """The decision that left this state."""
        facts, arrays = state.facts, state.arrays
        return cls(
            classes=tuple(facts["classes"]),
            kernel=Kernel(facts["kernel"], facts["gamma"]),
            cost=facts["C"],
            accuracies=dict(facts["accuracies"]),
            scaling=Scaling(arrays["mean"], arrays["scale"]),
            vectors=arrays["vectors"],
            dual=arrays["dual"],
            intercept=arrays["intercept"],
        )


def _search(
    images: FitSet, *, kernel: Kernel, weights: Matrix, costs: Sequence[float], folds: int, seed: int
) -> tuple[float, dict[str, float]]:
    """Choose the cost with one kernel matrix for all folds and costs."""
    gram = kernel(images.embeddings, images.embeddings)

    def predict(inside: Indices, outside: Indices, cost: float) -> Indices:
        dual, intercept = solve_pairs(
            images.embeddings[inside],
            images.codes[inside],
            kernel=kernel,
            cost=cost,
            weights=weights,
            gram=gram[np.ix_(inside, inside)],
            # A large C on classes that overlap may not end in an hour, and is not the best one either.
            iterations=200_000,
        )
        pairwise = gram[np.ix_(outside, inside)] @ dual.T + intercept
        return against_rest(pairwise, classes=len(weights)).argmax(axis=1)

    return choose_cost(predict, images, classes=len(weights), costs=costs, folds=folds, seed=seed)


@dataclass(frozen=True)
class LogisticDecision:
    """Multinomial logistic regression with an L2 penalty; scores are probabilities.

    Attributes:
        classes: C labels.
        cost: C, the inverse strength of the penalty, given or chosen.
        accuracies: Cross-validated accuracy of each cost; empty where C was given.
        scaling: What features go through first.
        model: The fitted estimator.
    """

    classes: tuple[str, ...]
    cost: float
    accuracies: dict[str, float]
    scaling: Scaling
    model: LogisticRegression

    name: ClassVar[str] = "logistic"
    transductive: ClassVar[bool] = False

    @classmethod
    def fit(
        cls,
        part: EmbeddedPart,
        classes: Sequence[str],
        *,
        fit_on: FitOn = "real",
        seed: int = 0,
        C: float | None = 1.0,
        standardise: bool = True,
        class_weight: ClassWeights = "none",
        iterations: int = 1000,
        costs: Sequence[float] = COSTS,
        folds: int = 5,
        search_images: int | None = 5000,
    ) -> LogisticDecision:
        """Fit on the training part; arguments as of `SVMDecision.fit`, `iterations` of L-BFGS at most.

        Raises:
            FingerprintsError: As `fit_set` and `choose_cost`.
        """
        images = fit_set(part, classes, fit_on=fit_on)
        scaling = Scaling.fit(images.embeddings) if standardise else Scaling.none(images.embeddings.shape[1])
        x = scaling(images.embeddings)

        def model(rows: FitSet, cost: float) -> LogisticRegression:
            balance = None if class_weight == "none" else class_weight
            estimator = LogisticRegression(C=cost, max_iter=iterations, class_weight=balance)
            return estimator.fit(rows.embeddings, rows.codes)

        accuracies: dict[str, float] = {}
        cost = C
        if cost is None:
            some = some_groups(FitSet(x, images.codes, images.groups), most=search_images, seed=seed)

            def predict(inside: Indices, outside: Indices, cost: float) -> Indices:
                rows = FitSet(some.embeddings[inside], some.codes[inside], some.groups[inside])
                return model(rows, cost).predict(some.embeddings[outside])

            cost, accuracies = choose_cost(
                predict, some, classes=len(classes), costs=costs, folds=folds, seed=seed
            )
        fitted = model(FitSet(x, images.codes, images.groups), cost)
        return cls(tuple(classes), cost, accuracies, scaling, fitted)

    def answer(self, embeddings: NDArray[np.float32]) -> Answers:
        """Label and `(n, C)` probabilities of each of `(n, d)` embeddings."""
        scores = self.model.predict_proba(self.scaling(embeddings))
        return Answers(np.array(self.classes)[scores.argmax(axis=1)], scores)

    def state(self) -> FittedState:
        """What `from_state` needs."""
        return FittedState(
            self.name,
            {"classes": list(self.classes), "C": self.cost, "accuracies": self.accuracies},
            {"mean": self.scaling.mean, "scale": self.scaling.scale},
            {"model": self.model},
        )

    @classmethod
    def from_state(cls, state: FittedState) -> LogisticDecision:
        """The decision that left this state."""
        return cls(
            classes=tuple(state.facts["classes"]),
            cost=state.facts["C"],
            accuracies=dict(state.facts["accuracies"]),
            scaling=Scaling(state.arrays["mean"], state.arrays["scale"]),
            model=state.estimators["model"],
        )


@dataclass(frozen=True)
class NeighboursDecision:
    """k nearest neighbours; scores are the share of each class among them.

    Attributes:
        classes: C labels.
        scaling: What features go through first.
        model: The fitted estimator, which holds the training embeddings.
    """

    classes: tuple[str, ...]
    scaling: Scaling
    model: KNeighborsClassifier

    name: ClassVar[str] = "knn"
    transductive: ClassVar[bool] = False

    @classmethod
    def fit(
        cls,
        part: EmbeddedPart,
        classes: Sequence[str],
        *,
        fit_on: FitOn = "real",
        seed: int = 0,
        k: int = 5,
        distance: Literal["euclidean", "cosine", "manhattan"] = "euclidean",
        weights: Literal["uniform", "distance"] = "uniform",
        standardise: bool = False,
    ) -> NeighboursDecision:
        """Keep the training part.

        Args:
            part: The training part.
            classes: C labels, each with images.
            fit_on: Which images.
            seed: Taken as all decisions take one; nothing here is random.
            k: Neighbours.
            distance: Between images.
            weights: Whether neighbours count alike, or by the inverse of their distance.
            standardise: Whether features get mean 0 and deviation 1 first.

        Raises:
            FingerprintsError: As `fit_set`, or if k is not from 1 to the number of images.
        """
        images = fit_set(part, classes, fit_on=fit_on)
        if not 1 <= k <= len(images.codes):
            raise FingerprintsError(
                f"{k} neighbours cannot be found among {len(images.codes)} training images.",
                where="decision.k",
                fix=f"give a number from 1 to {len(images.codes)}",
            )
        scaling = Scaling.fit(images.embeddings) if standardise else Scaling.none(images.embeddings.shape[1])
        model = KNeighborsClassifier(k, weights=weights, metric=distance, algorithm="brute")
        return cls(tuple(classes), scaling, model.fit(scaling(images.embeddings), images.codes))

    def answer(self, embeddings: NDArray[np.float32]) -> Answers:
        """Label and `(n, C)` shares of each of `(n, d)` embeddings."""
        scores = self.model.predict_proba(self.scaling(embeddings))
        return Answers(np.array(self.classes)[scores.argmax(axis=1)], scores)

    def state(self) -> FittedState:
        """What `from_state` needs."""
        return FittedState(
            self.name,
            {"classes": list(self.classes)},
            {"mean": self.scaling.mean, "scale": self.scaling.scale},
            {"model": self.model},
        )

    @classmethod
    def from_state(cls, state: FittedState) -> NeighboursDecision:
        """The decision that left this state."""
        return cls(
            classes=tuple(state.facts["classes"]),
            scaling=Scaling(state.arrays["mean"], state.arrays["scale"]),
            model=state.estimators["model"],
        )
