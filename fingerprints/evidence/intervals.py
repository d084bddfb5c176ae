"""Every figure with a 95 % interval and a p-value.

Intervals: percentile bootstrap that resamples groups (patients), not images, because images of a group
are not independent. At a bound (0 or 1) resampling shows no spread, so exact bounds stand in, see
`estimate_metrics`.

P-values: labels are permuted, and p = (1 + number of permutations at least as good) / (1 + number of
permutations), which is super-uniform under the null hypothesis whatever the ties (Phipson and Smyth
2010). Where every group carries one label, groups trade labels: the group is what is exchangeable.
Where groups have images of several labels, images trade them.

Both are about these images, scored by this detector, made by these generators: a generator trained
again is another draw that neither sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import Task
from fingerprints.evidence.bounds import (
    LEVEL,
    adverse_tables,
    clopper_pearson,
    disjoint_pairs_bound,
    effective_count,
)
from fingerprints.evidence.metrics import (
    AVERAGED,
    BoolArray,
    FloatArray,
    IntArray,
    Labels,
    area,
    contingency,
    encode,
    from_confusion,
    match_columns,
    mean_of_defined,
    ranked_roc,
    rate_at,
    score_ranks,
    table_ari,
    table_nmi,
    weight_below,
)

MIN_GROUPS = 5
"""With fewer groups the bootstrap repeats a handful of samples and no interval is given."""

MIN_NON_MEMBERS = {0.01: 100, 0.001: 1000}
"""Non-members needed before that false positive rate is even one image."""

_TIE = 1e-12
"""Two orders of adding up the same figure differ by less."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval and permutation p-value; what cannot be known is `None`.

    `reason` says why something is missing.
    """

    value: float | None
    low: float | None
    high: float | None
    p: float | None
    reason: str | None = None

    def to_json(self) -> dict[str, float | str | None]:
        """`value`, `low`, `high`, `p`, and `reason` where there is one."""
        figures: dict[str, float | str | None] = {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "p": self.p,
        }
        return figures if self.reason is None else {**figures, "reason": self.reason}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All figures of one set of answers.

    Attributes:
        metrics: Estimates in reading order.
        samples: Bootstrap draws of every metric that has a value, each of shape (resamples,).
        nulls: The same metrics under permuted labels, each of shape (permutations,).
        n: Number of images.
        n_groups: Number of groups, the effective sample size.
        permuted: What traded labels.
    """

    metrics: dict[str, Estimate]
    samples: dict[str, FloatArray]
    nulls: dict[str, FloatArray]
    n: int
    n_groups: int
    permuted: Literal["groups", "images"]

    def to_json(self) -> dict[str, object]:
        """Sizes and estimates without the draws."""
        return {
            "n": self.n,
            "n_groups": self.n_groups,
            "permuted": self.permuted,
            "metrics": {name: estimate.to_json() for name, estimate in self.metrics.items()},
        }


def tpr_name(fpr: float) -> str:
    """The key of the true positive rate at that false positive rate (`tpr_at_fpr_0.01`)."""
    return f"tpr_at_fpr_{fpr:g}"


def in_reading_order(figures: Mapping[str, Any], *, task: Task) -> list[str]:
    """The keys of `figures` in the order reports show them."""
    order = ["accuracy", *AVERAGED, *(f"{name}_weighted" for name in AVERAGED)]
    order += [f"{name}_{task.positive}" for name in AVERAGED]
    order += ["kappa", "auc", *(tpr_name(fpr) for fpr in MIN_NON_MEMBERS), "ari", "nmi", "accuracy_unmatched"]
    return [name for name in order if name in figures]


def table_figures(
    tables: FloatArray, *, task: Task, classes: Sequence[str], clusters: bool
) -> dict[str, FloatArray]:
    """The figures of a task that contingency tables give.

    Args:
        tables: Shape (B, C, K), rows = truth.
        task: `ari` and `nmi` for `subset` and `model`, one-class figures where there is a positive one.
        classes: Names of the rows.
        clusters: Columns are clusters without meaning: each table's are matched to its own classes
            first (Hungarian), and `accuracy_unmatched` takes the k-th column for the k-th class.

    Returns:
        Arrays of shape (B,).
    """
    matched = np.array([match_columns(table) for table in tables]) if clusters else tables
    figures = from_confusion(matched, classes=classes, positive=task.positive)
    if task.positive is None:
        figures |= {"ari": table_ari(tables), "nmi": table_nmi(tables)}
    if clusters:
        hits = np.diagonal(tables, axis1=-2, axis2=-1).sum(axis=-1)
        figures["accuracy_unmatched"] = hits / tables.sum(axis=(-2, -1))
    return figures


