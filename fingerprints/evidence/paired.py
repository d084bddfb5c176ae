"""How sure it is that one system is better than another on the same images.

Two systems that see the same images are often right or wrong on the same ones, so that their separate
intervals tell little about their difference. Here both are resampled together.

- Interval: percentile bootstrap of the difference. Groups (patients) are resampled, the same for both
  systems (Efron and Tibshirani 1993, chapter 16).
- P-value: in every group the answers of the two systems are exchanged with probability one half; p = (1 +
  number of draws with a difference at least as large, in either direction) / (1 + number of draws). It is
  super-uniform if neither system is better, even if they differ in a few images only; there a bootstrap
  p-value would be too small (approximate randomisation: Noreen 1989).

A system may consist of several runs (seeds). Its figure is then the mean over them, and the results are
conditional on these runs: the interval does not include the variation between seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import Task
from fingerprints.evidence.bounds import effective_count
from fingerprints.evidence.estimates import MIN_GROUPS, p_value, percentiles
from fingerprints.evidence.metrics import (
    FloatArray,
    IntArray,
    Labels,
    contingency,
    encode,
    from_confusion,
    table_ari,
)

_BLOCK = 4_000_000
"""Largest number of cells in a block of draws (groups x draws); limits the memory to about 100 MB."""


@dataclass(frozen=True)
class PairedDifference:
    """A system against the reference on the same images.

    Attributes:
        difference: Figure of the system minus that of the reference.
        low: Lower end of its 95 % interval, or `None`.
        high: Upper end of it.
        p: Two-sided, not adjusted for other comparisons.
        n: Images.
        n_groups: Groups.
        effective: Kish's effective number of groups (`bounds.effective_count`).
        discordant: Number of images that exactly one of the two answers correctly, mean over pairs of runs.
        reason: Why there is no interval.
    """

    difference: float
    low: float | None
    high: float | None
    p: float
    n: int
    n_groups: int
    effective: float
    discordant: float
    reason: str | None = None


def official_figure(tables: FloatArray, *, task: Task, classes: Sequence[str]) -> FloatArray:
    """The task's official metric of contingency tables (B, C, K), rows = truth, in order; shape (B,)."""
    if task.official == "ari":
        return table_ari(tables)
    return from_confusion(tables, classes=classes, positive=task.positive)[task.official]


def paired_differences(
    *,
    task: Task,
    classes: Sequence[str],
    truth: Labels,
    answers: Mapping[str, Sequence[Labels]],
    reference: str,
    groups: Labels,
    strata: Labels | None = None,
    seed: int,
    resamples: int = 1000,
    permutations: int = 999,
) -> dict[str, PairedDifference]:
    """Every system against the reference in the official metric.

    All systems share the draws. The metric is the mean over strata (generators). They are resampled
    separately, unless some groups are in several of them; then all groups are drawn together.

    Args:
        task: Names the metric.
        classes: Names of the labels.
        truth: True labels, shape (n,).
        answers: By system, one array (n,) for each run, clusters matched to classes (`match_clusters`). A
            name that is not a class is a wrong answer.
        reference: The system that the others are compared with.
        groups: Group of each image, shape (n,).
        strata: Stratum of each image, shape (n,); one for all by default.
        seed: Seed of resampling and exchanging.
        resamples: Bootstrap draws.
        permutations: Draws of exchanged answers.

    Returns:
        One difference by system, without the reference.

    Raises:
        FingerprintsError: If lengths differ, or a true label or the reference is unknown.
    """
    _require_pairs(truth, answers, reference=reference, groups=groups)
    coded = _Coded.of(classes, truth, answers)
    strata = [""] * len(truth) if strata is None else strata
    plan = _Plan.of(np.asarray(groups, dtype=str), np.asarray(strata, dtype=str), seed=seed)
    found = {name: _Draws.empty(resamples, permutations) for name in answers if name != reference}
    for part in plan.parts:
        here = _stratum(coded, part, reference, task=task, like=found)
        found = {name: before.plus(here[name], share=1 / len(plan.parts)) for name, before in found.items()}
    return {
        name: _difference(draws, plan, task=task, n=len(truth), discordant=coded.discordant(name, reference))
        for name, draws in found.items()
    }


