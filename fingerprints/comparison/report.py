"""A comparison as page, table file and console lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fingerprints.comparison.paired import Comparisons
from fingerprints.comparison.systems import KINDS, DataSet, Kind, System
from fingerprints.comparison.tables import (
    PARTS,
    Baseline,
    Cell,
    baselines,
    best_blind,
    chance,
    generators,
    is_clustering,
    printed_sources,
    ranked,
    shown_metrics,
    system_cell,
)
from fingerprints.data.embedded import describe_data, embedded_notes, simulation_notes
from fingerprints.evidence.estimates import Estimate
from fingerprints.evidence.paired import PairedDifference
from fingerprints.reporting.comparison_page import ComparisonPage, Section, ShownCell, ShownTable, column
from fingerprints.reporting.comparison_plot import SystemPoint, systems_plot
from fingerprints.reporting.html import PARTITION_NOTE, metric_label, number, p_value, printed_figure
from fingerprints.runs.folder import RunRecord

TITLES: dict[Kind, str] = {
    "system": "Systems",
    "random_weights": "Random weights",
    "control": "Controls: training labels shuffled",
}
SHORT = {"test": "test", "validation": "validation"}


def comparison_page(
    sets: Sequence[DataSet],
    compared: Sequence[Comparisons],
    left_out: Sequence[tuple[RunRecord, str]],
    *,
    patterns: Sequence[str],
) -> ComparisonPage:
    """All data sets, each with its tables and plot, and the runs that are in no table."""
    runs = sum(len(data.records) for data in sets)
    lead = (
        f"{_many(runs, 'finished run')} of {_many(sum(len(data.systems) for data in sets), 'system')} "
        f"from {' '.join(patterns)}"
        + (f"; {_many(len(left_out), 'run')} left out, listed at the end." if left_out else ".")
    )
    if len(sets) > 1:
        lead += " Runs of different tasks or data are never in one table."
    sections = tuple(
        _section(data, found, place=place)
        for place, (data, found) in enumerate(zip(sets, compared, strict=True), 1)
    )
    return ComparisonPage("Comparison of systems", lead, sections, _left_out(left_out))


def _section(data: DataSet, compared: Comparisons, *, place: int) -> Section:
    found = baselines(data)
    metric = data.task.official
    blind = best_blind(found, metric)
    at_random = chance(data)
    facts = _facts(data, at_random=at_random, blind=blind)
    tables = [
        _system_table(data, kind) for kind in KINDS if any(system.kind == kind for system in data.systems)
    ]
    if generators(data):
        tables.append(_generator_table(data))
    if found:
        tables.append(_baseline_table(data, found, best=blind))
    if compared.rows:
        tables.append(_paired_table(compared, metric=metric))
    points = [
        _point(system, metric)
        for kind in KINDS
        for system in ranked(data.systems, data.task)
        if system.kind == kind
    ]
    rival = None if blind is None else (blind.name, blind.cells[metric].value or 0.0)
    notes = [*data.notes, *_made_data(data)]
    if not compared.rows:
        notes += compared.notes
    figure = systems_plot(points, metric=metric_label(metric), chance=at_random, blind=rival)
    return Section(
        title=f"{place}. Task {data.task.name}, {_name(data)}",
        facts=facts,
        tables=tuple(tables),
        figure=figure,
        alt=_alt(points, metric_label(metric)),
        notes=tuple(notes),
    )


def _made_data(data: DataSet) -> list[str]:
    """What a reader must know of phantoms, and of simulated generators below the floor of quality."""
    notes = embedded_notes(data.records[0].path(str(data.records[0].setting("data.root"))))
    for run in (members[0] for members in data.benchmarks):
        for key in ("data.root", "data.test_root"):
            if run.setting(key) is not None:
                notes += simulation_notes(run.path(str(run.setting(key))))
    return list(dict.fromkeys(notes))


def _name(data: DataSet) -> str:
    """The layout and the end of the folder's path, to distinguish benchmarks of the same layout."""
    first = data.records[0]
    layout, root = first.setting("data.name") or "data without a name", first.setting("data.root")
    return layout if root is None else f"{layout} ({'/'.join(Path(root).parts[-2:])})"


def _facts(data: DataSet, *, at_random: float | None, blind: Baseline | None) -> dict[str, str]:
    first, metric = data.records[0], data.task.official
    root, test_root = first.setting("data.root"), first.setting("data.test_root")
    where = "not recorded"
    if root is not None:
        test_root = None if test_root is None else first.path(test_root)
        where = describe_data(first.path(root), size=first.setting("data.size") or 0, test_root=test_root)
    prints = ", ".join(text[:8] for text in data.fingerprints) or "not recorded"
    why = " (one for the split of each seed and fold)" if len(data.fingerprints) > 1 else ""
    if len(data.benchmarks) > 1:
        why = f" ({len(data.benchmarks)} benchmarks)"
        places = dict.fromkeys(str(members[0].setting("data.root")) for members in data.benchmarks)
        where = ", ".join(places)
    facts = {
        "Data": where,
        "Data fingerprint": f"{prints}{why}",
        "Official metric": metric_label(metric),
        "Chance": number(at_random),
    }
    if blind is not None:
        value = blind.cells[metric]
        facts["Best blind baseline"] = f"{blind.name} {number(value.value)}{_bracketed(value)}"
    return facts


