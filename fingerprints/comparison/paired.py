"""Compares systems on the same images with the best of them, or with a named one."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fingerprints.comparison.answers import Truth, matched_answers, read_truth
from fingerprints.comparison.systems import DataSet, System
from fingerprints.comparison.tables import ranked, system_cell
from fingerprints.core.errors import FingerprintsError, nearest
from fingerprints.evidence.multiplicity import benjamini_hochberg, holm
from fingerprints.evidence.paired import PairedDifference, paired_differences

TRADES_PER_COMPARISON = 40
"""With m comparisons and B draws the smallest adjusted p is m / (B + 1): here 0.025 for every m."""

MOST_TRADES = 20_000


@dataclass(frozen=True)
class Comparison:
    """One system against the reference; p-values adjusted for all comparisons of the data set."""

    system: System
    paired: PairedDifference
    holm: float
    benjamini_hochberg: float


@dataclass(frozen=True)
class Comparisons:
    """All comparisons of a data set.

    Attributes:
        reference: The system that the others are compared with; `None` if nothing could be compared.
        rows: The others, in the order of their figures.
        family: Number of comparisons that p-values are adjusted for.
        notes: How the comparison was made, or why it was not possible.
    """

    reference: System | None
    rows: tuple[Comparison, ...]
    family: int
    notes: tuple[str, ...]


def find_baseline(sets: Sequence[DataSet], name: str) -> list[System | None]:
    """The system of that name in each data set: its row's name, its experiment, or the folder of a run.

    Raises:
        FingerprintsError: If no data set has it, or it matches several systems of one data set.
    """
    found: list[System | None] = []
    for data in sets:
        able = [system for system in data.systems if system.kind != "control"]
        exact = [system for system in able if name == system.name]
        alike = exact or [
            system
            for system in able
            if any(
                name in (run.experiment, run.name, run.folder.name, str(run.folder)) for run in system.records
            )
        ]
        if len(alike) > 1:
            raise FingerprintsError(
                f"'{name}' matches {len(alike)} systems.",
                where="baseline",
                fix="one of " + "; ".join(shlex.quote(f"baseline={system.name}") for system in alike),
            )
        found.append(alike[0] if alike else None)
    if not any(found):
        names = [system.name for data in sets for system in data.systems if system.kind != "control"]
        near = nearest(name, names)
        raise FingerprintsError(
            f"There is no system '{name}'.",
            where="baseline",
            fix=shlex.quote(f"baseline={near[0]}") if near else f"one of {'; '.join(names)}",
        )
    return found


def compare(
    data: DataSet, *, baseline: System | None = None, seed: int, resamples: int, permutations: int
) -> Comparisons:
    """Paired differences in the official metric on the test part, without controls.

    Without a baseline the reference is the system with the highest test figure. Since this choice depends on
    the figures that are compared, p-values are adjusted for all possible pairs and not only for those shown.

    Args:
        data: The data set.
        baseline: The reference.
        seed: Seed of resampling and exchanging.
        resamples: Bootstrap draws.
        permutations: Smallest number of draws of exchanged answers; with many comparisons more are made,
            `TRADES_PER_COMPARISON` for each.
    """
    able = [
        system
        for system in ranked(data.systems, data.task)
        if system.kind != "control" and system_cell(system, "test", data.task.official).value is not None
    ]
    if len(able) < 2:
        return _nothing("No paired differences: fewer than two systems have test figures.")
    try:
        truth = _truth(able)
    except FingerprintsError as error:
        return _nothing(f"No paired differences: {error.what} ({error.where})")
    answers, notes = _answers(able, truth)
    there = [system for system in able if system in answers]
    named = baseline is not None and baseline in there
    if baseline is not None and not named:
        notes.append(f"'{baseline.name}' cannot be the reference here: its answers are missing.")
    if len(there) < 2:
        return _nothing(*notes, "No paired differences: fewer than two systems are left.")
    reference = baseline if baseline is not None and named else there[0]
    others = [system for system in there if system is not reference]
    family = len(others) if named else len(there) * (len(there) - 1) // 2
    trades = max(permutations, min(TRADES_PER_COMPARISON * family - 1, MOST_TRADES))
    keys = {system: str(place) for place, system in enumerate(there)}
    found = paired_differences(
        task=data.task,
        classes=truth.classes,
        truth=truth.labels,
        answers={keys[system]: answers[system] for system in there},
        reference=keys[reference],
        groups=truth.groups,
        strata=truth.generators,
        seed=seed,
        resamples=resamples,
        permutations=trades,
    )
    notes += _trade_notes(family, trades)
    notes += _how(reference, truth, named=named, family=family, shown=len(others))
    return Comparisons(
        reference,
        _rows({system: found[keys[system]] for system in others}, family=family),
        family,
        tuple(notes),
    )


def _nothing(*notes: str) -> Comparisons:
    return Comparisons(None, (), 0, notes)


def _rows(found: Mapping[System, PairedDifference], *, family: int) -> tuple[Comparison, ...]:
    p = [paired.p for paired in found.values()]
    adjusted = zip(found, holm(p, family=family), benjamini_hochberg(p, family=family), strict=True)
    return tuple(Comparison(system, found[system], float(h), float(b)) for system, h, b in adjusted)


def _trade_notes(family: int, trades: int) -> list[str]:
    least = family / (trades + 1)
    if least <= 0.05:
        return []
    return [
        f"With {trades:,} draws no adjusted p can be below {least:.2f}: compare fewer systems, or give "
        "permutations=N."
    ]


def _truth(systems: Sequence[System]) -> Truth:
    """The truth of the images, from the first run whose data still exist."""
    problem: FingerprintsError | None = None
    for system in systems:
        for record in system.records:
            try:
                return read_truth(record)
            except FingerprintsError as error:
                problem = problem or error
    assert problem is not None
    raise problem


def _answers(systems: Sequence[System], truth: Truth) -> tuple[dict[System, list[np.ndarray]], list[str]]:
    """Answers of each system's runs; a system is left out if one of its runs has other images."""
    answers: dict[System, list[np.ndarray]] = {}
    notes: list[str] = []
    for system in systems:
        try:
            answers[system] = [matched_answers(record, truth) for record in system.records]
        except FingerprintsError as error:
            what = error.what.split("\n", 1)[0].rstrip(": ")
            notes.append(f"'{system.name}' is in no paired difference: {what} ({error.where})")
    return answers, notes


def _how(reference: System, truth: Truth, *, named: bool, family: int, shown: int) -> list[str]:
    which, why = ", the one with the highest test figure", ""
    if named:
        which = ""
    else:
        why = f" (all possible pairs, since the reference was chosen by these figures; {shown} shown)"
    images = f"{len(truth.ids):,} images, {truth.grouped_by}"
    return [
        f"Difference to '{reference.name}'{which}, on {images}. Interval: paired bootstrap over groups; p: "
        "two-sided, the two systems exchange their answers group by group. With several runs: the mean over "
        "them; the interval is conditional on these runs and does not include the variation between seeds.",
        f"p-values are adjusted for {family} comparison(s){why}: by Holm (probability of any false finding) "
        "and by Benjamini and Hochberg (share of false findings).",
    ]
