"""What a run leaves in its folder: answers, figures, verdict and page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from fingerprints.config.roots import TrainSettings
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.data.embedded import embedded_notes, simulation_notes
from fingerprints.data.index import Index
from fingerprints.data.runfiles import spelled, write_run_file
from fingerprints.data.store import ImageStore
from fingerprints.detector.detection import Detection
from fingerprints.detector.saved import save_decider
from fingerprints.evidence.verdict import Verdict, verdict
from fingerprints.reporting.figures import (
    HELD_OUT_REAL,
    Scores,
    metrics_document,
    overall,
    score,
    silhouettes,
)
from fingerprints.reporting.html import write_report
from fingerprints.reporting.run_report import report_content
from fingerprints.reporting.tables import predictions_table
from fingerprints.runs.folder import PREDICTIONS, REPORT, RUN_FILE


def write_answers(folder: Path, config: TrainSettings, index: Index, detections: Sequence[Detection]) -> None:
    """Write the fitted decisions, `predictions.csv` and `run.csv`."""
    for detection in detections:
        save_decider(
            folder,
            detection.generator,
            detection.decider,
            classes=index.classes,
            encoder=detection.encoder,
        )
    tested = [d.test for d in detections if d.test is not None]
    if tested:
        predictions_table(index.task, index.classes, tested).to_csv(folder / PREDICTIONS, index=False)
        form = config.data.run_file
        rows = pd.concat([part.rows for part in tested])
        ids = spelled(rows["id"].tolist(), rows["path"].tolist(), form=form.ids)
        labels = [str(label) for part in tested for label in part.labels]
        write_run_file(folder / RUN_FILE, ids, labels, index.task, header=form.columns)


def check_answers(index: Index, detections: Sequence[Detection], folder: Path) -> None:
    """Refuse answers that are not those in the run folder.

    Raises:
        FingerprintsError: If a label differs.
    """
    tested = [d.test for d in detections if d.test is not None]
    if not tested:
        return
    now = predictions_table(index.task, index.classes, tested)
    recorded = pd.read_csv(folder / PREDICTIONS, dtype={"id": str, "label": str}, keep_default_na=False)
    same = now["id"].tolist() == recorded["id"].tolist()
    other = int((now["label"].to_numpy() != recorded["label"].to_numpy()).sum()) if same else len(now)
    if other:
        raise FingerprintsError(
            f"{other:,} of {len(now):,} answers would differ from those of the run, which another version or "
            "other hardware may have made: its page cannot be drawn again.",
            where=folder / PREDICTIONS,
            fix="start a new run, or install the version that made it (metrics.json, run.fingerprints)",
        )


def evaluate(
    config: TrainSettings,
    folder: Path,
    index: Index,
    store: ImageStore,
    seen: ImageStore,
    detections: list[Detection],
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Figures and verdict of the detections; writes the page.

    Args:
        config: The settings of the run.
        folder: The run folder.
        index: The data set.
        store: Its decoded images.
        seen: The images as the encoder got them.
        detections: One for each generator.
        facts: Versions, hardware and cost of the run.

    Returns:
        Content of `metrics.json`.
    """
    scores = score(index, store, detections, settings=config.evidence, seed=config.seed)
    conclusion = conclude(index, scores, clustered=any(d.decider.transductive for d in detections))
    reservations = [
        *embedded_notes(config.data.root),
        *simulation_notes(config.data.root, config.data.test_root),
    ]
    conclusion = replace(conclusion, notes=[*reservations, *conclusion.notes])
    return _write_page(folder, config, index, seen, detections, scores, conclusion, facts)


def conclude(index: Index, scores: Scores, *, clustered: bool) -> Verdict:
    """The verdict on the figures."""
    units = index.select(domain=index.task.unit, split="test")
    if units.empty:
        units = index.select(domain=index.task.unit, split=("train", "validation"))
    members, others = (index.table.loc[index.table["label"] == kind, "group"] for kind in (USED, NOT_USED))
    return verdict(
        task=index.task,
        evaluation=overall(scores.test),
        baselines={n: found for n, figures in scores.baselines.items() if (found := overall(figures))},
        validation=overall(scores.validation),
        effective_n=units["group"].nunique(),
        pseudo_groups=index.pseudo_groups,
        generators=len(index.classes) if index.task.unit == "generated" else len(index.generators),
        shared_groups=None if index.pseudo_groups or others.empty else float(others.isin(members).mean()),
        held_out_real=overall(scores.controls.get(HELD_OUT_REAL, {})),
        clustered=clustered,
    )


def _write_page(
    folder: Path,
    config: TrainSettings,
    index: Index,
    seen: ImageStore,
    detections: list[Detection],
    scores: Scores,
    conclusion: Verdict,
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Write `report.html`; returns the content of `metrics.json`."""
    silhouette = {d.generator: silhouettes(index, d) for d in detections}
    extra = {
        "verdict": {"level": conclusion.level, "headline": conclusion.headline, "notes": conclusion.notes},
        "encoder_budget": {d.generator or "images_encoded": d.images_encoded for d in detections},
        "features": {
            d.generator or "features": {**found.facts, "encoded": found.encoded}
            for d in detections
            if (found := d.encoder.features) is not None
        },
        "reduction": {d.generator or "reduction": d.decider.reduction.describe() for d in detections},
        "silhouette": {name or "silhouette": found for name, found in silhouette.items()},
        "run": facts,
    }
    document = metrics_document(scores, index, detections, experiment=config.name, extra=extra)
    content = report_content(
        config=config,
        index=index,
        detections=detections,
        scores=scores,
        conclusion=conclusion,
        silhouette=silhouette,
        facts=facts,
        seen=seen,
    )
    write_report(folder / REPORT, content)
    return document
