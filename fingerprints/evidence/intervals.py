"""Every figure with a 95 % interval and a p-value.

Intervals vary groups (patients), not images, because images of a group are not independent:
- proportions (accuracy, one-class recall, specificity and precision): `bounds.proportion_interval`;
- TPR at an FPR: the threshold lies between two order statistics of the non-members (`bounds.tail_ranks`); the
  ends are those of the proportions of members above these. Groups are counted, not images;
- all others: jackknife, each group left out once (Tukey 1958), Student's t on a scale without bounds (logit;
  atanh for kappa and ARI), G - 1 degrees of freedom;
- AUC at 0 or 1: Clopper-Pearson over as many disjoint pairs of groups as can be made;
- macro averages, F1, kappa, ARI and NMI at 1: they are 1 exactly when accuracy is 1. The lower bound of
  accuracy allows a share of errors; the bound of the figure is its lowest value when these errors are
  placed where they lower it most (`bounds.adverse_tables`), with the observed class frequencies;
- fewer than 5 groups (among the images that the figure is about), a class that vanishes with one group, or a
  figure that does not change (for example kappa of a constant answer): no interval, with the reason.

P-values: labels are permuted (`coded.permute`), and p = (1 + number of permutations at least as good) / (1 +
number of permutations), which is super-uniform under the null hypothesis, also with ties (Phipson and Smyth
2010). Beside them stand the p-values of labels permuted among all images (`Evaluation.p_among_images`), and
of exchanged names (`Evaluation.p_of_names`).

Both hold for these images, this detector and these generators: they do not include the variation
between generators that are trained again. Clusters are taken as they are: how they would change with other
images is not in the interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations as permutations_of
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.tasks import Task
from fingerprints.evidence.bounds import (
    adverse_tables,
    disjoint_pairs_bound,
    effective_count,
    jackknife_interval,
    proportion_interval,
    rate_limits,
    tail_ranks,
)
from fingerprints.evidence.coded import CodedAnswers, arrangements, coded, leave_out, permute
from fingerprints.evidence.estimates import (
    MIN_GROUPS,
    MIN_NON_MEMBERS,
    TIE,
    Estimate,
    Evaluation,
    Permuted,
    in_reading_order,
    p_value,
    tpr_name,
)
from fingerprints.evidence.metrics import (
    SIGNED,
    BoolArray,
    FloatArray,
    Labels,
    from_confusion,
    match_columns,
    table_ari,
    table_nmi,
)

MOST_NAMES = 7
"""Most classes whose names are exchanged in every way (5,040)."""

ONE_ANSWER = "there is one answer for all images, so that no p-value can be computed"


def estimate_metrics(
    *,
    task: Task,
    classes: Sequence[str],
    truth: Labels,
    predicted: Labels,
    scores: NDArray[Any] | None,
    groups: Labels,
    seed: int,
    permutations: int = 999,
    clusters: bool | None = None,
    among_images: bool = True,
) -> Evaluation:
    """Every figure the task has, with interval and p-value as the module describes them.

    Args:
        task: Decides the figures: ARI and NMI for `subset` and `model`; one-class figures and TPR at
            1 % FPR (with at least 100 non-members; at 0.1 % with 1000) if there is a positive class.
        classes: The names of the labels.
        truth: True labels, shape (n,).
        predicted: Answers, shape (n,).
        scores: With a positive class (n,), higher = more likely; else (n, C) as `classes`. Only for AUC.
        groups: Group (patient) of each image, shape (n,).
        seed: Seed of permuting.
        permutations: Permutations of the labels.
        clusters: Whether answers are names of clusters; default: as the task states. They are matched to
            classes (Hungarian method), again in every draw, so that p-values account for it. Then there is
            `accuracy_unmatched` too: by name if all name classes, else as `coded.places_by_size`.
        among_images: Whether labels are permuted among all images too (`Evaluation.p_among_images`).

    Raises:
        FingerprintsError: If lengths differ, a label is unknown, or scores are not finite or misshapen.
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
    drawn = _draw(
        answers, task, classes, seed=seed, permutations=permutations, clusters=clusters, images=among_images
    )
    metrics = _estimates(answers, drawn, task=task, classes=classes, clusters=clusters)
    known = [name for name, one in metrics.items() if one.value is not None]
    return Evaluation(
        metrics=metrics,
        without={name: drawn.without[name] for name in known},
        nulls={name: drawn.nulls[name] for name in known},
        n=len(answers.truth),
        groups=frozenset(np.asarray(groups, dtype=str).tolist()),
        permuted=_permuted(answers),
        image_nulls={name: drawn.among_images[name] for name in known if name in drawn.among_images},
        name_nulls={} if clusters or task.positive else _name_nulls(answers, task, classes, metrics=metrics),
        least_p=max(float(np.exp(-arrangements(answers))), 1 / (permutations + 1)),
        groups_by_class={name: answers.groups_of(code) for code, name in enumerate(classes)},
    )


