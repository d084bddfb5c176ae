"""Every figure with a 95 % interval and a p-value.

Intervals: percentile bootstrap that resamples groups (patients), not images, because images of a group
are not independent. Exceptions:
- fewer than 5 groups (among the images that the figure is about): no interval;
- proportions at 0 or 1 (accuracy, one-class recall, specificity and precision, TPR at an FPR):
  Clopper-Pearson, where the trials are the groups (if their sizes differ, Kish's effective number of
  groups, since one large group decides most of the figure). For a TPR the threshold is taken as fixed;
- AUC at 0 or 1: Clopper-Pearson over as many disjoint pairs of groups as can be made;
- macro averages, F1, kappa, ARI and NMI at 1: they are 1 exactly when accuracy is 1. The lower bound of
  accuracy allows a share of errors; the bound of the figure is its lowest value when these errors are
  placed where they lower it most (`bounds.adverse_tables`), with the observed class frequencies;
- any other figure that does not change under resampling (for example kappa of a constant answer): no
  interval, since no bound would be valid.

Copies of an image in a resample agree with each other, and clusters matched again in every draw fit too
well: both raise the draws. Therefore the draws of ARI and NMI, and of all figures if answers are clusters,
are shifted so that their mean is the value.

P-values: labels are permuted, and p = (1 + number of permutations at least as good) / (1 + number of
permutations), which is super-uniform under the null hypothesis, also with ties (Phipson and Smyth
2010). If every group has one label, labels are permuted among groups, since groups are exchangeable.
If groups have images with several labels, labels are permuted among images.

Both hold for these images, this detector and these generators: they do not include the variation
between generators that are trained again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.tasks import Task
from fingerprints.evidence.bounds import (
    adverse_tables,
    clopper_pearson,
    disjoint_pairs_bound,
    effective_count,
)
from fingerprints.evidence.coded import CodedAnswers, bootstrap, coded, permute
from fingerprints.evidence.estimates import (
    MIN_GROUPS,
    MIN_NON_MEMBERS,
    TIE,
    Estimate,
    Evaluation,
    in_reading_order,
    p_value,
    percentiles,
    spread,
    tpr_name,
)
from fingerprints.evidence.metrics import (
    BoolArray,
    FloatArray,
    Labels,
    from_confusion,
    match_columns,
    table_ari,
    table_nmi,
)


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
    """Every figure the task has, with interval and p-value as the module describes them.

    Args:
        task: Decides the figures: ARI and NMI for `subset` and `model`; one-class figures and TPR at
            1 % FPR (with at least 100 non-members; at 0.1 % with 1000) if there is a positive class.
        classes: The names of the labels.
        truth: True labels, shape (n,).
        predicted: Answers, shape (n,).
        scores: For a task with a positive class (n,), higher = more likely positive; otherwise (n, C),
            columns as `classes`. Needed for AUC. Not used for clusters.
        groups: Group (patient) of each image, shape (n,).
        seed: Seed of both resampling and permuting.
        resamples: Bootstrap draws.
        permutations: Permutations of the labels.
        clusters: Whether answers are names of clusters, which must be matched to classes (Hungarian
            method, again in every draw, so that p-values account for the matching); default: as the
            task states. Then `accuracy_unmatched` is reported too: it takes answers by name if all are names
            of classes, else as `coded.places_by_size`.

    Raises:
        FingerprintsError: If lengths differ, a label is unknown, or scores have a wrong shape or are not
            finite.
    """
    clusters = task.clusters if clusters is None else clusters
    answers = coded(
        task=task,
        classes=classes,
        truth=truth,
        predicted=predicted,
        scores=scores,
        groups=groups,
        clusters=clusters,
    )
    drawn = _draw(answers, task, classes, seed=seed, draws=(resamples, permutations), clusters=clusters)
    missing = _missing(answers, task=task)
    metrics = _estimates(answers, drawn, missing, task=task, classes=classes, clusters=clusters)
    known = [name for name in metrics if name not in missing]
    return Evaluation(
        metrics=metrics,
        samples={name: drawn.samples[name] for name in known},
        nulls={name: drawn.nulls[name] for name in known},
        n=len(answers.truth),
        n_groups=answers.n_groups,
        permuted="groups" if answers.pure else "images",
    )


@dataclass(frozen=True, eq=False)
class _Draws:
    """Figures as observed, in every resample `(resamples,)`, and under permuted labels `(permutations,)`."""

    observed: dict[str, float]
    samples: dict[str, FloatArray]
    nulls: dict[str, FloatArray]


def _draw(
    answers: CodedAnswers,
    task: Task,
    classes: Sequence[str],
    *,
    seed: int,
    draws: tuple[int, int],
    clusters: bool,
) -> _Draws:
    bootstrap_rng, permutation_rng = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2)
    )
    ones = np.ones(len(answers.truth))
    unit = answers.group if answers.pure else np.arange(len(ones))
    rank_names = ["auc", *(tpr_name(fpr) for fpr in answers.fprs)] if answers.ranks else []

    def figures(tables: FloatArray, ranks: FloatArray) -> dict[str, FloatArray]:
        from_tables = table_figures(
            tables, task=task, classes=classes, clusters=clusters, places=answers.places
        )
        return from_tables | dict(zip(rank_names, ranks.T, strict=True))

    ranking = answers.ranking(answers.truth, ones, answers.below(ones))
    found = figures(answers.table(answers.truth)[None], np.array([ranking]))
    observed = {name: float(value[0]) for name, value in found.items()}
    samples = figures(*bootstrap(answers, rng=bootstrap_rng, draws=draws[0]))
    nulls = figures(*permute(answers, unit=unit, rng=permutation_rng, draws=draws[1]))
    for name in samples if clusters else {"ari", "nmi"} & set(samples):
        samples[name] = _centred(samples[name], observed[name], low=-1.0 if name in ("ari", "kappa") else 0.0)
    return _Draws(observed, samples, nulls)


def _estimates(
    answers: CodedAnswers,
    drawn: _Draws,
    missing: Mapping[str, str],
    *,
    task: Task,
    classes: Sequence[str],
    clusters: bool,
) -> dict[str, Estimate]:
    """Every figure in reading order; a missing figure has a reason."""
    positive = None if task.positive is None else list(classes).index(task.positive)
    trials = _trials(answers, positive=positive, name=task.positive)
    effective = effective_count(answers.group)
    accuracy_low = clopper_pearson(successes=effective, trials=effective)[0]
    point = answers.table(answers.truth)
    worst = _worst(match_columns(point) if clusters else point, low=accuracy_low, task=task, classes=classes)
    metrics: dict[str, Estimate] = {}
    for name in in_reading_order({**drawn.observed, **missing}, task=task):
        if name in missing:
            metrics[name] = Estimate(None, None, None, None, missing[name])
            continue
        value, draws = drawn.observed[name], drawn.samples[name]
        low, high, reason = _interval(name, value, draws, answers=answers, trials=trials, worst=worst)
        metrics[name] = Estimate(value, low, high, p_value(observed=value, null=drawn.nulls[name]), reason)
    return metrics


def _missing(answers: CodedAnswers, *, task: Task) -> dict[str, str]:
    """Figures that these images cannot give, with the reason."""
    missing: dict[str, str] = {}
    if task.positive is not None and answers.ranks and 0.01 not in answers.fprs:
        negatives = int((answers.truth != answers.scored[0]).sum())
        needed = MIN_NON_MEMBERS[0.01]
        missing[tpr_name(0.01)] = f"{negatives} non-members are too few for an FPR of 1 % ({needed} needed)"
    if len(np.unique(answers.truth)) < 2:
        reason = "all images are of one class"
        missing["kappa"] = reason
        if answers.ranks:
            missing["auc"] = reason
        if task.positive is None:
            missing |= {"ari": reason, "nmi": reason}
        missing |= {tpr_name(fpr): reason for fpr in answers.fprs}
    return missing


def table_figures(
    tables: FloatArray,
    *,
    task: Task,
    classes: Sequence[str],
    clusters: bool,
    places: FloatArray | None = None,
) -> dict[str, FloatArray]:
    """The figures of a task that can be computed from contingency tables.

    Args:
        tables: Shape (B, C, K), rows = truth.
        task: `ari` and `nmi` for `subset` and `model`, one-class figures if there is a positive class.
        classes: Names of the rows.
        clusters: Whether columns are clusters. If so, the columns of each table are matched to classes
            first (Hungarian method), and `accuracy_unmatched` is computed from the columns as they are.
        places: Share [i][j] of class i that column j stands for in it, (C, K); default: all of its own row.

    Returns:
        Arrays of shape (B,).
    """
    matched = np.array([match_columns(table) for table in tables]) if clusters else tables
    figures = from_confusion(matched, classes=classes, positive=task.positive)
    if task.positive is None:
        figures |= {"ari": table_ari(tables), "nmi": table_nmi(tables)}
    if clusters:
        shares = np.eye(*tables.shape[-2:]) if places is None else places
        figures["accuracy_unmatched"] = (tables * shares).sum(axis=(-2, -1)) / tables.sum(axis=(-2, -1))
    return figures


@dataclass(frozen=True)
class _Trials:
    """The images that a proportion is about, and their name in messages."""

    images: BoolArray
    what: str

    @property
    def one(self) -> str:
        """With its article."""
        return f"{'an' if self.what.startswith('image') else 'a'} {self.what}"


def _trials(answers: CodedAnswers, *, positive: int | None, name: str | None) -> dict[str, _Trials]:
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


def _pairs(answers: CodedAnswers) -> list[float]:
    """For every scored class with positives and negatives: the largest number of disjoint group pairs."""
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
    answers: CodedAnswers,
    trials: Mapping[str, _Trials],
    worst: Mapping[str, float],
) -> tuple[float | None, float | None, str | None]:
    """Low, high, and the reason if there is no interval; see `estimate_metrics`."""
    about = trials.get(name)
    images = np.ones(len(answers.truth), dtype=bool) if about is None else about.images
    count = len(np.unique(answers.group[images]))
    if about is not None and count == 0:
        return None, None, f"there is no {about.what}"
    if count < MIN_GROUPS:
        kind = "" if about is None or about.images.all() else f" with {about.one}"
        return None, None, f"{count} group(s){kind} are too few for an interval ({MIN_GROUPS} needed)"
    at_one, at_zero = abs(value - 1) < TIE, abs(value) < TIE
    if about is not None and (at_one or at_zero):
        effective = effective_count(answers.group[images])
        return *clopper_pearson(successes=effective if at_one else 0.0, trials=effective), None
    if name == "auc" and (at_one or at_zero):
        low = disjoint_pairs_bound(pairs=_pairs(answers))
        return (low, 1.0, None) if at_one else (0.0, 1.0 - low, None)
    if at_one and name in worst:
        return worst[name], 1.0, None
    if spread(draws) < TIE:
        return None, None, "every resample gives the same value, so that the spread cannot be estimated"
    if np.isfinite(draws).mean() < 0.9:
        return None, None, "more than a tenth of the resamples lack a class"
    return *percentiles(draws), None


def _worst(table: FloatArray, *, low: float, task: Task, classes: Sequence[str]) -> dict[str, float]:
    """Lower bounds of table figures that are 1, from the bound of accuracy; empty if the table has errors."""
    perfect = ((table > 0).sum(axis=0) <= 1).all() and ((table > 0).sum(axis=1) <= 1).all()
    if not perfect:
        return {}
    candidates = adverse_tables(table=table, errors=(1 - low) * float(table.sum()))
    if len(candidates) == 0:
        return {}
    figures = table_figures(candidates, task=task, classes=classes, clusters=False)
    return {name: float(np.nanmin(values)) for name, values in figures.items()}


def _centred(draws: FloatArray, value: float, *, low: float) -> FloatArray:
    """Draws shifted so that their mean is the value, and clipped to [low, 1]."""
    return np.clip(draws - (np.nanmean(draws) - value), low, 1.0)
