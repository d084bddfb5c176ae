"""Compares systems on the same images with the best of them, or with a named one."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import lcm

import numpy as np
from numpy.typing import NDArray

from fingerprints.comparison.answers import Truth, matched_answers, read_truth
from fingerprints.comparison.systems import DataSet, Generators, System
from fingerprints.comparison.tables import ranked, system_cell
from fingerprints.core.errors import FingerprintsError, nearest
from fingerprints.evidence.estimates import Estimate
from fingerprints.evidence.multiplicity import benjamini_hochberg, holm
from fingerprints.evidence.paired import PairedDifference, paired_differences
from fingerprints.runs.folder import RunRecord

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
        figures: Figure of each compared system, if its interval covers more than those of its runs do.
    """

    reference: System | None
    rows: tuple[Comparison, ...]
    family: int
    notes: tuple[str, ...]
    figures: Mapping[System, Estimate] = field(default_factory=dict)


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
    data: DataSet,
    *,
    baseline: System | None = None,
    generators: Generators = "random",
    seed: int,
    permutations: int,
) -> Comparisons:
    """Paired differences in the official metric on the test part, without controls.

    Without a baseline the reference is the system with the highest test figure. Since these figures choose
    it, intervals hold jointly for all possible pairs, and p-values are adjusted for all of them.

    Args:
        data: The data set.
        baseline: The reference.
        generators: Whether the generators are a sample: those of the benchmarks, or of the one benchmark.
        seed: Seed of exchanging.
        permutations: Least number of draws of exchanged answers; see `TRADES_PER_COMPARISON`.
    """
    able = _able(data)
    if len(able) < 2:
        return _nothing("No paired differences: fewer than two systems have test figures.")
    try:
        asked, answers, notes = _asked(able, data)
    except FingerprintsError as error:
        return _nothing(f"No paired differences: {error.what} ({error.where})")
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
        classes=asked.classes,
        truth=asked.labels,
        answers={keys[system]: answers[system] for system in there},
        reference=keys[reference],
        groups=asked.groups,
        strata=asked.strata,
        generators=asked.generators if generators == "random" else None,
        chosen=not named,
        seed=seed,
        permutations=trades,
    )
    covered = dict(found.covered)
    notes += [] if "generators" in covered else _trade_notes(family, trades)
    notes += _how(reference, asked, covered, named=named, family=family, shown=len(others))
    rows = _rows({system: found.differences[keys[system]] for system in others}, family=family)
    wider = there if "generators" in covered else []
    figures = {system: found.figures[keys[system]] for system in wider}
    return Comparisons(reference, rows, family, tuple(notes), figures)


def _able(data: DataSet) -> list[System]:
    """The systems with test figures, best first, without controls."""
    return [
        system
        for system in ranked(data.systems, data.task)
        if system.kind != "control" and system_cell(system, "test", data.task.official).value is not None
    ]


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


@dataclass(frozen=True)
class _Asked:
    """The images of all benchmarks, one benchmark after the other.

    Attributes:
        labels: True labels, `(n,)`.
        groups: Group of each image, `(n,)`; a patient of two benchmarks is one group.
        strata: Benchmark and generator of each image, `(n,)`.
        generators: What was trained again: the benchmark, or the generator in the only one, `(n,)`.
        classes: The names of the labels.
        benchmarks: Number of benchmarks.
        grouped_by: Definition of a group, in words.
    """

    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    strata: NDArray[np.str_]
    generators: NDArray[np.str_]
    classes: tuple[str, ...]
    benchmarks: int
    grouped_by: str

    @classmethod
    def of(cls, truths: Sequence[Truth]) -> _Asked:
        numbers = np.concatenate([np.full(len(truth.ids), str(i)) for i, truth in enumerate(truths)])
        generators = np.concatenate([truth.generators for truth in truths])
        return cls(
            labels=np.concatenate([truth.labels for truth in truths]),
            groups=np.concatenate([truth.groups for truth in truths]),
            strata=np.char.add(np.char.add(numbers, " "), generators),
            generators=numbers if len(truths) > 1 else generators,
            classes=tuple(dict.fromkeys(name for truth in truths for name in truth.classes)),
            benchmarks=len(truths),
            grouped_by="; ".join(dict.fromkeys(truth.grouped_by for truth in truths)),
        )


