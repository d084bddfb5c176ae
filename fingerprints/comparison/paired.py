"""Systems on the same images against the best of them, or against one that is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fingerprints.comparison.answers import TestPart, matched_answers, read_test_part
from fingerprints.comparison.records import DataSet, System
from fingerprints.comparison.tables import ranked, system_cell
from fingerprints.core.errors import FingerprintsError, nearest
from fingerprints.evidence.multiplicity import benjamini_hochberg, holm
from fingerprints.evidence.paired import PairedDifference, paired_differences

TRADES_PER_COMPARISON = 40
"""With m comparisons and B trades the least adjusted p is m / (B + 1): here 0.025, whatever m is."""

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
        reference: The system that the others are compared with; `None` where nothing could be compared.
        rows: The others, in the order of their figures.
        family: Number of comparisons that p-values are adjusted for.
        notes: How it was done, or why it was not.
    """

    reference: System | None
    rows: tuple[Comparison, ...]
    family: int
    notes: tuple[str, ...]


def find_baseline(sets: Sequence[DataSet], name: str) -> list[System | None]:
    """The system of that name in each data set: its row's name, its experiment, or the folder of a run.

    Raises:
        FingerprintsError: If no data set has it, or it stands for several systems of one.
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
                f"'{name}' stands for {len(alike)} systems.",
                where="baseline",
                fix="one of " + "; ".join(f"baseline='{system.name}'" for system in alike),
            )
        found.append(alike[0] if alike else None)
    if not any(found):
        names = [system.name for data in sets for system in data.systems if system.kind != "control"]
        near = nearest(name, names)
        raise FingerprintsError(
            f"There is no system '{name}'.",
            where="baseline",
            fix=f"baseline='{near[0]}'" if near else f"one of {'; '.join(names)}",
        )
    return found


def compare(
    data: DataSet, *, baseline: System | None = None, seed: int, resamples: int, permutations: int
) -> Comparisons:
    """Paired differences in the official metric on the test part, controls left out.

    Without a baseline the reference is the system with the highest test figure. It was chosen by the
    figures that are then compared, so that p-values are adjusted for every pair there is and not only for
    those shown.

    Args:
        data: The data set.
        baseline: The reference.
        seed: Of resampling and trading.
        resamples: Bootstrap draws.
        permutations: Trades at least; with many comparisons more, `TRADES_PER_COMPARISON` for each.
    """
    task = data.task
    able = [
        system
        for system in ranked(data.systems, task)
        if system.kind != "control" and system_cell(system, "test", task.official).value is not None
    ]
    if len(able) < 2:
        return Comparisons(
            None, (), 0, ("Nothing to compare in pairs: fewer than two systems have test figures.",)
        )
    try:
        part = _test_part(able)
    except FingerprintsError as error:
        return Comparisons(None, (), 0, (f"No paired differences: {error.what} ({error.where})",))
    answers, notes = _answers(able, part)
    names = [index for index in range(len(able)) if str(index) in answers]
    chosen = None if baseline is None else able.index(baseline) if baseline in able else None
    if baseline is not None and (chosen is None or chosen not in names):
        notes.append(f"'{baseline.name}' cannot be the reference here: its answers are not known.")
        chosen = None
    if len(names) < 2:
        return Comparisons(None, (), 0, (*notes, "No paired differences: fewer than two systems are left."))
    reference = names[0] if chosen is None else chosen
    others = [index for index in names if index != reference]
    family = len(others) if chosen is not None else len(names) * (len(names) - 1) // 2
    trades = max(permutations, min(TRADES_PER_COMPARISON * family - 1, MOST_TRADES))
    found = paired_differences(
        task=task,
        classes=part.classes,
        truth=part.labels,
        answers=answers,
        reference=str(reference),
        groups=part.groups,
        strata=part.generators,
        seed=seed,
        resamples=resamples,
        permutations=trades,
    )
    if family / (trades + 1) > 0.05:
        notes.append(
            f"No adjusted p can be below {family / (trades + 1):.2f} with {trades:,} trades: compare fewer "
            "systems, or give permutations=N."
        )
    p = [found[str(index)].p for index in others]
    rows = zip(others, holm(p, family=family), benjamini_hochberg(p, family=family), strict=True)
    return Comparisons(
        reference=able[reference],
        rows=tuple(Comparison(able[i], found[str(i)], float(h), float(b)) for i, h, b in rows),
        family=family,
        notes=(*notes, *_how(able[reference], part, chosen is not None, family, len(others))),
    )


def _test_part(systems: Sequence[System]) -> TestPart:
    """The test part of the first run whose data are still there."""
    problem: FingerprintsError | None = None
    for system in systems:
        for record in system.records:
            try:
                return read_test_part(record)
            except FingerprintsError as error:
                problem = problem or error
    assert problem is not None
    raise problem


def _answers(systems: Sequence[System], part: TestPart) -> tuple[dict[str, list[np.ndarray]], list[str]]:
    """Answers of each system's runs by its place; a system with a run about other images is left out."""
    answers: dict[str, list[np.ndarray]] = {}
    notes: list[str] = []
    for index, system in enumerate(systems):
        try:
            answers[str(index)] = [matched_answers(record, part) for record in system.records]
        except FingerprintsError as error:
            what = error.what.split("\n", 1)[0].rstrip(": ")
            notes.append(f"'{system.name}' is in no paired difference: {what} ({error.where})")
    return answers, notes


def _how(reference: System, part: TestPart, given: bool, family: int, shown: int) -> list[str]:
    which = "" if given else ", the one with the highest test figure"
    why = (
        ""
        if given
        else f" (every pair there is, since the reference was chosen by these figures; {shown} shown)"
    )
    images = f"{len(part.ids):,} images, {part.grouped_by}"
    return [
        f"Difference to '{reference.name}'{which}, on {images}. Interval: paired bootstrap over groups; p: "
        "two-sided, the two systems trade their answers group by group. With several runs the mean over "
        "them; the runs are taken as given, so that the interval does not hold what another seed changes.",
        f"p-values are adjusted for {family} comparison(s){why}: by Holm (any false finding) and by "
        "Benjamini and Hochberg (share of false findings).",
    ]