@dataclass(frozen=True, eq=False)
class _Answers:
    """Coded images in an order of their own, so that the order they came in cannot matter.

    `ranks` holds one column of dense score ranks for each class in `scored`.
    """

    truth: IntArray
    predicted: IntArray
    group: IntArray
    ranks: list[IntArray]
    scored: list[int]
    fprs: list[float]
    position: IntArray
    shape: tuple[int, int]

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
        # Each image adds to the area of its own class alone, so that one pass over n serves them all.
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
            rates = [rate_at(false=false, true=true, fpr=fpr) for fpr in self.fprs]
        return [mean_of_defined(areas), *rates]


def _bootstrap(answers: _Answers, *, rng: np.random.Generator, draws: int) -> tuple[FloatArray, FloatArray]:
    """Tables (draws, C, K) and ranking figures (draws, m) of resampled groups."""
    count = int(answers.group.max()) + 1
    tables, rankings = [], []
    for _ in range(draws):
        times = np.bincount(rng.integers(count, size=count), minlength=count)
        weights = times[answers.group].astype(np.float64)
        tables.append(answers.table(answers.truth, weights))
        rankings.append(answers.ranking(answers.truth, weights, answers.below(weights)))
    return np.array(tables).reshape(draws, *answers.shape), np.array(rankings).reshape(draws, -1)


def _permute(
    answers: _Answers, *, unit: IntArray, rng: np.random.Generator, draws: int
) -> tuple[FloatArray, FloatArray]:
    """Tables (draws, C, K) and ranking figures (draws, m) after units have traded labels."""
    labels = np.empty(int(unit.max()) + 1, dtype=np.int64)
    labels[unit] = answers.truth
    ones = np.ones(len(unit))
    below = answers.below(ones)
    tables, rankings = [], []
    for _ in range(draws):
        truth = rng.permutation(labels)[unit]
        tables.append(answers.table(truth))
        rankings.append(answers.ranking(truth, ones, below))
    return np.array(tables).reshape(draws, *answers.shape), np.array(rankings).reshape(draws, -1)


def _checked_scores(scores: NDArray[Any], *, n: int, columns: int | None) -> FloatArray:
    """Scores as float64 of the shape the task wants."""
    array = np.asarray(scores, dtype=np.float64)
    wanted = (n,) if columns is None else (n, columns)
    if array.shape != wanted:
        raise FingerprintsError(
            f"Scores have the shape {array.shape}, not {wanted}.",
            where="scores",
            fix="give one score for each image, or one for each image and class",
        )
    if not np.isfinite(array).all():
        raise FingerprintsError(
            f"{int((~np.isfinite(array)).sum())} scores are not finite numbers.",
            where="scores",
            fix="look for distances to empty sets or logarithms of 0 in the decision",
        )
    return array


def _code(
    *,
    task: Task,
    classes: Sequence[str],
    truth: Labels,
    predicted: Labels,
    scores: NDArray[Any] | None,
    groups: Labels,
    clusters: bool,
) -> _Answers:
    """Labels, scores and groups as codes, sorted by all of them."""
    if not len(truth) == len(predicted) == len(groups) or len(truth) == 0:
        raise FingerprintsError(
            f"{len(truth)} true labels, {len(predicted)} answers and {len(groups)} groups do not make pairs.",
            fix="give one of each for every image, and at least one image",
        )
    rows = encode(truth, classes=classes)
    answers = np.asarray(predicted, dtype=str)
    names: Sequence[str] = classes
    if clusters and not np.isin(answers, list(classes)).all():
        names = np.unique(answers).tolist()
    columns = encode(answers, classes=names)
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
    return _Answers(
        truth=rows[order],
        predicted=columns[order],
        group=group[order],
        ranks=[column[order] for column in ranks],
        scored=scored,
        fprs=[fpr for fpr, needed in MIN_NON_MEMBERS.items() if negatives >= needed],
        position=np.arange(len(rows)),
        shape=(len(classes), max(len(names), len(classes))),
    )


def p_value(*, observed: float, null: FloatArray) -> float:
    """(1 + number of null draws at least as high) / (1 + number of draws), in (0, 1].

    An undefined draw counts as high: better to call too little significant than too much.
    """
    return float((1 + np.sum(~(null < observed - _TIE))) / (1 + len(null)))