def _name_nulls(
    answers: CodedAnswers, task: Task, classes: Sequence[str], *, metrics: Mapping[str, Estimate]
) -> dict[str, FloatArray]:
    """Figures of the table with every order of the classes' columns; none above `MOST_NAMES` classes."""
    table, size = answers.table(answers.truth), len(classes)
    if size > MOST_NAMES:
        return {}
    orders = np.array(list(permutations_of(range(size))))
    rest = np.broadcast_to(np.arange(size, table.shape[1]), (len(orders), table.shape[1] - size))
    renamed = np.moveaxis(table[:, np.hstack([orders, rest])], 0, 1)
    figures = from_confusion(renamed, classes=classes, positive=task.positive)
    return {name: values for name, values in figures.items() if name in metrics}


def _permuted(answers: CodedAnswers) -> Permuted:
    pure = answers.pure_groups
    if pure.all():
        return "groups"
    return "groups, and images within mixed groups" if pure.any() else "images within groups"


@dataclass(frozen=True, eq=False)
class _Draws:
    """Figures as observed, without each block of groups `(B,)`, with permuted labels `(permutations,)`."""

    observed: dict[str, float]
    without: dict[str, FloatArray]
    nulls: dict[str, FloatArray]
    among_images: dict[str, FloatArray]


def _draw(
    answers: CodedAnswers,
    task: Task,
    classes: Sequence[str],
    *,
    seed: int,
    permutations: int,
    clusters: bool,
    images: bool,
) -> _Draws:
    ones = np.ones(len(answers.truth))
    rank_names = ["auc", *(tpr_name(fpr) for fpr in answers.fprs)] if answers.ranks else []

    def figures(tables: FloatArray, ranks: FloatArray) -> dict[str, FloatArray]:
        from_tables = table_figures(
            tables, task=task, classes=classes, clusters=clusters, places=answers.places
        )
        return from_tables | dict(zip(rank_names, ranks.T, strict=True))

    ranking = answers.ranking(answers.truth, ones, answers.below(ones))
    found = figures(answers.table(answers.truth)[None], np.array([ranking]))
    observed = {name: float(value[0]) for name, value in found.items()}
    by_group, by_image = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    several = answers.n_groups < len(answers.truth)
    return _Draws(
        observed,
        without=figures(*leave_out(answers, seed=seed)),
        nulls=figures(*permute(answers, rng=by_group, draws=permutations)),
        among_images=figures(*permute(answers, rng=by_image, draws=permutations, among_images=True))
        if images and several
        else {},
    )


def _estimates(
    answers: CodedAnswers,
    drawn: _Draws,
    *,
    task: Task,
    classes: Sequence[str],
    clusters: bool,
) -> dict[str, Estimate]:
    """Every figure in reading order; a missing figure has a reason."""
    missing = _missing(answers, task=task)
    positive = None if task.positive is None else list(classes).index(task.positive)
    point = answers.table(answers.truth)
    trials = _trials(answers, positive=positive, name=task.positive, clusters=clusters)
    worst: dict[str, float] = {}
    if answers.n_groups >= MIN_GROUPS:
        table = match_columns(point) if clusters else point
        accuracy_low = _of_proportion(trials["accuracy"], answers)[0]
        worst = _worst(table, low=accuracy_low, task=task, classes=classes)
    one_answer = len(np.unique(answers.predicted)) == 1
    metrics: dict[str, Estimate] = {}
    for name in in_reading_order({**drawn.observed, **missing}, task=task):
        if name in missing:
            metrics[name] = Estimate(None, None, None, None, missing[name])
            continue
        value = drawn.observed[name]
        interval = _interval(name, value, drawn.without[name], answers=answers, trials=trials, worst=worst)
        low, high, reason = interval
        p: float | None = p_value(observed=value, null=drawn.nulls[name])
        if one_answer and not name.startswith(("auc", "tpr")):
            p, reason = None, "; ".join(filter(None, [reason, ONE_ANSWER]))
        metrics[name] = Estimate(value, low, high, p, reason)
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
        right, total = (tables * shares).sum(axis=(-2, -1)), tables.sum(axis=(-2, -1))
        unknown = np.full_like(total, np.nan)
        figures["accuracy_unmatched"] = np.divide(right, total, out=unknown, where=total > 0)
    return figures


