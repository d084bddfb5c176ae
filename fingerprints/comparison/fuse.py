"""Votes over finished runs, written as a run folder that can be compared like any other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from fingerprints.comparison.answers import RUN_FILE, TestPart, read_answers, read_test_part
from fingerprints.comparison.records import DataSet, Document, Record
from fingerprints.comparison.tables import is_clustering
from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.files import write_atomically
from fingerprints.data.runfiles import read_labels, write_run_file
from fingerprints.decisions.clusters.labels import majority
from fingerprints.evidence.intervals import Evaluation, estimate_metrics, mean_evaluation
from fingerprints.evidence.paired import match_clusters
from fingerprints.evidence.verdict import figures_document
from fingerprints.runs.status import FINISHED, new_status, write_status
from fingerprints.runs.sweeps import CONFIG, METRICS

Rule = Literal["majority", "unanimous"]
PREDICTIONS = "predictions.csv"  # as in `runs`, which would import torch


def align(answers: Sequence[NDArray[np.str_]], *, clusters: Sequence[bool]) -> list[NDArray[np.str_]]:
    """Cluster names of every run replaced by those of the first one, by the Hungarian method.

    Args:
        answers: For each run `(n,)`.
        clusters: For each run, whether its labels are names of clusters; others are left as they are.

    Returns:
        As `answers`. A cluster that the first run has no counterpart for is called `extra <its name>`.
    """
    first = np.asarray(answers[0], dtype=str)
    names = np.unique(first).tolist()
    out = [first]
    for labels, names_of_clusters in zip(answers[1:], clusters[1:], strict=True):
        if names_of_clusters:
            labels = np.array(
                match_clusters(truth=first, predicted=labels, classes=names, stranger="extra {}")
            )
        out.append(np.asarray(labels, dtype=str))
    return out


def vote(
    answers: Sequence[NDArray[np.str_]],
    *,
    rule: Rule,
    positive: str | None = None,
    negative: str | None = None,
) -> NDArray[np.str_]:
    """One answer for each image out of several.

    Args:
        answers: For each run `(n,)`, clusters aligned.
        rule: `majority`: the most frequent label, on ties that of the earliest run among the tied.
            `unanimous`: the positive label where all runs say it, else the negative one.
        positive: The task's positive label, which `unanimous` needs.
        negative: What stands against it.

    Returns:
        `(n,)`.

    Raises:
        FingerprintsError: If `unanimous` has no positive label: where runs disagree there is then nothing
            to fall back on but one run's answer, and the vote would be that run.
    """
    if rule == "unanimous" and (positive is None or negative is None):
        raise FingerprintsError(
            "A unanimous vote needs a label to fall back on where runs disagree; only `usage` has one.",
            where="vote=unanimous",
            fix="vote=majority",
        )
    if rule == "majority":
        return majority(answers)
    table = np.stack([np.asarray(labels, dtype=str) for labels in answers])
    return np.where((table == positive).all(axis=0), str(positive), str(negative))


def shares(answers: Sequence[NDArray[np.str_]], *, classes: Sequence[str]) -> NDArray[np.float64]:
    """Share of runs that give each label, `(n, C)` in [0, 1]."""
    votes = np.stack([np.asarray(labels, dtype=str) for labels in answers])
    return np.stack([(votes == name).mean(axis=0) for name in classes], axis=1).astype(np.float64)


def fuse(
    data: DataSet, folder: Path, *, rule: Rule, seed: int, resamples: int, permutations: int
) -> Document:
    """Vote over all runs of a data set but controls, and write the outcome as a run folder.

    It gets `config.yaml`, `predictions.csv` (scores are shares of votes), `run.csv`, `metrics.json` and
    `status.json`. Without truth there are no figures. Baselines are those of the first run.

    Args:
        data: The runs.
        folder: A folder that holds no run yet.
        rule: See `vote`.
        seed: Of resampling and permuting.
        resamples: Bootstrap draws.
        permutations: Permutations of labels.

    Returns:
        What `metrics.json` holds.

    Raises:
        FingerprintsError: If there are fewer than two runs, they answered about different images, or the
            folder holds a run.
    """
    records = [record for record in data.records if record.kind != "control"]
    if len(records) < 2:
        raise FingerprintsError(
            f"A vote needs at least two runs; there is {len(records)}, controls left out.",
            where="runs",
            fix="runs=GLOB that matches more finished runs",
        )
    if (folder / CONFIG).exists():
        raise FingerprintsError(
            "The folder already holds a run.", where=folder, fix="out=DIR with a new folder"
        )
    task = data.task
    try:
        part: TestPart | None = read_test_part(records[0])
    except FingerprintsError:
        part = None
    ids, answers = _read(records, part)
    clusters = [is_clustering(record) for record in records]
    aligned = align(answers, clusters=clusters)
    positive = task.positive
    negative = next((name for name in task.classes or () if name != positive), None)
    labels = vote(aligned, rule=rule, positive=positive, negative=negative)
    classes = tuple(sorted({str(x) for run in aligned for x in run})) if part is None else part.classes
    named = not any(clusters)
    scores = shares(aligned, classes=task.classes or classes) if named else None
    table = pd.DataFrame({"id": ids, "label": [task.to_run(str(label)) for label in labels]})
    if scores is not None and positive is not None:
        scores = scores[:, list(task.classes or ()).index(positive)]
        table["score"] = scores
    elif scores is not None:
        table = table.assign(**{f"score_{name}": scores[:, i] for i, name in enumerate(classes)})
    test: dict[str, Evaluation] = {}
    if part is not None:
        for generator in np.unique(part.generators):
            own = part.generators == generator
            test[str(generator)] = estimate_metrics(
                task=task,
                classes=classes,
                truth=part.labels[own],
                predicted=labels[own],
                scores=None if scores is None else scores[own],
                groups=part.groups[own],
                seed=seed,
                resamples=resamples,
                permutations=permutations,
                clusters=any(clusters),
            )
        if len(test) > 1:
            test["mean"] = mean_evaluation(list(test.values()))
    name = f"vote_{rule}"
    config = _config(records, data, name=name, rule=rule, seed=seed)
    document = _document(records, data, test, name=name)
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / PREDICTIONS, index=False)
    write_run_file(folder / RUN_FILE, ids, [str(label) for label in labels], task)
    write_atomically(folder / CONFIG, yaml.safe_dump(config, sort_keys=False).encode())
    write_atomically(folder / METRICS, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
    status = new_status()
    write_status(folder, {**status, "state": FINISHED, "stage": FINISHED})
    return document


def _read(records: Sequence[Record], part: TestPart | None) -> tuple[list[str], list[NDArray[np.str_]]]:
    """Ids and the answers of every run to them."""
    if part is not None:
        return list(part.ids), [read_answers(record, part) for record in records]
    found = [read_labels(record.folder / RUN_FILE, record.task, kind="run file") for record in records]
    ids = list(found[0])
    strange = [r.name for r, labels in zip(records, found, strict=True) if set(labels) != set(ids)]
    if strange:
        raise FingerprintsError(
            f"Runs are about other images than '{records[0].name}':\n{listing(strange)}",
            where="runs",
            fix="vote over runs with the same test part",
        )
    return ids, [np.array([labels[i] for i in ids]) for labels in found]


def _config(records: Sequence[Record], data: DataSet, *, name: str, rule: Rule, seed: int) -> dict[str, Any]:
    """What `compare` needs to read the folder as a run: the data, and what was fused."""
    of = [
        f"{system.name} x {len(system.records)}" if len(system.records) > 1 else system.name
        for system in data.systems
        if system.kind != "control"
    ]
    settings = dict(records[0].config.get("data") or {})
    for key in ("root", "groups"):
        if settings.get(key) is not None:
            settings[key] = str(records[0].path(settings[key]).resolve())
    return {
        "name": name,
        "task": data.task.name,
        "seed": records[0].config.get("seed", seed),
        "data": settings,
        "fused": {
            "rule": rule,
            "of": of,
            "random_weights": any(record.kind == "random_weights" for record in records),
            "runs": [str(record.folder.resolve()) for record in records],
        },
        "published": {"source": "", "test": {}},
    }


def _document(
    records: Sequence[Record], data: DataSet, test: dict[str, Evaluation], *, name: str
) -> Document:
    return {
        "task": data.task.name,
        "experiment": name,
        "validation": {},
        "test": figures_document(test),
        "baselines": records[0].document.get("baselines", {}),
        "controls": {},
        "run": {"data_fingerprint": records[0].fingerprint, "fused": [record.name for record in records]},
    }
