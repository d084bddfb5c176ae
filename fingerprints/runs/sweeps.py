"""A sweep folder: its jobs, one table of their figures, and what a search over them maximises."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from omegaconf import OmegaConf

from fingerprints.core.errors import FingerprintsError
from fingerprints.runs.status import REFUSED, STATUS

CONFIG, METRICS = "config.yaml", "metrics.json"  # `runs` would import torch
TABLE, SUMMARY, PAGE = "sweep.csv", "sweep_summary.csv", "sweep.md"
DEPTH = 3  # levels below the sweep folder at which a job's folder may lie (hydra.sweep.subdir)
WIDTH = 110  # of a line on the console

PARTS = ("validation", "test")
# What the table shows of a task, the official metric first.
FIGURES = {"usage": ("kappa", "auc"), "subset": ("accuracy",), "model": ("ari",)}
# What a search maximises unless told otherwise: chosen on validation, never on the test part. For
# `usage` a figure without a threshold, because the threshold itself is learned on validation.
OBJECTIVES = {"usage": "validation.auc", "subset": "validation.accuracy", "model": "validation.ari"}

REPEATS = ("seed", "data.fold")  # keys that repeat an experiment rather than make another
# Overrides that say where and how a sweep runs, not what a job is.
_NOT_THE_JOB = ("run_dir", "resume", "sweep", "paths", "hydra")
_FIXED = ("job", "state", "task", "seconds", "error")


@dataclass(frozen=True)
class Job:
    """One job of a sweep, as its folder tells it.

    Attributes:
        number: Its number: the folder's name, or its place in their order where folders have other names.
        folder: Its run folder.
        name: The folder relative to the sweep's.
        state: `running`, `finished`, `failed`, `stopped`; `interrupted` where it says `running` but its
            process is gone; `not started` where the folder is empty.
        error: Why it failed, or `None`.
        overrides: The overrides that it was started with.
        config: Its resolved configuration; empty if it failed before that was written.
        metrics: `metrics.json`, or `None` before it finished.
        seconds: Wall time, or `None`.
    """

    number: int
    folder: Path
    name: str
    state: str
    error: str | None
    overrides: tuple[str, ...]
    config: dict[str, Any]
    metrics: dict[str, Any] | None
    seconds: float | None

    @property
    def task(self) -> str:
        """Its task; empty where nothing tells it."""
        return str(self.config.get("task") or (self.metrics or {}).get("task") or "")


def read_jobs(folder: str | Path) -> list[Job]:
    """The jobs of a sweep, in the order of their numbers.

    Raises:
        FingerprintsError: If there is no such folder, or it is the folder of one run.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FingerprintsError("There is no such sweep folder.", where=folder, fix="give hydra.sweep.dir")
    if (folder / STATUS).is_file():
        raise FingerprintsError(
            "This is the folder of one run, not of a sweep.", where=folder, fix="give the folder above it"
        )
    found = sorted(_job_folders(folder, DEPTH), key=lambda path: _natural(path.relative_to(folder)))
    names = [path.relative_to(folder).as_posix() for path in found]
    numbered = all(name.isdigit() for name in names)
    return [
        _read_job(path, name, number=int(name) if numbered else place)
        for place, (path, name) in enumerate(zip(found, names, strict=True))
    ]


def read_job(folder: str | Path) -> Job:
    """One run, whether or not it is part of a sweep; its name is that of its folder."""
    return _read_job(Path(folder), Path(folder).name, number=0)


