"""Figures of systems as table cells: one run with its interval, several with mean and spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fingerprints.comparison.systems import KINDS, DataSet, System, kind_of
from fingerprints.core.tasks import Task
from fingerprints.evidence.baselines import TRIVIAL
from fingerprints.evidence.estimates import in_reading_order
from fingerprints.runs.figures import MEAN, Document, overall
from fingerprints.runs.folder import RunRecord

PARTS = ("test", "validation")


@dataclass(frozen=True)
class Cell:
    """One metric of one system.

    Attributes:
        value: The figure of a single run, or the mean over runs; `None` if no run has it.
        low: Lower end of the 95 % interval; of several runs, the lowest of theirs.
        high: Upper end of it; of several runs, the highest of theirs.
        sd: Sample standard deviation over runs; `None` with one run.
        least: Lowest figure over runs; `None` with one run.
        most: Highest figure over runs.
        runs: Number of runs that have the figure.
        printed: The figure that the source prints for its own data.
        reason: Why there is no value.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    sd: float | None = None
    least: float | None = None
    most: float | None = None
    runs: int = 0
    printed: float | None = None
    reason: str | None = None


def cell(figures: Sequence[Document | None], *, printed: float | None = None) -> Cell:
    """The cell of one metric from the entries in the runs' `metrics.json` (`None`: no entry)."""
    there = [figure for figure in figures if figure is not None and figure.get("value") is not None]
    if not there:
        reasons = [figure["reason"] for figure in figures if figure is not None and figure.get("reason")]
        return Cell(None, printed=printed, reason=reasons[0] if reasons else None)
    if len(there) == 1:
        one = there[0]
        return Cell(one["value"], one.get("low"), one.get("high"), runs=1, printed=printed)
    values = [float(figure["value"]) for figure in there]
    lows, highs = ([f[end] for f in there if f.get(end) is not None] for end in ("low", "high"))
    return Cell(
        statistics.fmean(values),
        min(lows, default=None),
        max(highs, default=None),
        sd=statistics.stdev(values),
        least=min(values),
        most=max(values),
        runs=len(values),
        printed=printed,
    )


def system_cell(system: System, part: str, metric: str, *, generator: str | None = None) -> Cell:
    """The cell of a system; without `generator` for the only one, or for the mean over several.

    Printed figures are never shown beside a system with a caveat: random weights, shuffled labels, simulated
    data, a shortened training.
    """
    figures = [
        (record.figures(part) if generator is None else record.by_generator(part).get(generator, {})).get(
            metric
        )
        for record in system.records
    ]
    return cell(figures, printed=_printed(system, part, generator).get(metric))


def _printed(system: System, part: str, generator: str | None = None) -> dict[str, float]:
    found = {} if system.caveats else system.records[0].setting("published") or {}
    if generator is not None:
        found = found.get("generators", {}).get(generator, {})
    return found.get(part) or {}


def printed_sources(data: DataSet) -> dict[str, list[str]]:
    """Sources of printed figures: source -> systems for which they are shown."""
    found: dict[str, list[str]] = {}
    for system in data.systems:
        source = system.records[0].setting("published.source")
        if source and _has_printed(system, generators(data)):
            found.setdefault(str(source), []).append(system.name)
    return found


def _has_printed(system: System, named: Sequence[str]) -> bool:
    return any(_printed(system, part, generator) for part in PARTS for generator in (None, *named))


def is_clustering(record: RunRecord) -> bool:
    """Whether its answers are names of clusters, which must be matched to classes first."""
    return record.task.clusters or "accuracy_unmatched" in record.figures("test")


def shown_metrics(data: DataSet) -> list[str]:
    """The metrics that tables of a data set show, the official metric first."""
    first, there = data.task.headline, _metrics(data)
    return [*first, *(name for name in data.task.compared if name in there and name not in first)]


def _metrics(data: DataSet) -> list[str]:
    """Every metric that a run of the data set has, in reading order."""
    found = dict.fromkeys(name for record in data.records for part in PARTS for name in record.figures(part))
    ordered = in_reading_order(found, task=data.task)
    return [*ordered, *(name for name in found if name not in ordered)]


def generators(data: DataSet) -> list[str]:
    """Names of the generators, if there are several that are scored separately."""
    found = dict.fromkeys(
        name for record in data.records for part in PARTS for name in record.by_generator(part) if name
    )
    return [name for name in found if name != MEAN]


