"""The jobs of a sweep as tables: one row per job, and figures over seeds and folds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from fingerprints.core.tasks import TASKS, get_task
from fingerprints.runs.figures import PARTS
from fingerprints.runs.folder import RunRecord, leaves
from fingerprints.runs.status import FAILED, FINISHED

TABLE, SUMMARY, PAGE = "sweep.csv", "sweep_summary.csv", "sweep.md"
WIDTH = 110  # of a line on the console

REPEATS = ("seed", "data.fold")  # keys that repeat an experiment and do not make another one
# Overrides that say where and how a sweep runs; they do not change a job.
_NOT_THE_JOB = ("run_dir", "resume", "sweep", "paths", "hydra")
_FIXED = ("job", "state", "task", "seconds", "error")


def _metrics_of(job: RunRecord, task: str) -> tuple[str, ...]:
    """The metrics that the table shows for a job: the official one, and the one that a search maximises."""
    if task not in TASKS:
        return ()
    known = get_task(task, official=job.setting("data.official"))
    return tuple(dict.fromkeys((known.official, known.objective)))


def sweep_table(jobs: Sequence[RunRecord]) -> pd.DataFrame:
    """One row per job.

    Columns: `job` (folder below the sweep's), `state`, `task`, then the keys that vary between jobs, the
    figures of its task (`validation.auc`, `validation.auc_low`, ..., `test.auc_high`; empty if a job
    has none), `seconds`, and the first line of `error`.
    """
    keys, with_task = _varying(jobs), list(zip(jobs, _tasks(jobs), strict=True))
    # The layout of a job without a configuration, and with it its metric, is not known.
    told = [(job, task) for job, task in with_task if job.config] or with_task
    names = dict.fromkeys(name for job, task in told for name in _metrics_of(job, task))
    rows: list[dict[str, Any]] = []
    for job, task in with_task:
        row: dict[str, Any] = {"job": job.name, "state": job.state, "task": task}
        row |= {key: _setting(job, key) for key in keys}
        for part in PARTS:
            for name in names:
                figure = job.figure(part, name) if name in _metrics_of(job, task) else None
                for suffix, key in (("", "value"), ("_low", "low"), ("_high", "high")):
                    row[f"{part}.{name}{suffix}"] = None if figure is None else figure.get(key)
        row["seconds"] = job.seconds
        row["error"] = _first_line(job.error)
        rows.append(row)
    figures = [f"{part}.{name}{s}" for part in PARTS for name in names for s in ("", "_low", "_high")]
    table = pd.DataFrame(rows, columns=["job", "state", "task", *keys, *figures, "seconds", "error"])
    return table.astype(dict.fromkeys([*figures, "seconds"], float))


def _tasks(jobs: Sequence[RunRecord]) -> list[str]:
    """Task of each job. If a job failed before it was known: that of its experiment, or of all other jobs."""
    by_experiment = {_setting(job, "experiment"): job.task_name for job in jobs if job.task_name}
    known = set(by_experiment.values())
    others = known.pop() if len(known) == 1 else ""
    return [job.task_name or by_experiment.get(_setting(job, "experiment"), others) for job in jobs]


def _varying(jobs: Sequence[RunRecord]) -> list[str]:
    """Keys whose values differ between jobs, seed and fold last.

    Taken from the overrides, since one that chooses an experiment or a part changes many leaves at once.
    If the overrides do not differ, the leaves that differ are used.
    """
    for values in ([_overrides(job) for job in jobs], [dict(leaves(job.config)) for job in jobs]):
        keys = dict.fromkeys(key for found in values for key in found)
        differ = [
            key
            for key in keys
            if key.split("/")[0].split(".")[0] not in _NOT_THE_JOB
            and len({str(found.get(key)) for found in values if found}) > 1
        ]
        if differ:
            return sorted(differ, key=lambda key: key in REPEATS)
    return []


def _overrides(job: RunRecord) -> dict[str, str]:
    found = {}
    for word in job.overrides:
        key, equals, value = word.partition("=")
        if equals:
            found[key.lstrip("+~")] = value.strip("'\"")
    return found


def _setting(job: RunRecord, key: str) -> Any:
    """A job's value of a key: from its resolved configuration, else from its overrides, else `None`."""
    value = job.setting(key)
    if value is not None and not isinstance(value, dict):
        return str(value) if isinstance(value, list) else value
    told = _overrides(job).get(key)
    if told is None:
        return (job.experiment or None) if key == "experiment" else None
    try:
        read = yaml.safe_load(told)
    except yaml.YAMLError:
        return told
    return read if isinstance(read, str | int | float) else told


def aggregate(table: pd.DataFrame) -> pd.DataFrame:
    """Figures over seeds and folds: one row for each figure of each experiment.

    Args:
        table: A table from `sweep_table`.

    Returns:
        Columns `task`, every varying key but `seed` and `data.fold`, `jobs`, `finished`, `failed`,
        `figure` (`test.kappa`), and over the finished jobs that have it: `n`, `mean`, `std` (of the
        sample; empty for one job), `min` and `max`. Tasks are never mixed.
    """
    keys = ["task", *(key for key in _keys(table) if key not in REPEATS)]
    columns = [*keys, "jobs", "finished", "failed", "figure", "n", "mean", "std", "min", "max"]
    rows = []
    for values, part in table.groupby(keys, dropna=False, sort=False):
        done = part[part["state"] == FINISHED]
        head = dict(zip(keys, values, strict=True)) | {
            "jobs": len(part),
            "finished": len(done),
            "failed": int((part["state"] == FAILED).sum()),
        }
        for figure in _figure_names(table[table["task"] == head["task"]]):
            found = done[figure].dropna()
            spread = {"mean": found.mean(), "std": found.std(), "min": found.min(), "max": found.max()}
            rows.append(head | {"figure": figure, "n": len(found)} | spread)
    return pd.DataFrame(rows, columns=columns)


def _keys(table: pd.DataFrame) -> list[str]:
    """Columns of a sweep table with the varying keys."""
    return [column for column in table.columns if column not in _FIXED and column.split(".")[0] not in PARTS]


def _figure_names(table: pd.DataFrame) -> list[str]:
    """Columns of figures whose metric at least one row has; all of them if none has any."""
    every = [c for c in map(str, table) if c.split(".")[0] in PARTS and not c.endswith(("_low", "_high"))]
    names = dict.fromkeys(column.split(".", 1)[1] for column in every)
    own = [name for name in names if table[[f"{part}.{name}" for part in PARTS]].notna().any(axis=None)]
    return [f"{part}.{name}" for part in PARTS for name in own or names]


def write_table(folder: str | Path, jobs: Sequence[RunRecord]) -> Path:
    """Write `sweep.csv` (a row per job), `sweep_summary.csv` (over seeds and folds) and `sweep.md` (both).

    Returns:
        The path of `sweep.md`.
    """
    folder = Path(folder)
    table = sweep_table(jobs)
    summary = aggregate(table)
    table.to_csv(folder / TABLE, index=False)
    summary.to_csv(folder / SUMMARY, index=False)
    page = folder / PAGE
    sections = [f"# Sweep\n\n{_counts(table['state'])}."]
    for task in dict.fromkeys(table["task"]):
        part = table[table["task"] == task]
        cells = _job_cells(part, intervals=True) | {"error": part["error"].tolist()}
        sections.append(f"## {_heading(part)}\n\n{_markdown(cells)}")
        of_task = summary[summary["task"] == task]
        if len(of_task):
            cells = {
                column: [_cell(value) for value in of_task[column]]
                for column in of_task.columns
                if column != "task"
            }
            sections.append(f"Over seeds and folds:\n\n{_markdown(cells)}")
    page.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return page


def table_lines(jobs: Sequence[RunRecord]) -> list[str]:
    """Console lines at the end of a sweep: jobs by task, then figures over seeds and folds."""
    table = sweep_table(jobs)
    summary = aggregate(table)
    lines: list[str] = []
    for task in dict.fromkeys(table["task"]):
        part = table[table["task"] == task]
        lines.append(f"{_heading(part)}: {_counts(part['state'])}")
        for intervals, widest in ((True, 32), (False, 32), (False, 14)):
            rows = _aligned(_job_cells(part, intervals=intervals, widest=widest))
            if max(map(len, rows)) <= WIDTH:
                break
        lines.append(rows[0])
        for row, error in zip(rows[1:], part["error"], strict=True):
            lines += [row, f"      {error}"] if error else [row]
        of_task = summary[summary["task"] == task]
        if len(of_task) and (of_task["jobs"] > 1).any():
            lines.append(f"{task}, mean ± standard deviation over seeds and folds:")
            lines += _aligned(_summary_cells(of_task))
        lines.append("")
    return [line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…" for line in lines[:-1]]


def _job_cells(part: pd.DataFrame, *, intervals: bool, widest: int = 32) -> dict[str, list[str]]:
    """Columns of text, one cell per job; validation without intervals, to leave room for the test part."""
    keys = [key for key in _keys(part) if key not in _shared(part)]
    cells = {"job": part["job"].tolist(), "state": part["state"].tolist()}
    for title, key in zip(_short(keys), keys, strict=True):
        # Long values are mostly paths, which differ at the end: keep the end.
        cells[title] = [v if len(v) <= widest else f"…{v[1 - widest :]}" for v in _cells(part[key])]
    for name in _figure_names(part):
        values = _cells(part[name])
        if intervals and name.startswith("test."):
            bounds = zip(values, part[f"{name}_low"], part[f"{name}_high"], strict=True)
            values = [v if pd.isna(low) else f"{v} [{low:.3f}, {high:.3f}]" for v, low, high in bounds]
        cells[_title(name)] = values
    cells["time"] = [_duration(seconds) for seconds in part["seconds"]]
    return cells


def _summary_cells(summary: pd.DataFrame) -> dict[str, list[str]]:
    """Columns of text, one cell per experiment."""
    fixed = ("task", "jobs", "finished", "failed", "figure", "n", "mean", "std", "min", "max")
    keys = [key for key in summary.columns if key not in fixed and summary[key].nunique() > 1]
    figures = list(dict.fromkeys(summary["figure"]))
    first = summary[summary["figure"] == figures[0]]
    cells = {title: _cells(first[key]) for title, key in zip(_short(keys), keys, strict=True)}
    cells["finished"] = [
        f"{done}/{jobs}" for done, jobs in zip(first["finished"], first["jobs"], strict=True)
    ]
    cells["failed"] = _cells(first["failed"])
    for figure in figures:
        rows = summary[summary["figure"] == figure]
        cells[_title(figure)] = [
            "-" if n == 0 else f"{mean:.3f}" if n == 1 else f"{mean:.3f} ± {std:.3f}"
            for n, mean, std in zip(rows["n"], rows["mean"], rows["std"], strict=True)
        ]
    return cells


def _heading(part: pd.DataFrame) -> str:
    """The task, and the settings that vary in the sweep but not within this task."""
    shared = [f"{key} {_cell(value)}" for key, value in _shared(part).items() if not pd.isna(value)]
    return ", ".join([part["task"].iloc[0] or "unknown task", *shared])


def _shared(part: pd.DataFrame) -> dict[str, Any]:
    """Settings that are equal in all jobs of one task, or absent from all of them."""
    return {key: part[key].iloc[0] for key in _keys(part) if part[key].nunique(dropna=False) == 1}


def _title(figure: str) -> str:
    return figure.replace("validation.", "val ").replace(".", " ")


def _short(keys: Sequence[str]) -> list[str]:
    """The last word of each key, or the whole key if several keys share that word."""
    last = [key.rsplit(".", 1)[-1] for key in keys]
    return [word if last.count(word) == 1 else key for word, key in zip(last, keys, strict=True)]


def _cells(column: pd.Series) -> list[str]:
    if pd.api.types.is_float_dtype(column) and column.dropna().apply(float.is_integer).all():
        whole = column.dropna().abs().max() >= 2 or column.name in REPEATS
        if whole:  # whole numbers that missing values have turned into floats
            return ["-" if pd.isna(value) else str(int(value)) for value in column]
    return [_cell(value) for value in column]


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if 1e-2 <= abs(value) < 100 or value == 0 else f"{value:.3g}"
    return str(value)


def _duration(seconds: float) -> str:
    if pd.isna(seconds):
        return "-"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _counts(states: pd.Series) -> str:
    shown = ", ".join(f"{count} {state}" for state, count in states.value_counts(sort=False).items())
    return f"{len(states)} job{'' if len(states) == 1 else 's'}" + (f": {shown}" if shown else "")


def _aligned(cells: dict[str, list[str]]) -> list[str]:
    """Title line and rows, each column as wide as its widest cell."""
    columns = [[title, *values] for title, values in cells.items()]
    widths = [max(map(len, column)) for column in columns]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    ]


def _markdown(cells: dict[str, list[str]]) -> str:
    rows = [list(cells), ["---"] * len(cells), *zip(*cells.values(), strict=True)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n", 1)[0]