def _job_folders(folder: Path, depth: int) -> Iterable[Path]:
    for path in folder.iterdir():
        if path.name.startswith(".") or not path.is_dir():
            continue
        if any((path / name).is_file() for name in (STATUS, CONFIG)):
            yield path
        elif path.name.isdigit() and not any(path.iterdir()):
            yield path  # made for a job that never came to its first line
        elif depth > 1:
            yield from _job_folders(path, depth - 1)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Numbers in names count as numbers: 2 comes before 10."""
    words = re.split(r"(\d+)", path.as_posix())
    return [(int(word), "") if word.isdigit() else (-1, word) for word in words]


def _read_job(folder: Path, name: str, *, number: int) -> Job:
    status, metrics = _read_json(folder / STATUS), _read_json(folder / METRICS)
    config: Any = {}
    if (refused := _read_json(folder / REFUSED)) is not None:
        status, metrics = refused, None
    elif (folder / CONFIG).is_file():
        config = OmegaConf.to_container(OmegaConf.load(folder / CONFIG), resolve=True)
    if status is None:
        # A folder of an earlier version: what it holds tells how far it came.
        state = "finished" if metrics else "interrupted" if config else "not started"
        status = {"state": state}
    elif status.get("state") == "running" and _is_gone(status):
        status["state"] = "interrupted"
    seconds = status.get("seconds")
    if seconds is None and metrics:
        seconds = metrics.get("run", {}).get("seconds")
    return Job(
        number=number,
        folder=folder,
        name=name,
        state=str(status.get("state", "unknown")),
        error=status.get("error"),
        overrides=tuple(status.get("overrides") or ()),
        config=config,
        metrics=metrics,
        seconds=seconds,
    )


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        read = json.loads(path.read_text())
    except (OSError, ValueError):  # absent, or cut off as its writer was killed
        return None
    return read if isinstance(read, dict) else None


def _is_gone(status: dict[str, Any]) -> bool:
    """Whether the process that wrote a status ran here and no longer does."""
    pid = status.get("pid")
    if not isinstance(pid, int) or status.get("host") != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def sweep_table(jobs: Sequence[Job]) -> pd.DataFrame:
    """One row a job.

    Columns: `job` (folder below the sweep's), `state`, `task`, then what varies between the jobs, the
    figures of `FIGURES` (`validation.auc`, `validation.auc_low`, ..., `test.auc_high`; empty where a job
    has none), `seconds`, and the first line of `error`.
    """
    keys = _varying(jobs)
    names = dict.fromkeys(name for task in _tasks(jobs) for name in FIGURES.get(task, ()))
    rows: list[dict[str, Any]] = []
    for job, task in zip(jobs, _tasks(jobs), strict=True):
        row: dict[str, Any] = {"job": job.name, "state": job.state, "task": task}
        row |= {key: _setting(job, key) for key in keys}
        for part in PARTS:
            for name in names:
                figure = _figure(job.metrics or {}, part, name) if name in FIGURES.get(task, ()) else None
                for suffix, key in (("", "value"), ("_low", "low"), ("_high", "high")):
                    row[f"{part}.{name}{suffix}"] = None if figure is None else figure.get(key)
        row["seconds"] = job.seconds
        row["error"] = _first_line(job.error)
        rows.append(row)
    figures = [f"{part}.{name}{s}" for part in PARTS for name in names for s in ("", "_low", "_high")]
    table = pd.DataFrame(rows, columns=["job", "state", "task", *keys, *figures, "seconds", "error"])
    return table.astype(dict.fromkeys([*figures, "seconds"], float))


def _tasks(jobs: Sequence[Job]) -> list[str]:
    """Task of each job; one that failed too early to say has that of its experiment, or of all others."""
    by_experiment = {_setting(job, "experiment"): job.task for job in jobs if job.task}
    known = set(by_experiment.values())
    others = known.pop() if len(known) == 1 else ""
    return [job.task or by_experiment.get(_setting(job, "experiment"), others) for job in jobs]


def _varying(jobs: Sequence[Job]) -> list[str]:
    """Keys whose values differ between jobs, seed and fold last.

    The overrides say it best: one that chooses an experiment or a part changes many leaves at once.
    Where they say nothing, the leaves that differ are named.
    """
    for values in ([_overrides(job) for job in jobs], [dict(_leaves(job.config)) for job in jobs]):
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


def _overrides(job: Job) -> dict[str, str]:
    found = {}
    for word in job.overrides:
        key, equals, value = word.partition("=")
        if equals:
            found[key.lstrip("+~")] = value.strip("'\"")
    return found


def _leaves(node: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    if not isinstance(node, dict):
        yield prefix, node
        return
    for key, value in node.items():
        yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))


def _setting(job: Job, key: str) -> Any:
    """What a job has for a key: as resolved, else as it was told; `None` where it has no such key."""
    value: Any = job.config
    for word in key.split("."):
        value = value.get(word) if isinstance(value, dict) else None
    if value is not None and not isinstance(value, dict):
        return str(value) if isinstance(value, list) else value
    told = _overrides(job).get(key)
    if told is None:
        return job.config.get("name") if key == "experiment" else None
    try:
        read = yaml.safe_load(told)
    except yaml.YAMLError:
        return told
    return read if isinstance(read, str | int | float) else told


def aggregate(table: pd.DataFrame) -> pd.DataFrame:
    """Figures over seeds and folds: one row for each figure of each experiment.

    Args:
        table: What `sweep_table` makes.

    Returns:
        Columns `task`, every varying key but `seed` and `data.fold`, `jobs`, `finished`, `failed`,
        `figure` (`test.kappa`), and over the finished jobs that have it: `n`, `mean`, `std` (of the
        sample; empty for one job), `min` and `max`. Tasks are never mixed.
    """
    keys = ["task", *(key for key in _keys(table) if key not in REPEATS)]
    columns = [*keys, "jobs", "finished", "failed", "figure", "n", "mean", "std", "min", "max"]
    rows = []
    for values, part in table.groupby(keys, dropna=False, sort=False):
        done = part[part["state"] == "finished"]
        head = dict(zip(keys, values, strict=True)) | {
            "jobs": len(part),
            "finished": len(done),
            "failed": int((part["state"] == "failed").sum()),
        }
        for figure in _figure_names(str(head["task"])):
            found = done[figure].dropna()
            spread = {"mean": found.mean(), "std": found.std(), "min": found.min(), "max": found.max()}
            rows.append(head | {"figure": figure, "n": len(found)} | spread)
    return pd.DataFrame(rows, columns=columns)


def _keys(table: pd.DataFrame) -> list[str]:
    """Columns of a sweep table that hold what varies."""
    return [column for column in table.columns if column not in _FIXED and column.split(".")[0] not in PARTS]


def _figure_names(task: str) -> list[str]:
    return [f"{part}.{name}" for part in PARTS for name in FIGURES.get(task, ())]


def objective(document: dict[str, Any], metric: str | None = None) -> float:
    """A figure out of `metrics.json`, for a search to maximise.

    Args:
        document: What `metrics.json` holds.
        metric: Part and name, such as `validation.accuracy`; `None`: the task's in `OBJECTIVES`. A search
            that looks at `test` figures chooses on the test part, which then says nothing any more.

    Returns:
        Its value, with several generators the mean over them.

    Raises:
        FingerprintsError: If there is no such figure, or it could not be estimated; names those there are.
    """
    if metric is None:
        metric = OBJECTIVES[document["task"]]
    part, _, name = metric.partition(".")
    figure = _figure(document, part, name) if part in PARTS else None
    if figure is not None and figure.get("value") is not None:
        return float(figure["value"])
    there = [
        f"{part}.{name}"
        for part in PARTS
        for name in _names(document.get(part) or {})
        if (found := _figure(document, part, name)) is not None and found.get("value") is not None
    ]
    why = "is not among the figures" if figure is None else f"has no value: {figure.get('reason')}"
    raise FingerprintsError(
        f"'{metric}' {why}.",
        where="objective",
        fix=f"one of {', '.join(there)}" if there else "hold images out (data.validation, data.fold)",
    )


def _by_generator(section: dict[str, Any]) -> bool:
    return any("value" not in figure for figure in section.values())


def _names(section: dict[str, Any]) -> list[str]:
    """Metrics of one part of `metrics.json`."""
    levels = section.values() if _by_generator(section) else [section]
    return list(dict.fromkeys(name for level in levels for name in level))


def _figure(document: dict[str, Any], part: str, name: str) -> dict[str, Any] | None:
    """A figure of a part; with several generators their mean, as recorded or else made here."""
    section = document.get(part) or {}
    if not _by_generator(section):
        return section.get(name)
    if name in section.get("mean", {}):
        return section["mean"][name]
    found = [level[name] for level in section.values() if name in level]
    values = [figure["value"] for figure in found if figure["value"] is not None]
    if not found or len(values) < len(found):
        return next((figure for figure in found if figure["value"] is None), None)
    return {"value": sum(values) / len(values), "low": None, "high": None}


def write_table(folder: str | Path, jobs: Sequence[Job]) -> Path:
    """Write `sweep.csv` (a row a job), `sweep_summary.csv` (over seeds and folds) and `sweep.md` (both).

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
        cells = _job_cells(part, task, intervals=True) | {"error": part["error"].tolist()}
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


def table_lines(jobs: Sequence[Job]) -> list[str]:
    """What the console says at the end of a sweep: jobs by task, then figures over seeds and folds."""
    table = sweep_table(jobs)
    summary = aggregate(table)
    lines: list[str] = []
    for task in dict.fromkeys(table["task"]):
        part = table[table["task"] == task]
        lines.append(f"{_heading(part)}: {_counts(part['state'])}")
        for intervals, widest in ((True, 32), (False, 32), (False, 14)):
            rows = _aligned(_job_cells(part, task, intervals=intervals, widest=widest))
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


def _job_cells(part: pd.DataFrame, task: str, *, intervals: bool, widest: int = 32) -> dict[str, list[str]]:
    """Columns of text, one cell a job; validation without intervals, to leave room for the test part."""
    keys = [key for key in _keys(part) if key not in _shared(part)]
    cells = {"job": part["job"].tolist(), "state": part["state"].tolist()}
    for title, key in zip(_short(keys), keys, strict=True):
        # The end of a long value tells it from the others: they mostly are paths.
        cells[title] = [v if len(v) <= widest else f"…{v[1 - widest :]}" for v in _cells(part[key])]
    for name in _figure_names(task):
        values = _cells(part[name])
        if intervals and name.startswith("test."):
            bounds = zip(values, part[f"{name}_low"], part[f"{name}_high"], strict=True)
            values = [v if pd.isna(low) else f"{v} [{low:.3f}, {high:.3f}]" for v, low, high in bounds]
        cells[_title(name)] = values
    cells["time"] = [_duration(seconds) for seconds in part["seconds"]]
    return cells


def _summary_cells(summary: pd.DataFrame) -> dict[str, list[str]]:
    """Columns of text, one cell an experiment."""
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
    """The task, and what the sweep varies but not within it."""
    shared = [f"{key} {_cell(value)}" for key, value in _shared(part).items() if not pd.isna(value)]
    return ", ".join([part["task"].iloc[0] or "unknown task", *shared])


def _shared(part: pd.DataFrame) -> dict[str, Any]:
    """Settings that all jobs of one task share, or lack."""
    return {key: part[key].iloc[0] for key in _keys(part) if part[key].nunique(dropna=False) == 1}


def _title(figure: str) -> str:
    return figure.replace("validation.", "val ").replace(".", " ")


def _short(keys: Sequence[str]) -> list[str]:
    """The last word of each key, or the whole key where that is not its own."""
    last = [key.rsplit(".", 1)[-1] for key in keys]
    return [word if last.count(word) == 1 else key for word, key in zip(last, keys, strict=True)]


def _cells(column: pd.Series) -> list[str]:
    if pd.api.types.is_float_dtype(column) and column.dropna().apply(float.is_integer).all():
        whole = column.dropna().abs().max() >= 2 or column.name in REPEATS
        if whole:  # whole numbers that a gap has turned into floats
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