def percentiles(draws: FloatArray) -> tuple[float, float]:
    """The middle 95 % of the draws that are defined."""
    low, high = np.nanpercentile(draws, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(low), float(high)


def _spread(draws: FloatArray) -> float:
    finite = draws[np.isfinite(draws)]
    return float(np.ptp(finite)) if finite.size else 0.0


@dataclass(frozen=True)
class _Trials:
    """The images a proportion is about, and as what kind of trial they count."""

    images: BoolArray
    what: str


def _trials(answers: _Answers, *, positive: int | None, name: str | None) -> dict[str, _Trials]:
    """The figures that are proportions of images, with those images."""
    every = np.ones(len(answers.truth), dtype=bool)
    trials = {key: _Trials(every, "image") for key in ("accuracy", "recall_weighted", "accuracy_unmatched")}
    if positive is None:
        return trials
    members, called = answers.truth == positive, answers.predicted == positive
    trials[f"recall_{name}"] = _Trials(members, f"{name} image")
    trials[f"specificity_{name}"] = _Trials(~members, "image of another class")
    trials[f"precision_{name}"] = _Trials(called, f"image called {name}")
    return trials | {tpr_name(fpr): _Trials(members, f"{name} image") for fpr in answers.fprs}


def _pairs(answers: _Answers) -> list[float]:
    """For every scored class with two sides: how many pairs of two groups can be made at most."""
    pairs = []
    for code in answers.scored:
        sides = [answers.group[answers.truth == code], answers.group[answers.truth != code]]
        if all(side.size for side in sides):
            counts = [effective_count(side) for side in sides]
            pairs.append(min(*counts, effective_count(answers.group) / 2))
    return pairs


def _interval(
    name: str,
    value: float,
    draws: FloatArray,
    *,
    answers: _Answers,
    trials: Mapping[str, _Trials],
    worst: Mapping[str, float],
) -> tuple[float | None, float | None, str | None]:
    """Low, high and why not, as `estimate_metrics` describes."""
    about = trials.get(name)
    images = np.ones(len(answers.truth), dtype=bool) if about is None else about.images
    count = len(np.unique(answers.group[images]))
    if about is not None and count == 0:
        return None, None, f"there is no {about.what}"
    if count < MIN_GROUPS:
        kind = "" if about is None or about.images.all() else f" with an {about.what}"
        return None, None, f"{count} group(s){kind} are too few for an interval ({MIN_GROUPS} needed)"
    at_one, at_zero = abs(value - 1) < _TIE, abs(value) < _TIE
    if about is not None and (at_one or at_zero):
        effective = effective_count(answers.group[images])
        return *clopper_pearson(successes=effective if at_one else 0.0, trials=effective), None
    if name == "auc" and (at_one or at_zero):
        low = disjoint_pairs_bound(pairs=_pairs(answers))
        return (low, 1.0, None) if at_one else (0.0, 1.0 - low, None)
    if at_one and name in worst:
        return worst[name], 1.0, None
    if _spread(draws) < _TIE:
        return None, None, "every resample gives the same value, so that it says nothing about the spread"
    if np.isfinite(draws).mean() < 0.9:
        return None, None, "more than a tenth of the resamples lack a class"
    return *percentiles(draws), None


def _worst(table: FloatArray, *, low: float, task: Task, classes: Sequence[str]) -> dict[str, float]:
    """Lower bounds of table figures of 1, given that of accuracy; empty if the table has an error."""
    perfect = ((table > 0).sum(axis=0) <= 1).all() and ((table > 0).sum(axis=1) <= 1).all()
    if not perfect:
        return {}
    candidates = adverse_tables(table=table, errors=(1 - low) * float(table.sum()))
    if len(candidates) == 0:
        return {}
    figures = table_figures(candidates, task=task, classes=classes, clusters=False)
    return {name: float(np.nanmin(values)) for name, values in figures.items()}


def _centred(draws: FloatArray, value: float, *, low: float) -> FloatArray:
    """Draws moved so that their mean is the value, kept within [low, 1]."""
    return np.clip(draws - (np.nanmean(draws) - value), low, 1.0)


def estimate_metrics(
    *,
    task: Task,
    classes: Sequence[str],
    truth: Labels,
    predicted: Labels,
    scores: NDArray[Any] | None,
    groups: Labels,
    seed: int,
    resamples: int = 1000,
    permutations: int = 999,
    clusters: bool | None = None,
) -> Evaluation:
    """Every figure the task has, with interval and p-value.

    The interval is the percentile bootstrap over groups, except
    - with fewer than 5 groups (of the images the figure is about): none;
    - proportions at 0 or 1 (accuracy, one-class recall, specificity and precision, TPR at an FPR):
      Clopper-Pearson, the trials being the groups (for groups of unequal size Kish's effective number
      of them, since one large group carries most of the figure). At a TPR the threshold counts as given;
    - AUC at 0 or 1: Clopper-Pearson over as many disjoint pairs of groups as can be made;
    - macro averages, F1, kappa, ARI and NMI at 1: all of them are 1 together with accuracy, so that
      accuracy's lower bound allows a share of errors; the bound is the figure's lowest value when those
      errors are put where they do most harm (`bounds.adverse_tables`), the class frequencies as seen;
    - anything else that does not move under resampling (kappa of a constant answer, say): none, since
      no bound would be honest.

    Resampling makes copies of an image agree with each other, and matching clusters anew flatters every
    draw; the draws of ARI and NMI, and of everything when `clusters`, are moved back onto the value.

    Args:
        task: Decides which figures there are: ARI and NMI for `subset` and `model`, one-class figures
            and TPR at 1 % FPR (from 100 non-members; 0.1 % from 1000) where there is a positive class.
        classes: The names of the labels.
        truth: True labels, shape (n,).
        predicted: Answers, shape (n,).
        scores: For a task with a positive class (n,), higher = more likely positive; otherwise (n, C),
            columns as `classes`. Gives AUC. Not used for clusters.
        groups: Group (patient) of each image, shape (n,).
        seed: Of both resampling and permuting.
        resamples: Bootstrap draws.
        permutations: Permutations of the labels.
        clusters: Answers are names of clusters and mean nothing until matched to classes (Hungarian,
            in every draw anew, so that p-values pay for the matching). `model` by default.
            `accuracy_unmatched` is then the accuracy when answers are taken as they are: by name
            if all are names of classes, else k-th cluster in alphabetical order = k-th class.

    Raises:
        FingerprintsError: On unequal lengths, unknown labels, or scores of a wrong shape or not finite.
    """
    clusters = task.name == "model" if clusters is None else clusters
    answers = _code(
        task=task,
        classes=classes,
        truth=truth,
        predicted=predicted,
        scores=scores,
        groups=groups,
        clusters=clusters,
    )
    n_groups = int(answers.group.max()) + 1
    pure = len(np.unique(answers.group * len(classes) + answers.truth)) == n_groups
    bootstrap_rng, permutation_rng = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2)
    )
    ones = np.ones(len(answers.truth))
    point = answers.table(answers.truth)
    unit = answers.group if pure else np.arange(len(ones))
    rank_names = ["auc", *(tpr_name(fpr) for fpr in answers.fprs)] if answers.ranks else []
    observed_ranks = answers.ranking(answers.truth, ones, answers.below(ones))
    drawn, drawn_ranks = _bootstrap(answers, rng=bootstrap_rng, draws=resamples)
    permuted, permuted_ranks = _permute(answers, unit=unit, rng=permutation_rng, draws=permutations)

    def figures(tables: FloatArray, ranks: FloatArray) -> dict[str, FloatArray]:
        from_tables = table_figures(tables, task=task, classes=classes, clusters=clusters)
        return from_tables | dict(zip(rank_names, ranks.T, strict=True))

    observed = {
        name: float(value[0]) for name, value in figures(point[None], np.array([observed_ranks])).items()
    }
    samples, nulls = figures(drawn, drawn_ranks), figures(permuted, permuted_ranks)
    for name in samples if clusters else {"ari", "nmi"} & set(samples):
        samples[name] = _centred(samples[name], observed[name], low=-1.0 if name in ("ari", "kappa") else 0.0)

    missing = _missing(answers, task=task)
    positive = None if task.positive is None else list(classes).index(task.positive)
    trials = _trials(answers, positive=positive, name=task.positive)
    accuracy_low = clopper_pearson(
        successes=effective_count(answers.group), trials=effective_count(answers.group)
    )[0]
    worst = _worst(match_columns(point) if clusters else point, low=accuracy_low, task=task, classes=classes)
    metrics: dict[str, Estimate] = {}
    for name in in_reading_order({**observed, **missing}, task=task):
        if name in missing:
            metrics[name] = Estimate(None, None, None, None, missing[name])
            continue
        value = observed[name]
        low, high, reason = _interval(name, value, samples[name], answers=answers, trials=trials, worst=worst)
        metrics[name] = Estimate(value, low, high, p_value(observed=value, null=nulls[name]), reason)
    known = [name for name in metrics if name not in missing]
    return Evaluation(
        metrics=metrics,
        samples={name: samples[name] for name in known},
        nulls={name: nulls[name] for name in known},
        n=len(ones),
        n_groups=n_groups,
        permuted="groups" if pure else "images",
    )


