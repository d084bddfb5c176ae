"""What the offline files of a W&B run hold, and its main charts as one picture.

    python -m benchmarks.wandb_offline outputs/NAME/TIME [--plot charts.png]

A `.wandb` file is a log in blocks of 32 KiB: a header of 7 bytes, then chunks, each with a checksum, a
length and whether it is a whole record or its first, a middle or its last part; a record is a protocol
buffer that the package `wandb` brings. Nothing here needs a server or a key.
"""

from __future__ import annotations

import argparse
import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BLOCK, HEADER, CHUNK = 32_768, 7, 7
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4


@dataclass
class OfflineRun:
    """What an offline run holds.

    Attributes:
        folder: Its folder, `offline-run-...`.
        id, name, project, entity, group, tags: As a server would show them.
        config: The configuration.
        history: A dictionary for each step.
        axes: The key that is the x axis of a key.
        summary: The last figures.
        files: Files to be uploaded, relative to `files/`.
        artifacts: Names of artifacts.
        machine: Names of the machine's own curves.
        exit_code: `None` if the run never ended.
    """

    folder: Path
    id: str = ""
    name: str = ""
    project: str = ""
    entity: str = ""
    group: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    axes: dict[str, str] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)
    machine: set[str] = field(default_factory=set)
    exit_code: int | None = None

    def table(self, key: str) -> list[dict[str, Any]]:
        """Rows of a table that was logged under `key` (a chart's is `<key>_table`)."""
        where = self.folder / "files" / self.summary[key]["path"]
        content = json.loads(where.read_text())
        return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]

    def curve(self, key: str) -> tuple[list[float], list[float]]:
        """x and y of a history key, over its own axis."""
        axis = self.axes.get(key, "_step")
        rows = [row for row in self.history if key in row]
        return [row[axis] for row in rows], [row[key] for row in rows]


def offline_runs(folder: Path, *, patience: float = 5.0) -> list[OfflineRun]:
    """The offline runs below a folder, oldest first.

    W&B's own process writes the last records after `finish()` has returned: a run without an end is read
    again until it has one, for so many seconds at most.
    """
    until = time.monotonic() + patience
    paths = sorted(folder.rglob("offline-run-*/run-*.wandb"))
    while True:
        runs = [read_run(path) for path in paths]
        if all(run.exit_code is not None for run in runs) or time.monotonic() > until:
            return runs
        time.sleep(0.05)


def read_run(path: Path) -> OfflineRun:
    """Read one `.wandb` file."""
    run = OfflineRun(folder=path.parent)
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            told = record.run
            run.id, run.name, run.project = told.run_id, told.display_name, told.project
            run.entity, run.group, run.tags = told.entity, told.run_group, list(told.tags)
            _merge(run.config, told.config.update)
        elif kind == "config":
            _merge(run.config, record.config.update)
        elif kind == "history":
            run.history.append(_merge({}, record.history.item))
        elif kind == "summary":
            _merge(run.summary, record.summary.update)
        elif kind == "metric" and record.metric.step_metric:
            run.axes[record.metric.name] = record.metric.step_metric
        elif kind == "files":
            run.files += [file.path for file in record.files.files]
        elif kind == "artifact":
            run.artifacts.append(record.artifact.name)
        elif kind == "stats":
            run.machine |= {item.key for item in record.stats.item}
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    for bookkeeping in (run.config, run.summary):
        bookkeeping.pop("_wandb", None)
    return run


def records(path: Path) -> Iterator[Any]:
    """The records of a `.wandb` file; one cut short at the end is left out."""
    from wandb.proto import wandb_internal_pb2  # late: all of wandb, a second of every test session

    data = path.read_bytes()
    if data[:4] != b":W&B":
        raise ValueError(f"{path} is no W&B file")
    at, parts = HEADER, b""
    while at + CHUNK <= len(data):
        if BLOCK - at % BLOCK < CHUNK:  # too little for a chunk: padding
            at += BLOCK - at % BLOCK
            continue
        length, kind = struct.unpack("<HB", data[at + 4 : at + CHUNK])
        body = data[at + CHUNK : at + CHUNK + length]
        at += CHUNK + length
        parts = body if kind in (WHOLE, FIRST) else parts + body
        if kind in (WHOLE, LAST) and len(body) == length:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            yield record


def _merge(target: dict[str, Any], items: Any) -> dict[str, Any]:
    for item in items:
        *above, last = list(item.nested_key) or [item.key]
        node = target
        for key in above:
            node = node.setdefault(key, {})
        node[last] = json.loads(item.value_json)
    return target


def describe(run: OfflineRun) -> list[str]:
    """A run in lines of text."""
    counts: dict[str, int] = {}
    for row in run.history:
        for key in row:
            counts[key] = counts.get(key, 0) + 1
    shown = {key: value for key, value in run.summary.items() if not isinstance(value, dict)}
    tables = [key for key, value in run.summary.items() if isinstance(value, dict) and "path" in value]
    return [
        f"run {run.id} '{run.name}', project {run.project}, group {run.group}, tags {', '.join(run.tags)}, "
        f"exit code {run.exit_code}",
        f"config ({len(run.config)}): {', '.join(sorted(run.config))}",
        f"history: {len(run.history)} steps",
        *(f"  {key} x {n} over {run.axes.get(key, '_step')}" for key, n in counts.items() if key[0] != "_"),
        f"summary ({len(shown)}):",
        *(f"  {key} = {value}" for key, value in sorted(shown.items())),
        f"tables: {', '.join(sorted(tables))}",
        f"files: {', '.join(run.files)}",
        f"artifacts: {', '.join(run.artifacts)}",
        f"machine: {', '.join(sorted(run.machine))}",
    ]