@dataclass(frozen=True)
class _Trials:
    """The images that a proportion is about, their name in messages, and how much each counts, (n,)."""

    images: BoolArray
    what: str
    hits: FloatArray

    @property
    def one(self) -> str:
        """With its article."""
        return f"{'an' if self.what.startswith('image') else 'a'} {self.what}"


def _trials(
    answers: CodedAnswers, *, positive: int | None, name: str | None, clusters: bool
) -> dict[str, _Trials]:
    """The figures that are proportions of images, with those images."""
    every = np.ones(len(answers.truth), dtype=bool)
    right = answers.predicted == answers.truth
    if clusters:
        right = answers.matched() == answers.truth
    trials = {key: _Trials(every, "image", right * 1.0) for key in ("accuracy", "recall_weighted")}
    trials["accuracy_unmatched"] = _Trials(every, "image", answers.places[answers.truth, answers.predicted])
    if positive is None:
        return trials
    members, called = answers.truth == positive, answers.predicted == positive
    hits = right * 1.0
    trials[f"recall_{name}"] = _Trials(members, f"{name} image", hits)
    trials[f"specificity_{name}"] = _Trials(~members, "image of another class", ~called * 1.0)
    trials[f"precision_{name}"] = _Trials(called, f"image called {name}", hits)
    return trials | {tpr_name(fpr): _Trials(members, f"{name} image", hits) for fpr in answers.fprs}


def _of_proportion(about: _Trials, answers: CodedAnswers) -> tuple[float, float]:
    """The interval of a proportion of at least two groups."""
    group, hits = answers.group[about.images], about.hits[about.images]
    sizes = np.bincount(group)
    there = sizes > 0
    return proportion_interval(
        hits=np.bincount(group, weights=hits)[there].astype(np.float64),
        sizes=sizes[there].astype(np.float64),
    )


def _of_rate(fpr: float, about: _Trials, answers: CodedAnswers) -> tuple[float, float, str | None]:
    """The interval of a true positive rate: both its threshold and the members above it are uncertain."""
    members = about.images
    limits = rate_limits(
        positive=members, scores=answers.ranks[0], groups=answers.group, rates=np.array([fpr])
    )
    low, high = (float(end[0]) for end in limits)
    effective = effective_count(answers.group[~members])
    if tail_ranks(effective=effective, count=int((~members).sum()), fpr=fpr)[0] is not None:
        return low, high, None
    return low, high, f"the non-members are worth {effective:.0f} independent ones: one image decides"


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
    without: FloatArray,
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
    if name.startswith("tpr"):
        return _of_rate(float(name.rsplit("_", 1)[1]), trials[name], answers)
    if about is not None:
        return *_of_proportion(about, answers), None
    at_one, at_zero = abs(value - 1) < TIE, abs(value) < TIE
    if name == "auc" and (at_one or at_zero):
        low = disjoint_pairs_bound(pairs=_pairs(answers))
        return (low, 1.0, None) if at_one else (0.0, 1.0 - low, None)
    if at_one and name in worst:
        return worst[name], 1.0, None
    if not np.isfinite(without).all():
        return None, None, "without one of the groups there is no image of a class"
    if np.ptp(without) < TIE:
        return None, None, "it is the same without any of the groups, so that its spread cannot be estimated"
    signed = name in SIGNED
    if at_one or abs(value - (-1 if signed else 0)) < TIE:
        return None, None, "it is at its bound, where its spread cannot be estimated"
    return *jackknife_interval(value, without, signed=signed), None


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