def _asked(
    able: Sequence[System], data: DataSet
) -> tuple[_Asked, dict[System, list[NDArray[np.str_]]], list[str]]:
    """The images, and for each run the answers about them; systems without answers to all are left out.

    With several benchmarks, a system has as many columns of answers as make every run of a benchmark count
    equally often.
    """
    truths, found, notes = [], {system: list[list[NDArray[np.str_]]]() for system in able}, list[str]()
    for number, members in enumerate(data.benchmarks, start=1):
        folders = {record.folder for record in members}
        own = {system: [run for run in system.records if run.folder in folders] for system in found}
        for system in [system for system, runs in own.items() if not runs]:
            notes.append(
                f"'{system.name}' is in no paired difference: it has no run on benchmark {number} of "
                f"{len(data.benchmarks)} ({members[0].setting('data.root')})"
            )
            del own[system], found[system]
        truths.append(_truth([run for runs in own.values() for run in runs] or members))
        answers, missing = _answers(own, truths[-1])
        notes += missing
        found = {system: [*before, answers[system]] for system, before in found.items() if system in answers}
    joined = {}
    for system, parts in found.items():
        count = lcm(*(len(runs) for runs in parts))
        joined[system] = [np.concatenate([runs[i % len(runs)] for runs in parts]) for i in range(count)]
    return _Asked.of(truths), joined, notes


def _truth(records: Sequence[RunRecord]) -> Truth:
    """The truth of the images, from the first run whose data still exist."""
    problem: FingerprintsError | None = None
    for record in records:
        try:
            return read_truth(record)
        except FingerprintsError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _answers(
    runs: Mapping[System, Sequence[RunRecord]], truth: Truth
) -> tuple[dict[System, list[NDArray[np.str_]]], list[str]]:
    """Answers of each system's runs; a system is left out if one of its runs has other images."""
    answers: dict[System, list[NDArray[np.str_]]] = {}
    notes: list[str] = []
    for system, records in runs.items():
        try:
            answers[system] = [matched_answers(record, truth) for record in records]
        except FingerprintsError as error:
            what = error.what.split("\n", 1)[0].rstrip(": ")
            notes.append(f"'{system.name}' is in no paired difference: {what} ({error.where})")
    return answers, notes


def _how(
    reference: System,
    asked: _Asked,
    covered: Mapping[str, int],
    *,
    named: bool,
    family: int,
    shown: int,
) -> list[str]:
    which = "" if named else ", the one with the highest test figure"
    images = f"{len(asked.labels):,} images, {asked.grouped_by}"
    if asked.benchmarks > 1:
        images = f"{images}; mean over {asked.benchmarks} benchmarks"
    joint = (
        ""
        if named
        else (
            " Intervals of differences hold jointly for all possible pairs (largest |t|), since the "
            "reference was chosen by these figures."
        )
    )
    why = "" if named else f" (all possible pairs, for the same reason; {shown} shown)"
    return [
        f"Difference to '{reference.name}'{which}, on {images}.",
        f"Intervals cover {' and '.join(f'{count:,} {name}' for name, count in covered.items())} (jackknife, "
        f"Student's t){_not_covered(asked, covered)}.{joint}",
        f"p: two-sided{_tested(covered)}. Adjusted for {family} comparison(s){why}: by Holm (probability of "
        "any false finding) and by Benjamini and Hochberg (share of false findings).",
    ]


def _tested(covered: Mapping[str, int]) -> str:
    if "generators" in covered:
        return ", 1 minus the level at which the difference's own interval ends at 0"
    return ", the two systems exchange their answers group by group"


def _not_covered(asked: _Asked, covered: Mapping[str, int]) -> str:
    """What else varies: generators that are fixed, and seeds of training."""
    if asked.benchmarks > 1:
        return "; generators are those of a benchmark, with the training images and the detectors' seeds"
    seeds = "with several runs, the mean over them, without the variation between seeds"
    if "generators" in covered:
        return f"; {seeds}; generators=fixed: for these generators alone"
    return f"; they hold for these generators alone; {seeds}"
