"""Predictions as a table, and a run's result in a few lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fingerprints.data.index import Index
from fingerprints.detection import Detection, Predictions
from fingerprints.evidence.intervals import Evaluation
from fingerprints.evidence.verdict import Verdict
from fingerprints.scoring import Scores, overall
from fingerprints.tasks import Task, get_task


def predictions_table(task: Task, classes: Sequence[str], parts: Sequence[Predictions]) -> pd.DataFrame:
    """Columns `id`, `label` (as run files spell it) and `score`, or `score_<class>` for each class."""
    frames = []
    for part in parts:
        columns: dict[str, object] = {
            "id": part.rows["id"].to_numpy(),
            "label": [task.to_run(str(label)) for label in part.labels],
        }
        if part.scores.ndim == 1:
            columns["score"] = part.scores
        else:
            columns |= {f"score_{name}": part.scores[:, i] for i, name in enumerate(classes)}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def summary_lines(
    index: Index, scores: Scores, conclusion: Verdict, folder: Path, detections: Sequence[Detection]
) -> list[str]:
    """What the terminal says at the end of a run."""
    lines = [f"encoder budget: {sum(d.images_encoded for d in detections):,} images encoded in training"]
    for title, figures in (("validation", scores.validation), ("test", scores.test)):
        for generator, evaluation in figures.items():
            shown = [_figure(name, evaluation) for name in headline_metrics(index.task)]
            name = f"{title} {generator}".strip()
            lines.append(f"{name}: " + "  ".join(text for text in shown if text) + f"  (n {evaluation.n:,})")
    for name, figures in scores.baselines.items():
        shown_for = overall(figures)
        if shown_for is not None:
            shown = [_figure(metric, shown_for) for metric in headline_metrics(index.task)]
            lines.append(f"  beside it, {name}: " + "  ".join(text for text in shown if text))
    lines.append(conclusion.headline)
    lines.append(f"report: {folder / 'report.html'}")
    return lines


def document_lines(document: dict[str, Any]) -> list[str]:
    """The main figures of a finished run, out of what `metrics.json` holds."""
    lines = []
    names = headline_metrics(get_task(document["task"]))
    for part in ("validation", "test"):
        levels = document[part]
        by_generator = levels if levels and "value" not in next(iter(levels.values())) else {"": levels}
        for generator, figures in by_generator.items():
            shown = [_stored(name, figures[name]) for name in names if name in figures]
            if any(shown):
                lines.append(f"{part} {generator}".strip() + ": " + "  ".join(text for text in shown if text))
    return [*lines, document["verdict"]["headline"]]


def _stored(name: str, figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return ""
    interval = "" if figure["low"] is None else f" [{figure['low']:.3f}, {figure['high']:.3f}]"
    return f"{name} {figure['value']:.3f}{interval}"


def headline_metrics(task: Task) -> tuple[str, ...]:
    """The metrics that a short summary names, the official one first."""
    others = {"usage": ("auc", "accuracy"), "subset": ("f1",), "model": ("accuracy",)}[task.name]
    return (task.official, *others)


def _figure(name: str, evaluation: Evaluation) -> str:
    estimate = evaluation.metrics.get(name)
    if estimate is None or estimate.value is None:
        return ""
    if estimate.low is None or estimate.high is None:
        return f"{name} {estimate.value:.3f}"
    return f"{name} {estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