def ranked(systems: Sequence[System], task: Task) -> list[System]:
    """The systems, best test figure first; then those without test figure, by their validation figure."""

    def key(system: System) -> tuple[bool, float]:
        test = system_cell(system, "test", task.official).value
        if test is not None:
            return False, -test
        held_out = system_cell(system, "validation", task.official).value
        return True, 0.0 if held_out is None else -held_out

    return sorted(systems, key=key)


@dataclass(frozen=True)
class Baseline:
    """A trivial or blind baseline on the test part of a data set, with its metrics."""

    name: str
    blind: bool
    cells: dict[str, Cell]


def baselines(data: DataSet) -> list[Baseline]:
    """The baselines of a data set, of each benchmark from the first of its runs that has them.

    Runs with shuffled labels come last, since their baselines were fitted on shuffled labels.
    """
    found: dict[str, list[Document]] = {}
    for members in data.benchmarks:
        runs = sorted(members, key=lambda record: kind_of(record) == "control")
        document = next((run.metrics for run in runs if run.metrics.get("baselines")), None)
        for name, section in (document or {"baselines": {}})["baselines"].items():
            found.setdefault(name, []).append(overall(section))
    return [
        Baseline(
            name,
            name not in TRIVIAL,
            {metric: cell([one.get(metric) for one in figures]) for metric in figures[0]},
        )
        for name, figures in found.items()
    ]


def best_blind(found: Sequence[Baseline], metric: str) -> Baseline | None:
    """The blind baseline with the highest figure; `None` if none has a figure."""
    scored = [one for one in found if one.blind and _value(one, metric) is not None]
    return max(scored, key=lambda one: _value(one, metric) or 0.0, default=None)


def _value(baseline: Baseline, metric: str) -> float | None:
    return baseline.cells[metric].value if metric in baseline.cells else None


def chance(data: DataSet) -> float | None:
    """Figure of chance in the official metric: median over runs of the mean under permuted labels."""
    found = [record.figures("test").get(data.task.official, {}).get("chance") for record in data.records]
    values = [value for value in found if value is not None]
    return statistics.median(values) if values else None


def wide_table(sets: Sequence[DataSet]) -> pd.DataFrame:
    """One row per system with every metric that its runs have.

    Columns: `data` (number of the data set, from 1), `task`, `table` (`system`, `random_weights`,
    `control`; then `blind` and `trivial` for baselines), `system`, `runs`, `seeds`, `epochs` (at most, of a
    training), `folders`, `fingerprint` (those of the runs, in their order), then for each part and metric
    `test.accuracy` with the endings `_low`, `_high`, `_sd`, `_min`, `_max`, `_runs`, `_printed`, and
    `test.<generator>.kappa` with the same for the official metric of each generator. Columns without any
    value are left out.
    """
    rows: list[dict[str, Any]] = []
    for number, data in enumerate(sets, start=1):
        metrics, named = _metrics(data), generators(data)
        for system in sorted(ranked(data.systems, data.task), key=lambda one: KINDS.index(one.kind)):
            row = {
                "data": number,
                "task": data.task.name,
                "table": system.kind,
                "system": system.name,
                "runs": len(system.records),
                "seeds": " ".join(map(str, system.seeds)),
                "epochs": system.epochs,
                "folders": " ".join(record.name for record in system.records),
                "fingerprint": " ".join(str(record.fingerprint or "-") for record in system.records),
            }
            for part in PARTS:
                for metric in metrics:
                    row |= _columns(f"{part}.{metric}", system_cell(system, part, metric))
                for generator in named:
                    found = system_cell(system, part, data.task.official, generator=generator)
                    row |= _columns(f"{part}.{generator}.{data.task.official}", found)
            rows.append(row)
        for baseline in baselines(data):
            kind = "blind" if baseline.blind else "trivial"
            row = {"data": number, "task": data.task.name, "table": kind, "system": baseline.name}
            for metric, found in baseline.cells.items():
                row |= _columns(f"test.{metric}", found)
            rows.append(row)
    table = pd.DataFrame(rows).dropna(axis="columns", how="all")
    return table.astype({name: "Int64" for name in ("runs", "epochs") if name in table})


def _columns(name: str, found: Cell) -> dict[str, Any]:
    return {
        name: found.value,
        f"{name}_low": found.low,
        f"{name}_high": found.high,
        f"{name}_sd": found.sd,
        f"{name}_min": found.least,
        f"{name}_max": found.most,
        f"{name}_runs": found.runs or None,
        f"{name}_printed": found.printed,
    }
