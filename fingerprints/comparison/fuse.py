"""Votes over finished runs, written as a run folder that can be compared like other runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fingerprints.comparison.answers import Truth, own_run_file, read_answers, read_truth
from fingerprints.comparison.systems import DataSet, kind_of
from fingerprints.comparison.tables import is_clustering
from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.memory import require_memory
from fingerprints.core.tasks import Task
from fingerprints.data.names import find
from fingerprints.data.runfiles import write_run_file
from fingerprints.decisions.clusters.dbscan_rerank import rerank
from fingerprints.decisions.clusters.hierarchical import Hierarchical, agglomerate
from fingerprints.decisions.clusters.labels import majority
from fingerprints.evidence.estimates import Evaluation
from fingerprints.evidence.intervals import estimate_metrics
from fingerprints.evidence.mean import mean_evaluation
from fingerprints.evidence.paired import match_clusters
from fingerprints.evidence.verdict import figures_document
from fingerprints.runs.figures import MEAN, Document
from fingerprints.runs.folder import (
    PREDICTIONS,
    RUN_FILE,
    RunRecord,
    refuse_used_folder,
    write_config,
    write_metrics,
)
from fingerprints.runs.status import FINISHED, new_status, write_status

Rule = Literal["majority", "unanimous", "rerank"]


def align(answers: Sequence[NDArray[np.str_]], *, clusters: Sequence[bool]) -> list[NDArray[np.str_]]:
    """Cluster names of every run replaced by those of the first one, by the Hungarian method.

    Args:
        answers: For each run `(n,)`.
        clusters: For each run, whether its labels are names of clusters; other labels are not changed.

    Returns:
        As `answers`. A cluster without a counterpart in the first run is called `extra <its name>`.
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
    """One answer for each image from the answers of several runs.

    Args:
        answers: For each run `(n,)`, clusters aligned.
        rule: `majority`: the most frequent label; on ties the tied label of the earliest run.
            `unanimous`: the positive label if all runs give it, else the negative one.
            `rerank`: see `reranked`.
        positive: The task's positive label, which `unanimous` needs.
        negative: The task's negative label.

    Returns:
        `(n,)`.

    Raises:
        FingerprintsError: If `unanimous` has no positive label: without a default answer for disagreement,
            the vote could only repeat one of the runs.
    """
    if rule == "unanimous" and (positive is None or negative is None):
        raise FingerprintsError(
            "A unanimous vote needs a default label if runs disagree; only `usage` has one.",
            where="vote=unanimous",
            fix="vote=majority",
        )
    if rule == "majority":
        return majority(answers)
    if rule == "rerank":
        return reranked(answers)
    table = np.stack([np.asarray(labels, dtype=str) for labels in answers])
    return np.where((table == positive).all(axis=0), str(positive), str(negative))


def reranked(answers: Sequence[NDArray[np.str_]]) -> NDArray[np.str_]:
    """Majority label of each image's cluster, where images are near if the runs answer alike about them.

    Csmorgan [O24] names an agglomerative re-ranking of earlier submissions, and no more. Our reading: Ward
    clusters of the images by the answers of all runs, as many clusters as there are labels. Each cluster gets
    the label that most of its images have by `majority`; on ties the first in sorted order.

    Args:
        answers: For each run `(n,)`, clusters aligned.

    Returns:
        `(n,)`.

    Raises:
        FingerprintsError: If there is not enough memory.
    """
    table = np.stack([np.asarray(labels, dtype=str) for labels in answers], axis=1)
    names = np.unique(table)
    alike = (table[:, :, None] == names).reshape(len(table), -1)
    clusters = min(len(names), len(table))
    require_memory(
        Hierarchical.memory(None, images=len(table), width=alike.shape[1], clusters=clusters),
        purpose=f"vote=rerank on {len(table):,} images",
        where="vote",
        fix="vote=majority",
    )
    order = np.lexsort(alike.T)  # many distances are equal: sorted, they tie alike in any order of the images
    found = np.empty(len(table), dtype=np.int64)
    found[order] = agglomerate(alike[order].astype(np.float32), clusters=clusters)
    return rerank(majority(answers), found)


def shares(answers: Sequence[NDArray[np.str_]], *, classes: Sequence[str]) -> NDArray[np.float64]:
    """Share of runs that give each label, `(n, C)` in [0, 1]."""
    votes = np.stack([np.asarray(labels, dtype=str) for labels in answers])
    return np.stack([(votes == name).mean(axis=0) for name in classes], axis=1).astype(np.float64)


@dataclass(frozen=True)
class Fused:
    """The joint answers of several runs.

    Attributes:
        ids: The images, `(n,)`.
        labels: The result of the vote for each image, `(n,)`.
        classes: All labels.
        scores: Shares of votes in [0, 1]: `(n,)` for the positive label if the task has one, else `(n, C)`
            in the order of the classes; `None` if a run answers with names of clusters.
        clusters: Whether at least one run answers with names of clusters.
    """

    ids: tuple[str, ...]
    labels: NDArray[np.str_]
    classes: tuple[str, ...]
    scores: NDArray[np.float64] | None
    clusters: bool