@dataclass(frozen=True)
class _Part:
    """Images of one stratum, shape (m,), their groups from 0 to `count` - 1, and the seed of its draws."""

    inside: IntArray
    group: IntArray
    count: int
    seed: np.random.SeedSequence


@dataclass(frozen=True)
class _Plan:
    """How strata are drawn: separately, or, if some groups are in several strata, all groups together.

    A patient of two generators then has the same weight, and the same exchange, in both.
    """

    parts: list[_Part]
    n_groups: int
    fewest: int
    effective: float

    @classmethod
    def of(cls, groups: NDArray[np.str_], strata: NDArray[np.str_], *, seed: int) -> _Plan:
        names, codes = np.unique(groups, return_inverse=True)
        levels = np.unique(strata)
        seeds = np.random.SeedSequence(seed).spawn(len(levels))
        parts, fewest, effective = [], len(names), 0.0
        shared = sum(len(np.unique(codes[strata == level])) for level in levels) > len(names)
        for level, child in zip(levels, seeds, strict=True):
            inside = np.flatnonzero(strata == level)
            there, own = np.unique(codes[inside], return_inverse=True)
            fewest = min(fewest, len(there))
            effective += effective_count(own.astype(np.int64))
            if shared:
                parts.append(_Part(inside, codes[inside], len(names), np.random.SeedSequence(seed)))
            else:
                parts.append(_Part(inside, own, len(there), child))
        whole = effective_count(codes.astype(np.int64))
        return cls(parts, len(names), fewest, whole if shared else effective)


def _require_pairs(
    truth: Labels, answers: Mapping[str, Sequence[Labels]], *, reference: str, groups: Labels
) -> None:
    if reference not in answers:
        raise FingerprintsError(
            f"The reference '{reference}' is not among the compared systems.",
            where="baseline",
            fix=f"one of {', '.join(answers)}",
        )
    lengths = {len(truth), len(groups), *(len(run) for runs in answers.values() for run in runs)}
    if len(lengths) > 1 or lengths == {0}:
        raise FingerprintsError(
            f"Numbers of true labels, groups and answers differ or are 0: {sorted(lengths)}.",
            fix="give one of each for every image, and at least one image",
        )


@dataclass(frozen=True)
class _Coded:
    """Labels as numbers: true ones (n,), answers by system and run (n,); classes and shape of their table."""

    rows: IntArray
    columns: dict[str, list[IntArray]]
    classes: Sequence[str]
    shape: tuple[int, int]

    @classmethod
    def of(cls, classes: Sequence[str], truth: Labels, answers: Mapping[str, Sequence[Labels]]) -> _Coded:
        given = {str(label) for runs in answers.values() for run in runs for label in np.unique(run)}
        names = [*classes, *sorted(given - set(classes))]
        columns = {name: [encode(run, classes=names) for run in runs] for name, runs in answers.items()}
        return cls(encode(truth, classes=classes), columns, classes, (len(classes), len(names)))

    def by_group(self, part: _Part) -> dict[str, list[csr_array]]:
        """For each run, the number of images in each cell of its table, by group: (cells, groups)."""
        size, ones = (self.shape[0] * self.shape[1], part.count), np.ones(len(part.inside))
        first = self.rows[part.inside] * self.shape[1]
        return {
            name: [csr_array((ones, (first + run[part.inside], part.group)), shape=size) for run in runs]
            for name, runs in self.columns.items()
        }

    def discordant(self, name: str, reference: str) -> float:
        """Images that exactly one of two systems answers correctly, mean over pairs of runs."""
        here, there = ([run == self.rows for run in self.columns[system]] for system in (name, reference))
        return float(np.mean([(a != b).sum() for a in here for b in there]))


def match_clusters(
    *, truth: Labels, predicted: Labels, classes: Sequence[str], stranger: str = "cluster {}"
) -> list[str]:
    """Names of clusters replaced by the classes that the Hungarian method assigns to them.

    Args:
        truth: True labels, or the labels of a run to align with, shape (n,).
        predicted: Names of clusters, shape (n,).
        classes: The names to give.
        stranger: New name of a cluster without a class; `{}` stands for its old name.

    Returns:
        n names.
    """
    clusters, columns = np.unique(np.asarray(predicted, dtype=str), return_inverse=True)
    rows = encode(truth, classes=classes)
    table = contingency(rows=rows, columns=columns, shape=(len(classes), len(clusters)))
    given = {int(c): classes[int(r)] for r, c in zip(*linear_sum_assignment(-table), strict=True)}
    names = [given.get(index, stranger.format(cluster)) for index, cluster in enumerate(clusters)]
    return [names[index] for index in columns]