def charts(run: OfflineRun) -> Figure:
    """The dashboard's main charts of one run, drawn from its offline files alone."""
    figure = Figure(figsize=(16, 12), layout="constrained")
    axes = figure.subplots(3, 3).ravel()
    _lines(axes[0], run, ("train_loss", "val_loss"), "loss")
    _lines(axes[1], run, ("val_pair_accuracy",), "pair accuracy of unseen pairs")
    _lines(axes[2], run, ("images_per_second",), "images per second")
    _test(axes[3], run)
    _confusion(axes[4], run)
    _roc(axes[5], run)
    _baselines(axes[6], run)
    scores = run.table("scores")
    axes[7].axis("off")
    axes[7].set_title(f"scores ({len(scores)} rows)")
    text = [list(scores[0]), *([_short(v) for v in row.values()] for row in scores[:12])]
    axes[7].table(cellText=text, loc="center", cellLoc="left")
    axes[8].axis("off")
    axes[8].set_title(f"verdict: {run.summary['verdict/level']}")
    axes[8].text(0, 0.95, run.summary["verdict/headline"], wrap=True, va="top")
    for number, row in enumerate(run.table("verdict")[1:4]):
        axes[8].text(0, 0.7 - 0.22 * number, row["text"], wrap=True, va="top", fontsize=8, color="grey")
    figure.suptitle(f"{run.project} / {run.group} / {run.name}")
    return figure


def _lines(axes: Any, run: OfflineRun, names: tuple[str, ...], title: str) -> None:
    keys = dict.fromkeys(k for row in run.history for k in row if k.rsplit("/", 1)[-1] in names)
    for key in keys:
        axes.plot(*run.curve(key), marker=".", linestyle="--" if "train" in key else "-", label=key)
    axes.set(title=title, xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if keys:
        axes.legend(fontsize=7)


def _interval(run: OfflineRun, name: str) -> tuple[float, list[list[float]]]:
    value = run.summary[name]
    ends = [run.summary.get(f"{name}_{end}", value) for end in ("low", "high")]
    return value, [[value - ends[0]], [ends[1] - value]]


def _bars(axes: Any, run: OfflineRun, names: list[str]) -> None:
    for place, name in enumerate(names):
        value, error = _interval(run, name)
        axes.errorbar([value], [place], xerr=error, fmt="o", capsize=3)
    axes.set_yticks(range(len(names)), names, fontsize=7)


def _test(axes: Any, run: OfflineRun) -> None:
    part = "test" if "test/accuracy" in run.summary else "validation"
    _bars(
        axes, run, [f"{part}/{n}" for n in ("accuracy", "kappa", "auc", "f1") if f"{part}/{n}" in run.summary]
    )
    axes.set_title(f"{part} figures with 95 % intervals")


def _baselines(axes: Any, run: OfflineRun) -> None:
    names = [k for k in run.summary if k.startswith("baseline/") and k.endswith("/accuracy")]
    _bars(axes, run, [*names, *(k for k in ("test/accuracy",) if k in run.summary)])
    axes.set_title("accuracy beside the baselines")


def _confusion(axes: Any, run: OfflineRun) -> None:
    key = next(k for k in run.summary if k.endswith("confusion_matrix_table"))
    cells = run.table(key)
    classes = list(dict.fromkeys(cell["Actual"] for cell in cells))
    matrix = [
        [sum(c["nPredictions"] for c in cells if (c["Actual"], c["Predicted"]) == (a, p)) for p in classes]
        for a in classes
    ]
    axes.imshow(matrix, cmap="Blues")
    for i, row in enumerate(matrix):
        for j, count in enumerate(row):
            colour = "white" if count > sum(row) / 2 else "black"
            axes.text(j, i, f"{count:g}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(title=key.removesuffix("_table"), xlabel="predicted", ylabel="actual")


def _roc(axes: Any, run: OfflineRun) -> None:
    rows = run.table("roc_table")
    for name in dict.fromkeys(row["class"] for row in rows):
        points = [(row["fpr"], row["tpr"]) for row in rows if row["class"] == name]
        axes.step(*zip(*points, strict=True), where="post", label=name)
    axes.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
    axes.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    axes.legend(fontsize=7)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a run folder, or any folder above it")
    parser.add_argument("--plot", type=Path, help="draw the charts of the newest run into this PNG")
    options = parser.parse_args()
    found = offline_runs(options.folder)
    for run in found:
        print("\n".join(describe(run)))
    if options.plot is not None:
        figure = charts(found[-1])
        FigureCanvasAgg(figure).print_png(str(options.plot))


if __name__ == "__main__":
    main()
