"""From a detector's predictions to figures with evidence: metrics, baselines, verdict."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.metrics import silhouette_score

from fingerprints.data.index import Index
from fingerprints.data.store import ImageStore
from fingerprints.detector.detection import Detection, Predictions
from fingerprints.evidence.estimates import Evaluation
from fingerprints.evidence.intervals import estimate_metrics
from fingerprints.evidence.mean import mean_evaluation
from fingerprints.evidence.patients import PatientEvidence, patient_evidence
from fingerprints.evidence.settings import EvidenceSettings
from fingerprints.evidence.verdict import figures_document
from fingerprints.reporting.baselines import baselines as baselines_of
from fingerprints.runs.figures import MEAN

Figures = dict[str, Evaluation]  # by generator; with several also under MEAN
HELD_OUT_REAL = "held_out_real"
CLUSTERED_REAL = "clustered_real"
PAIRS_SHARE_IMAGES = "pairs share images, so that no interval is valid"


@dataclass(frozen=True)
class Scores:
    """All figures of a run.

    Attributes:
        validation: Figures of units unseen in training, by generator; empty if none were held out.
        test: Figures of the test part; empty if there is no truth.
        baselines: Figures of trivial and blind baselines on the test part, by name; each by generator.
        controls: Figures on control images, which separate effects of data and generator, by name.
        patients: `usage` only: patients of the judged part, by generator.
    """

    validation: Figures
    test: Figures
    baselines: dict[str, Figures]
    controls: dict[str, Figures]
    patients: dict[str, PatientEvidence]


def score(
    index: Index,
    store: ImageStore,
    detections: Sequence[Detection],
    *,
    settings: EvidenceSettings,
    seed: int,
) -> Scores:
    """Figures of all generators, with their mean if there are several."""
    evaluate = functools.partial(_evaluate, index, settings=settings, seed=seed)
    validation = {d.generator: evaluate(d.validation) for d in detections if d.validation}
    real = {d.generator: evaluate(d.held_out_real) for d in detections if d.held_out_real}
    own = {d.generator: found for d in detections if (found := _clustered_real(index, d)) is not None}
    clustered = {generator: evaluate(found) for generator, found in own.items()}
    test: Figures = {}
    by_generator: dict[str, dict[str, Evaluation]] = {}
    if index.has_truth:
        for detection in detections:
            if detection.test is None:
                continue
            test[detection.generator] = evaluate(detection.test)
            by_generator[detection.generator] = baselines_of(
                index, store, detection.generator, settings=settings, seed=seed
            )
    names = list(next(iter(by_generator.values()), {}))
    baselines = {name: {g: found[name] for g, found in by_generator.items()} for name in names}
    return Scores(
        validation=_with_mean(validation),
        test=_with_mean(test),
        baselines={name: _with_mean(figures) for name, figures in baselines.items()},
        controls={
            name: found for name, found in ((HELD_OUT_REAL, real), (CLUSTERED_REAL, clustered)) if found
        },
        patients={d.generator: one for d in detections if (one := _patients(index, d)) is not None},
    )


def _patients(index: Index, detection: Detection) -> PatientEvidence | None:
    """The patients of the judged part, or of a test part without truth if there is no other part."""
    judged = judged_part(index, detection) or detection.test
    if index.task.positive is None or judged is None or judged.scores is None:
        return None
    truth, groups = (judged.rows[column].to_numpy(dtype=str) for column in ("label", "group"))
    return patient_evidence(truth=truth, predicted=judged.labels, scores=judged.scores, groups=groups)


def _clustered_real(index: Index, detection: Detection) -> Predictions | None:
    """The real training images with their clusters, if the decision clustered them."""
    judged = detection.validation if detection.test is None else detection.test
    if judged is None or not len(judged.real):
        return None
    rows = index.select(generator=detection.generator, domain="real", split="train")
    return Predictions(rows=rows, labels=judged.real, scores=None, clusters=True)


def overall(figures: Figures) -> Evaluation | None:
    """The figures of the one generator, or their mean over several; `None` if there are none."""
    return figures.get(MEAN, figures.get(""))


def _with_mean(figures: Figures) -> Figures:
    return figures if len(figures) < 2 else {**figures, MEAN: mean_evaluation(list(figures.values()))}


def labels_asked(index: Index, predictions: Predictions) -> tuple[str, ...]:
    """Labels used for scoring: those of the training part, then those that occur only here.

    In `model` the test part has one more generator. With a left-out subset it has images of no known subset,
    and an open-set decision can answer "none".
    """
    here = set(predictions.rows["label"]) | (set() if predictions.clusters else set(predictions.labels))
    return (*index.classes, *sorted(here - {"", *index.classes}))


def _evaluate(index: Index, predictions: Predictions, settings: EvidenceSettings, seed: int) -> Evaluation:
    classes = labels_asked(index, predictions)
    scores = predictions.scores
    if scores is not None and scores.ndim == 2 and scores.shape[1] != len(classes):
        scores = None  # there are no scores for a label that training does not know
    found = estimate_metrics(
        task=index.task,
        classes=classes,
        truth=predictions.rows["label"].to_numpy(dtype=str),
        predicted=predictions.labels,
        scores=scores,
        groups=predictions.rows["group"].to_numpy(dtype=str),
        seed=seed,
        permutations=settings.permutations,
        clusters=predictions.clusters or index.task.clusters,
    )
    return replace(found, chosen_on=predictions.chosen_on)


def judged_part(index: Index, detection: Detection) -> Predictions | None:
    """The predictions for plots and tables: of the test part if it has truth, else of validation."""
    return detection.test if index.has_truth and detection.test is not None else detection.validation


def silhouettes(index: Index, detection: Detection, *, most: int = 2000) -> dict[str, float | None]:
    """Silhouette of the generated images of the judged part (Rousseeuw 1987), before any reduction.

    Returns:
        In [-1, 1]: `labels` by true label, `answers` by the decision's answer; `None` without two different
        ones. At most `most` images, evenly spaced, are used.
    """
    judged = judged_part(index, detection)
    part = detection.test_part if judged is detection.test else None
    if judged is None or part is None or index.task.unit != "generated":
        return {}
    at = np.unique(np.linspace(0, len(part.generated) - 1, min(most, len(part.generated))).astype(np.int64))
    vectors = part.generated.embeddings[at].reshape(len(at), -1)
    found: dict[str, float | None] = {}
    for name, labels in (("labels", judged.rows["label"].to_numpy(dtype=str)), ("answers", judged.labels)):
        kinds = len(np.unique(labels[at]))
        found[name] = float(silhouette_score(vectors, labels[at])) if 1 < kinds < len(at) else None
    return found


def metrics_document(
    scores: Scores,
    index: Index,
    detections: Sequence[Detection],
    *,
    experiment: str,
    extra: dict[str, Any],
) -> dict[str, Any]:
    """A section of `metrics.json`: with one generator its metrics, with several one section for each."""
    validation = figures_document(scores.validation)
    for detection in detections:
        if detection.pair_accuracy is not None:
            level = validation[detection.generator] if detection.generator else validation
            level["pair_accuracy"] = {
                "value": detection.pair_accuracy,
                "low": None,
                "high": None,
                "p": None,
                "reason": PAIRS_SHARE_IMAGES,
            }
    return {
        "task": index.task.name,
        "official": index.task.official,
        "experiment": experiment,
        "validation": validation,
        "test": figures_document(scores.test),
        "baselines": {name: figures_document(figures) for name, figures in scores.baselines.items()},
        "controls": {name: figures_document(figures) for name, figures in scores.controls.items()},
        "patients": {name or "patients": found.to_json() for name, found in scores.patients.items()},
        **extra,
    }
