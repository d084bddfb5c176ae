"""A finished run's results in its logger: figures with their evidence, charts, scores, and no pixels.

All figures are those of `metrics.json`. Images are logged only with `logger.log_images=true`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger

from fingerprints.core.tasks import get_task
from fingerprints.data.index import Index
from fingerprints.data.store import ImageStore
from fingerprints.decisions.clusters.labels import align
from fingerprints.detector.detection import Detection, Predictions
from fingerprints.evidence.metrics import encode, roc_curve
from fingerprints.reporting import plots
from fingerprints.reporting.figures import judged_part, labels_asked
from fingerprints.reporting.panels import judged_confusion
from fingerprints.reporting.tables import predictions_table, score_names
from fingerprints.runs.figures import MEAN, by_generator
from fingerprints.training.loggers import Tracker

MAX_IMAGES = 16
"""Largest number of test images that are logged."""

ROC_POINTS = 200
"""Largest number of points of a curve: half evenly spaced, half with increasing distance from the start."""

RUN_FACTS = ("seconds", "training_seconds", "data_fingerprint", "fingerprints", "revision")
FIGURE_COLUMNS = ("part", "generator", "metric", "value", "low", "high", "p", "reason")


def log_results(
    tracker: Tracker,
    *,
    index: Index,
    detections: Sequence[Detection],
    document: dict[str, Any],
    images: ImageStore,
    log_images: bool,
) -> None:
    """Send a finished run's results to its logger.

    Args:
        tracker: From `open_logger`; without a logger, nothing is sent. An error of the logger is a warning.
        index: The data set.
        detections: The detectors.
        document: Content of `metrics.json`, the only source of figures.
        images: The pixels.
        log_images: Whether some images are logged; if not, the pixels are not read.
    """
    logger = tracker.logger
    if logger is None:
        return
    with tracker.tolerant():
        shown = examples(index, detections) if log_images else None
        if isinstance(logger, WandbLogger):
            _to_wandb(logger.experiment, index, detections, document, images, shown)
            return
        figures = {k: v for k, v in summary(document).items() if isinstance(v, int | float)}
        logger.log_metrics(figures, step=0)
        if isinstance(logger, TensorBoardLogger):
            _to_tensorboard(logger, index, detections, document, images, shown)
        logger.save()


def summary(document: dict[str, Any]) -> dict[str, float | str]:
    """Flat figures: `test/accuracy`, its `_low`, `_high` and `_p`, `baseline/file/accuracy`, ...

    With several generators these are means, and each generator has `<generator>/test/accuracy`. For
    baselines and controls only the headline metrics are included. Figures that could not be estimated are
    left out; `figures_table` has all of them, with reasons.
    """
    flat: dict[str, float | str] = {}
    headlines = get_task(document["task"], official=document.get("official")).headline
    for part, generator, metric, estimate in _estimates(document):
        if "/" in part and (generator or metric not in headlines):
            continue
        key = f"{generator}/{part}/{metric}" if generator else f"{part}/{metric}"
        if estimate["value"] is not None:
            flat[key] = estimate["value"]
            flat |= {f"{key}_{x}": estimate[x] for x in ("low", "high", "p") if estimate[x] is not None}
    facts = document["run"]
    flat |= {
        "verdict/level": document["verdict"]["level"],
        "verdict/headline": document["verdict"]["headline"],
        "run/encoder_budget": sum(document["encoder_budget"].values()),
        **{f"run/{name}": facts[name] for name in RUN_FACTS if facts[name] is not None},
        **{f"run/peak_memory_mb_{name}": value for name, value in facts["peak_memory_mb"].items()},
    }
    return flat


def figures_table(document: dict[str, Any]) -> pd.DataFrame:
    """A row per figure, columns `FIGURE_COLUMNS`; a figure that could not be estimated has a reason."""
    rows = [
        (part, generator, metric, *(estimate.get(name) for name in FIGURE_COLUMNS[3:]))
        for part, generator, metric, estimate in _estimates(document)
    ]
    return pd.DataFrame(rows, columns=list(FIGURE_COLUMNS)).astype(object)


def scores_table(index: Index, detections: Sequence[Detection]) -> pd.DataFrame:
    """A row per image of the test part (of validation if there is no test part).

    Columns: `generator` if there are several, `id`, `truth` if it is known, `label`, and `score` or
    `score_<class>`.
    """
    frames = []
    for detection in detections:
        part = detection.test or detection.validation
        if part is None:
            continue
        frame = predictions_table(index.task, index.classes, [part])
        if part is not detection.test or index.has_truth:
            truth = [index.task.to_run(str(label)) for label in part.rows["label"]]
            frame.insert(1, "truth", truth)
        if len(detections) > 1:
            frame.insert(0, "generator", detection.generator)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"id": []})


def roc_table(index: Index, detections: Sequence[Detection]) -> pd.DataFrame:
    """Points of the ROC, columns `class`, `fpr`, `tpr`: for `used`, or for each class against the rest.

    With several generators the `class` begins with the generator. A curve has at most `ROC_POINTS`.
    """
    frames = [pd.DataFrame({"class": [], "fpr": [], "tpr": []})]
    for detection in detections:
        judged = judged_part(index, detection)
        if judged is None or judged.scores is None:
            continue
        truth = judged.rows["label"].to_numpy(dtype=str)
        positive = judged.scores.ndim == 1
        classes = [index.task.positive] if positive else score_names(index.classes, judged.scores)
        for name, scores in zip(classes, judged.scores.reshape(len(truth), -1).T, strict=True):
            fpr, tpr, _ = roc_curve(positive=truth == name, scores=scores)
            if np.isfinite(fpr).all() and np.isfinite(tpr).all():
                kept = _spread(len(fpr))
                title = f"{detection.generator} {name}" if len(detections) > 1 else name
                frames.append(pd.DataFrame({"class": title, "fpr": fpr[kept], "tpr": tpr[kept]}))
    return pd.concat(frames[1:] or frames, ignore_index=True)


def examples(index: Index, detections: Sequence[Detection]) -> pd.DataFrame:
    """At most `MAX_IMAGES` test images, evenly spaced: columns `row` (of the store) and `caption`."""
    tested = [d.test for d in detections if d.test is not None]
    if not tested:
        return pd.DataFrame({"row": [], "caption": []})
    rows = np.concatenate([part.rows.index.to_numpy() for part in tested])
    captions = [text for part in tested for text in _captions(index, part)]
    kept = np.unique(np.linspace(0, len(rows) - 1, min(MAX_IMAGES, len(rows))).round().astype(int))
    return pd.DataFrame({"row": rows[kept], "caption": [captions[i] for i in kept]})


def _to_wandb(
    run: Any,
    index: Index,
    detections: Sequence[Detection],
    document: dict[str, Any],
    images: ImageStore,
    shown: pd.DataFrame | None,
) -> None:
    import wandb

    run.summary.update(summary(document))  # first: nothing of it is lost if a chart cannot be sent
    for detection in detections:
        judged = judged_part(index, detection)
        if judged is not None:
            classes, truth = labels_asked(index, judged), judged.rows["label"].to_numpy(dtype=str)
            # The chart has one list of names for both axes: a cluster gets the name of its matched class.
            answers = align(judged.labels, truth) if judged.clusters else judged.labels
            chart = wandb.plot.confusion_matrix(
                y_true=encode(truth, classes=classes).tolist(),
                preds=encode(answers, classes=classes).tolist(),
                class_names=list(classes),
                title=f"Confusion matrix {detection.generator}".strip(),
            )
            run.log({f"{_prefix(detection, detections)}confusion_matrix": chart})
    curve = roc_table(index, detections)
    columns = {"x": "fpr", "y": "tpr", "class": "class"}
    preset = "wandb/area-under-curve/v0"
    run.log({"roc": wandb.plot_table(preset, wandb.Table(dataframe=curve), columns, {"title": "ROC"})})
    if index.task.positive is not None and len(detections) == 1:
        _log_roc(run, curve)
    verdict = document["verdict"]
    lines = [(verdict["level"], verdict["headline"]), *(("note", note) for note in verdict["notes"])]
    run.log(
        {
            "scores": wandb.Table(dataframe=scores_table(index, detections)),
            "figures": wandb.Table(dataframe=figures_table(document)),
            "verdict": wandb.Table(columns=["level", "text"], data=[list(line) for line in lines]),
        }
    )
    if shown is not None and len(shown):
        pictures = zip(images.images[shown["row"].to_numpy()], shown["caption"], strict=True)
        run.log({"test_images": [wandb.Image(pixels, caption=caption) for pixels, caption in pictures]})


def _log_roc(run: Any, curve: pd.DataFrame) -> None:
    """The ROC again, as a curve with its own axis: W&B can draw it on log axes, all runs in one panel."""
    run.define_metric("roc/fpr", hidden=True, summary="none")
    run.define_metric("roc/tpr", step_metric="roc/fpr", summary="none")
    for point in curve[curve["fpr"] > 0].itertuples():
        run.log({"roc/fpr": point.fpr, "roc/tpr": point.tpr})


def _to_tensorboard(
    logger: TensorBoardLogger,
    index: Index,
    detections: Sequence[Detection],
    document: dict[str, Any],
    images: ImageStore,
    shown: pd.DataFrame | None,
) -> None:
    board = logger.experiment
    board.add_text("verdict", document["verdict"]["headline"])
    for detection in detections:
        judged = judged_part(index, detection)
        if judged is None:
            continue
        prefix = _prefix(detection, detections)
        truth = judged.rows["label"].to_numpy(dtype=str)
        figure = judged_confusion(index, judged)[0]
        board.add_figure(f"{prefix}confusion_matrix", figure, close=False)
        if index.task.positive is not None and judged.scores is not None:
            positive = truth == index.task.positive
            fpr, tpr, _ = roc_curve(positive=positive, scores=judged.scores)
            figure = plots.roc_log(fpr=fpr, tpr=tpr, auc=None, n_negative=int((~positive).sum()))
            board.add_figure(f"{prefix}roc", figure, close=False)
    if shown is not None:
        for row, caption in shown.itertuples(index=False):
            board.add_image(f"test_images/{caption}", images.images[row], dataformats="HW")


def _prefix(detection: Detection, detections: Sequence[Detection]) -> str:
    return f"{detection.generator}/" if len(detections) > 1 else ""


def _estimates(document: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Part, generator (empty for a single one and for the mean), metric and estimate of every figure."""
    parts = {"test": document["test"], "validation": document["validation"]}
    parts |= {f"baseline/{name}": figures for name, figures in document["baselines"].items()}
    parts |= {f"control/{name}": figures for name, figures in document["controls"].items()}
    for part, figures in parts.items():
        levels = by_generator(figures)
        for generator, metrics in levels.items():
            name = "" if generator == MEAN or len(levels) == 1 else generator
            for metric, estimate in metrics.items():
                yield part, name, metric, estimate


def _captions(index: Index, part: Predictions) -> list[str]:
    """`NAME, real image: truth used, predicted used, score 0.123`, and the generator if there are several."""
    several = len(index.generators) > 1
    names = [
        f"{row.id}, {row.domain} image{f' asked of {row.generator}' if several else ''}"
        for row in part.rows.itertuples()
    ]
    truth = [f"truth {label}, " if index.has_truth else "" for label in part.rows["label"]]
    said = [f"predicted {label}" for label in part.labels]
    if part.scores is not None:
        best = part.scores if part.scores.ndim == 1 else part.scores.max(axis=1)
        said = [f"{text}, score {score:.3f}" for text, score in zip(said, best, strict=True)]
    return [f"{name}: {true}{text}" for name, true, text in zip(names, truth, said, strict=True)]


def _spread(n: int) -> NDArray[np.int64]:
    """At most `ROC_POINTS` of n positions, including the first and the last."""
    half = ROC_POINTS // 2
    even, wide = np.linspace(0, n - 1, half), np.geomspace(1, n, half) - 1
    return np.unique(np.concatenate([even, wide]).round().astype(np.int64))