def _bracketed(found: Cell) -> str:
    return "" if found.low is None else f" [{number(found.low)}, {number(found.high)}]"


def _system_table(data: DataSet, kind: Kind) -> ShownTable:
    names = shown_metrics(data)
    rows = [system for system in ranked(data.systems, data.task) if system.kind == kind]
    shown = [
        (part, metric)
        for metric in names
        for part in (PARTS if metric in data.task.headline else PARTS[:1])
        if any(system_cell(system, part, metric) != Cell(None) for system in rows)
    ]
    columns = ["System", "Runs", *(f"{metric_label(metric)}, {SHORT[part]}" for part, metric in shown)]
    body = [
        (
            ShownCell(system.name, _seeds(system), tuple(caveat.label for caveat in system.caveats)),
            ShownCell(str(len(system.records))),
            *(_shown_cell(system_cell(system, part, metric), len(system.records)) for part, metric in shown),
        )
        for system in rows
    ]
    notes = []
    if kind == "system":
        notes += [
            f"Printed for {', '.join(beside)}: {source}; on the source’s own data, for orientation only."
            for source, beside in printed_sources(data).items()
        ]
    known = dict.fromkeys(caveat for system in rows for caveat in system.caveats)
    notes += [f"{c.label.capitalize()}: {c.reason}" for c in known if c.reason not in _made_data(data)]
    if any(len(system.records) > 1 for system in rows):
        notes.append(
            "Several runs: mean and standard deviation over runs, and the lowest to the highest end of their "
            "95 % intervals."
        )
    if any(len(system.records) == 1 for system in rows):
        notes.append("One run: its 95 % interval, over groups; conditional on its generators and seed.")
    if "accuracy_unmatched" in names:
        notes.append(
            "Accuracy and F1 of clusters are computed after the Hungarian method has matched clusters to "
            "classes; unmatched accuracy takes the k-th largest cluster as class k. The 2025 paper took the "
            "numbers that a library gave, which depend on the order of files: its figures are chance."
        )
    elif data.task.clusters:
        notes.append("Accuracy is computed after the Hungarian method has matched clusters to classes.")
    if any(is_clustering(record) for system in rows for record in system.records):
        notes.append(f"Clusters: {PARTITION_NOTE[0].lower()}{PARTITION_NOTE[1:]}")
    return ShownTable(TITLES[kind], tuple(columns), tuple(body), tuple(notes))


def _seeds(system: System) -> tuple[str, ...]:
    seeds = [str(seed) for seed in system.seeds]
    word = "seed" if len(seeds) == 1 else "seeds"
    names = [record.name for record in system.records]
    folders = ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])}, … {names[-1]}"
    epochs = () if system.epochs is None else (_many(system.epochs, "epoch"),)
    return (f"{word} {', '.join(seeds)}; {folders}", *epochs)


def _shown_cell(found: Cell, runs: int) -> ShownCell:
    small: list[str] = []
    if found.sd is not None:
        small.append(f"± {number(found.sd)}")
    if found.low is not None:
        small.append(f"[{number(found.low)}, {number(found.high)}]")
    if found.value is not None and found.runs < runs:
        small.append(f"of {_many(found.runs, 'run')}")
    if found.printed is not None:
        small.append(f"printed {printed_figure(found.printed)}")
    return ShownCell(number(found.value), tuple(small))


def _generator_table(data: DataSet) -> ShownTable:
    metric, named = data.task.official, generators(data)
    rows = ranked(data.systems, data.task)
    columns = [(part, name) for part in PARTS for name in [*named, None]]
    body = [
        (
            ShownCell(system.name if system.kind == "system" else f"{system.name} ({TITLES[system.kind]})"),
            *(
                _shown_cell(system_cell(system, part, metric, generator=name), len(system.records))
                for part, name in columns
            ),
        )
        for system in rows
    ]
    titles = [f"{'mean' if name is None else name}, {SHORT[part]}" for part, name in columns]
    return ShownTable(f"By generator: {metric_label(metric)}", ("System", *titles), tuple(body))


def _baseline_table(data: DataSet, found: Sequence[Baseline], *, best: Baseline | None) -> ShownTable:
    there = {name for one in found for name in one.cells}
    names = [name for name in shown_metrics(data) if name in there]
    body = []
    for one in sorted(found, key=lambda one: not one.blind):
        kind = "blind" if one.blind else "trivial"
        title = (
            f"{one.name} (best blind baseline)" if best is not None and one.name == best.name else one.name
        )
        cells = [_shown_cell(one.cells.get(name, Cell(None)), 1) for name in names]
        body.append((ShownCell(title, (kind,)), *cells))
    return ShownTable(
        "Blind baselines and trivial answers, test part",
        ("Answer", *(metric_label(name) for name in names)),
        tuple(body),
        ("A detector that is no better than a blind baseline has found no fingerprints.",),
    )


