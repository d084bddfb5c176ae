"""How sure it is that one system is better than another on the same images.

Two systems that see the same images are often right or wrong on the same ones, so that their separate
intervals tell little about their difference. Here both are judged together.

- Interval: delete-one-group (patient) jackknife of the difference with Student's t, the groups being the same
  for both systems. Where generators are a sample too, the jackknife over generators is added
  (`evidence.factors`). If the reference was chosen as the best, intervals hold jointly for all pairs.
- P-value: in every group the answers of the two systems are exchanged with probability one half; p = (1 +
  number of draws with a difference at least as large, in either direction) / (1 + number of draws). It is
  super-uniform if neither system is better, even if they differ in a few images only; there a jackknife
  p-value would be too small (approximate randomisation: Noreen 1989). Where generators are a sample,
  exchanges say nothing about other generators, and p is that of the interval.

A system may consist of several runs (seeds). Its figure is then the mean over them, and the results are
conditional on these runs: the interval does not include the variation between seeds, unless each generator
has runs of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import Task
from fingerprints.evidence.bounds import LEVEL, effective_count
from fingerprints.evidence.estimates import MIN_GROUPS, Estimate, p_value
from fingerprints.evidence.factors import Factor, half_widths, joint_level, p_values
from fingerprints.evidence.metrics import (
    SIGNED,
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


@dataclass(frozen=True)
class Pairing:
    """Systems on the same images.

    Attributes:
        figures: Figure of each system, with an interval for it alone.
        differences: Every other system against the reference.
        covered: What the intervals cover: name and number of units of each factor.
    """

    figures: dict[str, Estimate]
    differences: dict[str, PairedDifference]
    covered: tuple[tuple[str, int], ...]


def paired_differences(
    *,
    task: Task,
    classes: Sequence[str],
    truth: Labels,
    answers: Mapping[str, Sequence[Labels]],
    reference: str,
    groups: Labels,
    strata: Labels | None = None,
    generators: Labels | None = None,
    chosen: bool = False,
    seed: int,
    permutations: int = 999,
) -> Pairing:
    """Every system against the reference in the official metric.

    The metric is the mean over strata. A group of several strata is left out or exchanged in all at once.

    Args:
        task: Names the metric.
        classes: Names of the labels.
        truth: True labels, shape (n,).
        answers: By system, one array (n,) for each run, clusters matched to classes (`match_clusters`).
        reference: The system that the others are compared with.
        groups: Group of each image, shape (n,).
        strata: Stratum of each image, shape (n,); one for all by default.
        generators: Generator of each image, one per stratum, shape (n,), if generators are a sample.
        chosen: Whether the reference is the best of these systems.
        seed: Seed of exchanging.
        permutations: Draws of exchanged answers.

    Raises:
        FingerprintsError: If lengths differ, or a true label or the reference is unknown.
    """
    _require_pairs(truth, answers, reference=reference, groups=groups)
    coded = _Coded.of(classes, truth, answers)
    names, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    given = np.zeros(len(truth)) if strata is None else np.asarray(strata, dtype=str)
    parts = [
        _Part.of(coded, np.flatnonzero(given == level), codes, len(names), task) for level in np.unique(given)
    ]
    factors = _factors(parts, generators)
    lowest = -1.0 if task.official in SIGNED else 0.0
    found = _Found(lowest, list(answers), np.mean([part.values for part in parts], axis=0), factors, parts)
    others = [name for name in answers if name != reference]
    if len(factors) > 1:
        p = found.p_values(others, reference)
    else:
        p = _exchanged(parts, others, reference, groups=len(names), seed=seed, permutations=permutations)
    effective = effective_count(codes.astype(np.int64))
    differences = {
        name: PairedDifference(
            *(difference, estimate.low, estimate.high, p[name], len(truth), len(names), effective),
            discordant=coded.discordant(name, reference),
            reason=estimate.reason,
        )
        for name, difference, estimate in found.differences(others, reference, jointly=chosen)
    }
    return Pairing(found.figures(), differences, tuple((each.name, each.count) for each in factors))


def _factors(parts: Sequence[_Part], generators: Labels | None) -> list[Factor]:
    """Groups, and generators if they are a sample and there are several."""
    factors = [Factor.jackknife("groups", np.mean([part.without for part in parts], axis=0))]
    if generators is not None:
        values = np.array([part.values for part in parts])
        owners = np.array([generators[part.first] for part in parts])
        if len(set(owners)) > 1:
            without = [values[owners != owner].mean(axis=0) for owner in np.unique(owners)]
            factors.append(Factor.jackknife("generators", np.array(without)))
    return factors


@dataclass(frozen=True, eq=False)
class _Part:
    """One stratum.

    Attributes:
        first: Place of its first image.
        cells: For each run of each system, the number of images in each cell of its table, by group:
            (cells, G).
        figure: The metric of tables (cells, b), shape (b,).
        values: Figures of the k systems, shape (k,).
        without: The same without each of the G groups, shape (G, k).
        groups: Number of groups that have an image here.
    """

    first: int
    cells: dict[str, list[csr_array]]
    figure: Callable[[FloatArray], FloatArray]
    values: FloatArray
    without: FloatArray
    groups: int

    @classmethod
    def of(cls, coded: _Coded, inside: IntArray, codes: IntArray, count: int, task: Task) -> _Part:
        def figure(tables: FloatArray) -> FloatArray:
            return official_figure(tables.T.reshape(-1, *coded.shape), task=task, classes=coded.classes)

        cells, there = coded.by_group(inside, codes, count), np.unique(codes[inside])
        whole = {name: [_whole(run) for run in runs] for name, runs in cells.items()}
        values = np.array([np.mean([figure(table)[0] for table in runs]) for runs in whole.values()])
        without = np.tile(values, (count, 1))
        for column, (name, runs) in enumerate(cells.items()):
            left = [
                figure(table - run[:, there].toarray()) for run, table in zip(runs, whole[name], strict=True)
            ]
            without[there, column] = np.mean(left, axis=0)
        return cls(int(inside[0]), cells, figure, values, without, len(there))


def _whole(by_group: csr_array) -> FloatArray:
    """The table of all groups, (cells, 1)."""
    return np.asarray(by_group.sum(axis=1), dtype=np.float64)[:, None]


@dataclass(frozen=True, eq=False)
class _Found:
    """Figures (k,) of systems, in [lowest, 1], and how uncertain they are."""

    lowest: float
    names: list[str]
    values: FloatArray
    factors: list[Factor]
    parts: list[_Part]

    def figures(self) -> dict[str, Estimate]:
        """Each figure with its own interval."""
        every = self._estimates(np.eye(len(self.names)), "figure", level=LEVEL)
        return dict(zip(self.names, every, strict=True))

    def differences(
        self, others: list[str], reference: str, *, jointly: bool
    ) -> Iterator[tuple[str, float, Estimate]]:
        """Name, difference to the reference, its estimate; `jointly`: all pairs' intervals hold together."""
        level = LEVEL
        if jointly and not self._too_few:
            one, other = np.triu_indices(len(self.names), k=1)
            every = np.eye(len(self.names))
            level = joint_level(self.factors, every[one] - every[other])
        contrasts = self._against(others, reference)
        estimates = self._estimates(contrasts, "difference", level=level)
        return zip(others, (contrasts @ self.values).tolist(), estimates, strict=True)

    def p_values(self, others: list[str], reference: str) -> dict[str, float]:
        """P-values of the differences by Student's t."""
        contrasts = self._against(others, reference)
        found = p_values(self.factors, contrasts, contrasts @ self.values).tolist()
        return dict(zip(others, found, strict=True))

    @property
    def _too_few(self) -> str | None:
        fewest = min(part.groups for part in self.parts)
        if fewest >= MIN_GROUPS:
            return None
        return f"{fewest} group(s) are too few for an interval ({MIN_GROUPS} needed)"

    def _against(self, others: list[str], reference: str) -> FloatArray:
        every = np.eye(len(self.names))
        return every[[self.names.index(name) for name in others]] - every[self.names.index(reference)]

    def _estimates(self, contrasts: FloatArray, what: str, *, level: float) -> list[Estimate]:
        reason = self._too_few or f"the {what} is the same, or has no value, without any of the groups"
        values, halves = contrasts @ self.values, half_widths(self.factors, contrasts, level=level)
        plus, minus = np.maximum(contrasts, 0).sum(axis=1), np.minimum(contrasts, 0).sum(axis=1)
        lows = np.maximum(
            values - halves, plus * self.lowest + minus
        )  # no figure is below `lowest` or above 1
        highs = np.minimum(values + halves, plus + minus * self.lowest)
        return [
            Estimate(value, low, high, None)
            if np.isfinite(low) and not self._too_few
            else Estimate(value, None, None, None, reason)
            for value, low, high in zip(values.tolist(), lows.tolist(), highs.tolist(), strict=True)
        ]


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

    def by_group(self, inside: IntArray, codes: IntArray, count: int) -> dict[str, list[csr_array]]:
        """For each run, the number of these images in each cell of its table, by group: (cells, groups)."""
        size, ones = (self.shape[0] * self.shape[1], count), np.ones(len(inside))
        first = self.rows[inside] * self.shape[1]
        return {
            name: [csr_array((ones, (first + run[inside], codes[inside])), shape=size) for run in runs]
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


def _exchanged(
    parts: Sequence[_Part],
    others: Sequence[str],
    reference: str,
    *,
    groups: int,
    seed: int,
    permutations: int,
) -> dict[str, float]:
    """P-values of the differences to the reference, with answers exchanged by group."""
    rng = np.random.default_rng(seed)
    whole = [{name: [_whole(run) for run in runs] for name, runs in part.cells.items()} for part in parts]
    nulls: dict[str, list[FloatArray]] = {name: [] for name in others}
    for size in _blocks(permutations, groups):
        trades = (rng.random((groups, size)) < 0.5).astype(np.float64)
        for name in others:
            differences = []
            for part, totals in zip(parts, whole, strict=True):
                for a, total_a in zip(part.cells[name], totals[name], strict=True):
                    for b, total_b in zip(part.cells[reference], totals[reference], strict=True):
                        traded = total_a + (b - a) @ trades
                        differences.append(part.figure(traded) - part.figure(total_a + total_b - traded))
            nulls[name].append(np.mean(differences, axis=0))
    columns = list(parts[0].cells)
    values = np.mean([part.values for part in parts], axis=0)
    observed = {name: abs(values[columns.index(name)] - values[columns.index(reference)]) for name in others}
    return {
        name: p_value(observed=float(observed[name]), null=np.abs(np.concatenate(draws)))
        for name, draws in nulls.items()
    }


def _blocks(draws: int, groups: int) -> list[int]:
    """Sizes of blocks that make up the draws."""
    most = max(1, _BLOCK // groups)
    return [min(most, draws - start) for start in range(0, draws, most)]