def fuse(data: DataSet, folder: Path, *, rule: Rule, seed: int, permutations: int) -> Document:
    """Vote over all runs of a data set except controls, and write the result as a run folder.

    The folder gets `config.yaml`, `predictions.csv` (scores are shares of votes), `run.csv`, `metrics.json`
    and `status.json`. Without truth there are no figures. Baselines are those of the first run.

    Args:
        data: The runs.
        folder: A folder that holds no run yet.
        rule: See `vote`.
        seed: Seed of permuting.
        permutations: Permutations of labels.

    Returns:
        Content of `metrics.json`.

    Raises:
        FingerprintsError: If there are fewer than two runs, their images differ, or the folder holds a run.
    """
    records = [record for record in data.records if kind_of(record) != "control"]
    if len(records) < 2:
        raise FingerprintsError(
            f"A vote needs at least two runs; there is {len(records)}, without controls.",
            where="runs",
            fix="runs=GLOB that matches more finished runs",
        )
    refuse_used_folder(folder, fix="use a new folder: out=DIR")
    try:
        truth: Truth | None = read_truth(records[0])
    except FingerprintsError:
        truth = None
    fused = _count(records, truth, task=data.task, rule=rule)
    draws = {"seed": seed, "permutations": permutations}
    test = {} if truth is None else _evaluations(fused, truth, task=data.task, **draws)
    name = f"vote_{rule}"
    document = _document(records, data, test, name=name)
    folder.mkdir(parents=True, exist_ok=True)
    _table(fused, data.task).to_csv(folder / PREDICTIONS, index=False)
    first = own_run_file(records[0])  # the votes are written in its form
    ids = [first.ids[row] for row in first.rows_of(fused.ids)]
    write_run_file(folder / RUN_FILE, ids, fused.labels.tolist(), data.task, header=first.header)
    write_config(folder, _config(records, data, name=name, rule=rule, seed=seed))
    write_metrics(folder, document)
    write_status(folder, {**new_status(), "state": FINISHED, "stage": FINISHED})
    return document


def _count(records: Sequence[RunRecord], truth: Truth | None, *, task: Task, rule: Rule) -> Fused:
    ids, answers = _read(records, truth)
    clusters = [is_clustering(record) for record in records]
    aligned = align(answers, clusters=clusters)
    negative = next((name for name in task.classes or () if name != task.positive), None)
    labels = vote(aligned, rule=rule, positive=task.positive, negative=negative)
    given = {str(label) for answer in aligned for label in answer}
    classes = tuple(sorted(given)) if truth is None else truth.classes
    scores = None if any(clusters) else shares(aligned, classes=task.classes or classes)
    if scores is not None and task.positive is not None:
        scores = scores[:, list(task.classes or ()).index(task.positive)]
    return Fused(tuple(ids), labels, classes, scores, clusters=any(clusters))


def _evaluations(
    fused: Fused, truth: Truth, *, task: Task, seed: int, permutations: int
) -> dict[str, Evaluation]:
    """Figures by generator, with their mean if there are several."""
    found: dict[str, Evaluation] = {}
    for generator in np.unique(truth.generators):
        own = truth.generators == generator
        found[str(generator)] = estimate_metrics(
            task=task,
            classes=fused.classes,
            truth=truth.labels[own],
            predicted=fused.labels[own],
            scores=None if fused.scores is None else fused.scores[own],
            groups=truth.groups[own],
            seed=seed,
            permutations=permutations,
            clusters=fused.clusters,
        )
    if len(found) > 1:
        found[MEAN] = mean_evaluation(list(found.values()))
    return found


def _table(fused: Fused, task: Task) -> pd.DataFrame:
    """`predictions.csv`: id, label as spelt in run files, and the scores, if any."""
    table = pd.DataFrame({"id": fused.ids, "label": [task.to_run(label) for label in fused.labels.tolist()]})
    if fused.scores is None:
        return table
    if fused.scores.ndim == 1:
        return table.assign(score=fused.scores)
    return table.assign(**{f"score_{name}": fused.scores[:, i] for i, name in enumerate(fused.classes)})


def _read(records: Sequence[RunRecord], truth: Truth | None) -> tuple[list[str], list[NDArray[np.str_]]]:
    """Ids of the images, and the answers of every run."""
    if truth is not None:
        return list(truth.ids), [read_answers(record, truth) for record in records]
    found = [own_run_file(record) for record in records]
    ids = list(found[0].ids)
    strange = [
        record.name
        for record, table in zip(records, found, strict=True)
        if len(table.ids) != len(ids) or None in find(table.ids, ids)
    ]
    if strange:
        raise FingerprintsError(
            f"These runs have other images than '{records[0].name}':\n{listing(strange)}",
            where="runs",
            fix="choose runs with the same test part",
        )
    return ids, [np.array(table.labels_of(ids)) for table in found]


def _config(
    records: Sequence[RunRecord], data: DataSet, *, name: str, rule: Rule, seed: int
) -> dict[str, Any]:
    """The configuration that lets `compare` read the folder as a run: the data, and the fused runs."""
    of = [
        f"{system.name} x {len(system.records)}" if len(system.records) > 1 else system.name
        for system in data.systems
        if system.kind != "control"
    ]
    settings = dict(records[0].config.get("data") or {})
    for key in ("root", "test_root", "groups"):
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
            "random_weights": any(kind_of(record) == "random_weights" for record in records),
            "runs": [str(record.folder.resolve()) for record in records],
        },
        "published": {"source": "", "test": {}},
    }


def _document(
    records: Sequence[RunRecord], data: DataSet, test: dict[str, Evaluation], *, name: str
) -> Document:
    return {
        "task": data.task.name,
        "official": data.task.official,
        "experiment": name,
        "validation": {},
        "test": figures_document(test),
        "baselines": records[0].metrics.get("baselines", {}),
        "controls": {},
        "run": {"data_fingerprint": records[0].fingerprint, "fused": [record.name for record in records]},
    }