def _paired_table(compared: Comparisons, *, metric: str) -> ShownTable:
    reference = "" if compared.reference is None else compared.reference.name
    rows: dict[str, list[ShownCell]] = {
        "System": [ShownCell(row.system.name) for row in compared.rows],
        "Difference": [_difference(row.paired) for row in compared.rows],
        "p": [ShownCell(p_value(row.paired.p)) for row in compared.rows],
        "p, Holm": [ShownCell(p_value(row.holm)) for row in compared.rows],
        "p, Benjamini-Hochberg": [ShownCell(p_value(row.benjamini_hochberg)) for row in compared.rows],
        "Only one right": [
            ShownCell(f"{row.paired.discordant:,.0f}", (f"of {row.paired.n:,}",)) for row in compared.rows
        ],
        "Effective n": [
            ShownCell(f"{row.paired.effective:,.0f}", (f"{row.paired.n_groups:,} groups",))
            for row in compared.rows
        ],
    }
    if compared.figures and compared.reference is not None:
        shown = [compared.reference, *(row.system for row in compared.rows)]
        rows = {name: [ShownCell("–"), *cells] for name, cells in rows.items()}
        rows["System"][0] = ShownCell(reference, ("reference",))
        rows[metric_label(metric)] = [_figure_cell(compared.figures[system]) for system in shown]
    return ShownTable(
        f"{metric_label(metric)} against {reference}, same images",
        tuple(rows),
        tuple(zip(*rows.values(), strict=True)),
        compared.notes,
    )


def _difference(paired: PairedDifference) -> ShownCell:
    interval = () if paired.low is None else (f"[{number(paired.low)}, {number(paired.high)}]",)
    return ShownCell(number(paired.difference), interval or ((paired.reason,) if paired.reason else ()))


def _figure_cell(figure: Estimate) -> ShownCell:
    return _shown_cell(Cell(figure.value, figure.low, figure.high), 0)


def _point(system: System, metric: str) -> SystemPoint:
    found = system_cell(system, "test", metric)
    return SystemPoint(
        name=system.name,
        group=TITLES[system.kind],
        value=found.value,
        low=found.low,
        high=found.high,
        runs=found.runs,
        printed=found.printed,
    )


def _alt(points: Sequence[SystemPoint], metric: str) -> str:
    there = [(point.value, point.name) for point in points if point.value is not None]
    if not there:
        return ""
    best, worst = max(there), min(there)
    if len(there) == 1:
        return f"{metric} of one system: {best[1]} {number(best[0])}."
    ends = f"from {worst[1]} {number(worst[0])} to {best[1]} {number(best[0])}"
    return f"{metric} of {len(there)} systems, {ends}."


def _left_out(jobs: Sequence[tuple[RunRecord, str]]) -> ShownTable | None:
    if not jobs:
        return None
    rows = tuple(column([job.experiment or job.name, job.state, why, str(job.folder)]) for job, why in jobs)
    return ShownTable("Runs left out", ("Run", "State", "Why", "Folder"), rows, numeric=False)


def console_lines(
    sets: Sequence[DataSet],
    compared: Sequence[Comparisons],
    left_out: Sequence[tuple[RunRecord, str]],
    *,
    out: Path,
) -> list[str]:
    """Terminal lines: a short table for each data set, and the path of the full report."""
    lines: list[str] = []
    for data, comparisons in zip(sets, compared, strict=True):
        metric = data.task.official
        blind = best_blind(baselines(data), metric)
        beside = [f"chance {number(chance(data))}"]
        if blind is not None:
            beside.append(f"best blind baseline {blind.name} {number(blind.cells[metric].value)}")
        lines.append(f"{data.task.name}, {_name(data)}: {metric}; {', '.join(beside)}")
        adjusted = {row.system: p_value(row.holm) for row in comparisons.rows}
        rows = [["system", "runs", "test", "validation", "printed", "p (Holm)"]]
        for kind in KINDS:
            for system in ranked(data.systems, data.task):
                if system.kind != kind:
                    continue
                test, held_out = (system_cell(system, part, metric) for part in PARTS)
                mark = "".join(f"  ({caveat.label})" for caveat in system.caveats)
                against = "reference" if system is comparisons.reference else adjusted.get(system, "–")
                rows.append(
                    [
                        f"{system.name}{mark}",
                        str(len(system.records)),
                        _short(test),
                        _short(held_out),
                        printed_figure(test.printed),
                        against,
                    ]
                )
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines += [
            "  " + "  ".join(t.ljust(w) for t, w in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
    lines += [f"left out: {job.folder} ({job.state}): {why}" for job, why in left_out]
    lines.append(f"comparison: {out / 'comparison.html'}")
    return lines


def _short(found: Cell) -> str:
    if found.sd is not None:
        return f"{number(found.value)} ± {number(found.sd)}"
    return f"{number(found.value)}{_bracketed(found)}"


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