@dataclass(frozen=True)
class _Draws:
    """A difference, its bootstrap draws (resamples,), and draws with exchanged answers (permutations,)."""

    value: float
    samples: FloatArray
    null: FloatArray

    @classmethod
    def empty(cls, resamples: int, permutations: int) -> _Draws:
        return cls(0.0, np.zeros(resamples), np.zeros(permutations))

    def plus(self, other: _Draws, *, share: float) -> _Draws:
        return _Draws(
            self.value + share * other.value,
            self.samples + share * other.samples,
            self.null + share * other.null,
        )


def _stratum(
    coded: _Coded, part: _Part, reference: str, *, task: Task, like: Mapping[str, _Draws]
) -> dict[str, _Draws]:
    """Difference of every system with its draws within one stratum."""

    def figure(tables: FloatArray) -> FloatArray:
        return official_figure(tables.T.reshape(-1, *coded.shape), task=task, classes=coded.classes)

    cells, groups = coded.by_group(part), part.count
    bootstrap, trading = (np.random.default_rng(child) for child in part.seed.spawn(2))
    first = next(iter(like.values()), None)
    resamples, permutations = (0, 0) if first is None else (len(first.samples), len(first.null))
    whole = {
        name: [np.asarray(run.sum(axis=1))[:, None] for run in runs] for name, runs in cells.items()
    }  # each (cells, 1)
    values = {name: float(np.mean([figure(table)[0] for table in runs])) for name, runs in whole.items()}
    samples: dict[str, list[FloatArray]] = {name: [] for name in cells}
    for size in _blocks(resamples, groups):
        picks = bootstrap.integers(groups, size=(size, groups))
        picks += groups * np.arange(size)[:, None]
        weights = np.bincount(picks.ravel(), minlength=size * groups).reshape(size, groups)
        weights = np.ascontiguousarray(weights.T, dtype=np.float64)
        for name, runs in cells.items():
            samples[name].append(np.mean([figure(run @ weights) for run in runs], axis=0))
    nulls: dict[str, list[FloatArray]] = {name: [] for name in like}
    for size in _blocks(permutations, groups):
        trades = (trading.random((groups, size)) < 0.5).astype(np.float64)
        for name in like:
            pairs = [
                (a, b, total_a, total_b)
                for a, total_a in zip(cells[name], whole[name], strict=True)
                for b, total_b in zip(cells[reference], whole[reference], strict=True)
            ]
            differences = []
            for a, b, total_a, total_b in pairs:
                traded = total_a + (b - a) @ trades
                differences.append(figure(traded) - figure(total_a + total_b - traded))
            nulls[name].append(np.mean(differences, axis=0))

    def joined(draws: Sequence[FloatArray]) -> FloatArray:
        return np.concatenate(draws) if draws else np.empty(0)

    rival = joined(samples[reference])
    return {
        name: _Draws(values[name] - values[reference], joined(samples[name]) - rival, joined(nulls[name]))
        for name in like
    }


def _blocks(draws: int, groups: int) -> list[int]:
    """Sizes of blocks that make up the draws."""
    most = max(1, _BLOCK // groups)
    return [min(most, draws - start) for start in range(0, draws, most)]


def _difference(draws: _Draws, plan: _Plan, *, task: Task, n: int, discordant: float) -> PairedDifference:
    samples = draws.samples
    if task.official == "ari" and samples.size:
        # Copies of an image agree with each other; this favours the better of two partitions.
        samples = samples - np.nanmean(samples) + draws.value
    low = high = reason = None
    if plan.fewest < MIN_GROUPS:
        reason = f"{plan.fewest} group(s) are too few for an interval ({MIN_GROUPS} needed)"
    elif not np.isfinite(samples).mean() >= 0.9:
        reason = "more than a tenth of the resamples lack a class"
    elif np.nanmax(samples) - np.nanmin(samples) < 1e-12:
        reason = "every resample gives the same difference"
    else:
        low, high = percentiles(samples)
    p = p_value(observed=abs(draws.value), null=np.abs(draws.null))
    return PairedDifference(draws.value, low, high, p, n, plan.n_groups, plan.effective, discordant, reason)