def _missing(answers: _Answers, *, task: Task) -> dict[str, str]:
    """Figures that these images cannot give, with the reason."""
    missing: dict[str, str] = {}
    if task.positive is not None and answers.ranks and 0.01 not in answers.fprs:
        negatives = int((answers.truth != answers.scored[0]).sum())
        needed = MIN_NON_MEMBERS[0.01]
        missing[tpr_name(0.01)] = f"{negatives} non-members are too few for 1 % of them ({needed} needed)"
    if len(np.unique(answers.truth)) < 2:
        reason = "all images are of one class"
        missing["kappa"] = reason
        if answers.ranks:
            missing["auc"] = reason
        if task.positive is None:
            missing |= {"ari": reason, "nmi": reason}
        missing |= {tpr_name(fpr): reason for fpr in answers.fprs}
    return missing


def mean_evaluation(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The mean over generators whose images and groups are independent of each other.

    Values are averaged, bootstrap draws too (in an order shuffled apart, since equal seeds would make
    them move together), and p comes from the averaged null draws. Where a part sits at a bound its
    draws do not move; the interval then combines the parts' own bounds as independent distances
    from the value (MOVER, Zou and Donner 2008): root of the sum of their squares, over the number.

    Only metrics that all parts have are kept; a metric is `None` where it is in any part.

    Raises:
        ValueError: Without a part, or with unequal numbers of draws.
    """
    if not evaluations:
        raise ValueError("a mean needs at least one evaluation")
    if len(evaluations) == 1:
        return evaluations[0]
    names = [name for name in evaluations[0].metrics if all(name in part.metrics for part in evaluations)]
    metrics: dict[str, Estimate] = {}
    samples: dict[str, FloatArray] = {}
    nulls: dict[str, FloatArray] = {}
    for name in names:
        parts = [part.metrics[name] for part in evaluations]
        values = [part.value for part in parts if part.value is not None]
        reason = "; ".join(
            f"part {index}: {part.reason}" for index, part in enumerate(parts, start=1) if part.reason
        )
        if len(values) < len(parts):
            metrics[name] = Estimate(None, None, None, None, reason or None)
            continue
        value = sum(values) / len(values)
        samples[name] = _shuffled_mean([part.samples[name] for part in evaluations])
        p = None
        if all(name in part.nulls for part in evaluations):
            nulls[name] = _shuffled_mean([part.nulls[name] for part in evaluations])
            p = p_value(observed=value, null=nulls[name])
        low, high = _mean_interval(parts, [part.samples[name] for part in evaluations], samples[name])
        metrics[name] = Estimate(value, low, high, p, reason or None)
    return Evaluation(
        metrics=metrics,
        samples=samples,
        nulls=nulls,
        n=sum(part.n for part in evaluations),
        n_groups=sum(part.n_groups for part in evaluations),
        permuted="groups" if all(part.permuted == "groups" for part in evaluations) else "images",
    )


def _shuffled_mean(draws: Sequence[FloatArray]) -> FloatArray:
    """Mean of draws (each (b,)) after each part is put into an order of its own."""
    shuffled = [np.random.default_rng(index).permutation(part) for index, part in enumerate(draws)]
    return np.asarray(np.mean(np.stack(shuffled), axis=0), dtype=np.float64)


def _mean_interval(
    parts: Sequence[Estimate], draws: Sequence[FloatArray], mean_draws: FloatArray
) -> tuple[float | None, float | None]:
    """Interval of a mean of independent estimates, `None` where a part has none."""
    below, above = [], []
    for part in parts:
        if part.value is None or part.low is None or part.high is None:
            return None, None
        below.append(part.value - part.low)
        above.append(part.high - part.value)
    if all(_spread(part) > _TIE for part in draws):
        return percentiles(mean_draws)
    value = float(np.mean([part.value for part in parts]))
    return value - float(np.linalg.norm(below)) / len(parts), value + float(np.linalg.norm(above)) / len(
        parts
    )
