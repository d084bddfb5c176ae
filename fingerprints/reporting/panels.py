"""The figures of a run's page: confusion matrix, ROC, scores, embeddings, pairs and learning curves."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fingerprints.config.roots import TrainSettings
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.data.index import Index
from fingerprints.detector.detection import Detection, Predictions
from fingerprints.evidence.metrics import confusion, matched_confusion, roc_curve
from fingerprints.evidence.patients import roc_band
from fingerprints.reporting import plots
from fingerprints.reporting.figures import Scores, judged_part, labels_asked
from fingerprints.reporting.html import FigurePanel
from fingerprints.training.settings import PairTrainingSettings


def figure_panels(
    config: TrainSettings, index: Index, detection: Detection, scores: Scores
) -> list[FigurePanel]:
    """The figures of one generator's section."""
    panels = []
    judged = judged_part(index, detection)
    part = "test part" if judged is detection.test else "validation"
    if judged is not None:
        panels.append(_confusion_panel(index, judged, part))
    if index.task.positive is not None and judged is not None and judged.scores is not None:
        panels += _membership_panels(detection, judged, judged.scores, part, scores)
    panels.append(_pca_panel(config, index, detection))
    if judged is not None and judged.clusters and index.task.unit == "generated":
        panels.append(_cluster_panel(config, detection, judged, part))
    positive, negative = detection.pair_distances
    if isinstance(config.training, PairTrainingSettings) and len(positive) and len(negative):
        panels.append(
            FigurePanel(
                title="Distances of unseen pairs",
                caption="Distances from real to generated images that training did not see: pairs that "
                "belong together and pairs that do not. The line is the threshold of the pair accuracy.",
                figure=plots.pair_distances(
                    positive=positive, negative=negative, threshold=config.training.pair_threshold
                ),
                alt=f"Median distance {np.median(positive):.3f} for positive and "
                f"{np.median(negative):.3f} for negative pairs.",
            )
        )
    if not detection.fits:
        return panels
    history = _history(index, detection)
    panels.append(
        FigurePanel(
            title="Learning curves",
            caption="Loss and accuracy on images that training does not see, by epoch"
            + (", one line per fold." if "fold" in history else "."),
            figure=plots.learning_curves(history),
            alt=f"Training loss from {history['train_loss'].iloc[0]:.3f} "
            f"to {history['train_loss'].iloc[-1]:.3f}.",
        )
    )
    return panels


def judged_confusion(index: Index, judged: Predictions) -> tuple[Figure, NDArray[np.int64]]:
    """The confusion matrix of some answers, clusters in the order that agrees best; and its counts."""
    classes, truth = labels_asked(index, judged), judged.rows["label"].to_numpy(dtype=str)
    if not judged.clusters:
        matrix = confusion(truth=truth, predicted=judged.labels, classes=classes)
        return plots.confusion_matrix(matrix, classes), matrix
    matrix, names = matched_confusion(truth=truth, clusters=judged.labels, classes=classes)
    return plots.confusion_matrix(matrix, classes, clusters=names), matrix


def _confusion_panel(index: Index, judged: Predictions, part: str) -> FigurePanel:
    figure, matrix = judged_confusion(index, judged)
    columns = "clusters in the order that agrees best (Hungarian)" if judged.clusters else "predicted label"
    return FigurePanel(
        title="Confusion matrix",
        caption=f"Rows: true label; columns: {columns}; {part}.",
        figure=figure,
        alt=f"Of {matrix.sum()} images, {int(np.trace(matrix))} lie on the diagonal.",
    )


def _cluster_panel(
    config: TrainSettings, detection: Detection, judged: Predictions, part: str
) -> FigurePanel:
    own = detection.test_part if judged is detection.test else None
    train = detection.train_part
    generated = train.generated if own is None else own.generated
    clusters = sorted({*judged.labels, *judged.real}, key=lambda name: (len(name), name))
    labels = judged.labels if len(judged.labels) == len(generated) else None
    together = len(judged.real) > 0
    figure = plots.embedding_pca(
        real=train.real.embeddings,
        real_labels=judged.real.tolist() if together else [""] * len(train.real),
        generated=generated.embeddings,
        generated_labels=None if labels is None else labels.tolist(),
        centroids=None,
        classes=clusters,
        seed=config.seed,
    )
    return FigurePanel(
        title="Clusters in two principal components",
        caption=f"Generated images of the {part} by cluster; real images of the training part "
        + ("by cluster." if together else "in grey."),
        figure=figure,
        alt=f"{len(generated)} generated embeddings in {len(clusters)} clusters.",
    )


def _membership_panels(
    detection: Detection, judged: Predictions, member: NDArray[np.floating], part: str, scores: Scores
) -> list[FigurePanel]:
    truth = judged.rows["label"].to_numpy(dtype=str)
    curve = roc_curve(positive=truth == USED, scores=member)
    figures = (scores.test if part == "test part" else scores.validation).get(detection.generator)
    area = figures.metrics["auc"] if figures is not None else None
    threshold = detection.decision.explain().threshold
    value, low, high = (None, None, None) if area is None else (area.value, area.low, area.high)
    others = int((truth == NOT_USED).sum())
    rates = np.geomspace(min(1 / max(others, 1), 0.1), 1, 200)
    groups = judged.rows["group"].to_numpy(dtype=str)
    limits = roc_band(positive=truth == USED, scores=member, groups=groups, rates=rates)
    return [
        FigurePanel(
            title="ROC on log axes",
            caption=f"True against false positive rate, {part}: detections at few false alarms. The band has "
            "95 % limits at each rate, by order statistics; patients are counted, not images. Where it "
            "reaches 0, the non-members are too few to say anything about such a rate.",
            figure=plots.roc_log(
                fpr=curve[0],
                tpr=curve[1],
                auc=value,
                low=low,
                high=high,
                n_negative=others,
                band=(rates, *limits),
            ),
            alt="No area could be estimated." if value is None else f"Area under the curve {value:.3f}.",
        ),
        FigurePanel(
            title="Member scores",
            caption=f"Standardised closeness to the generated set, {part}; scores right of the line: used.",
            figure=plots.score_histogram(scores=member, labels=truth.tolist(), threshold=threshold),
            alt=f"Median score {np.median(member[truth == USED]):.2f} of used and "
            f"{np.median(member[truth == NOT_USED]):.2f} of not-used images.",
        ),
    ]


def _pca_panel(config: TrainSettings, index: Index, detection: Detection) -> FigurePanel:
    train, test = detection.train_part, detection.test_part
    usage = index.task.unit == "real"
    judged = test if test is not None and index.has_truth else None
    generated = train.generated if judged is None else judged.generated
    real = judged.real if usage and judged is not None else train.real
    classes = [*index.classes, *sorted(set(generated.labels) - {"", *index.classes})]
    centroids = detection.decision.explain().prototypes
    if detection.decider.reduction.name != "none":
        centroids = None  # they are in another space than the embeddings of the plot
    if centroids is not None:
        strangers = np.full((len(classes) - len(centroids), real.embeddings.shape[1]), np.nan)
        centroids = np.concatenate([centroids, strangers])
    figure = plots.embedding_pca(
        real=real.embeddings,
        real_labels=real.labels.tolist(),
        generated=generated.embeddings,
        generated_labels=None if usage else generated.labels.tolist(),
        centroids=centroids,
        classes=classes,
        seed=config.seed,
    )
    where = "training part" if judged is None else "test part"
    what = f"Real images of the training part; generated images of the {where}."
    if usage or not len(real):
        what = f"{'Real and generated' if len(real) else 'Generated'} images of the {where}."
    if centroids is not None:
        what += " Stars are the centroids of the decision."
    return FigurePanel(
        title="Embeddings in two principal components",
        caption=what,
        figure=figure,
        alt=f"{len(real)} real and {len(generated)} generated embeddings in the plane.",
    )


def _history(index: Index, detection: Detection) -> pd.DataFrame:
    frames = [result.history for result in detection.fits.values()]
    if index.task.generated_label is None:  # several trainings in sequence, each on more labels
        return pd.concat(frames).assign(epoch=np.arange(1, sum(map(len, frames)) + 1))
    if len(frames) == 1 or "val_loss" not in frames[0]:  # not of folds: the second is of the test part
        return frames[0]
    # The last training has no validation pairs; unseen pairs exist in the folds only.
    return pd.concat([frame.assign(fold=fold) for fold, frame in enumerate(frames[:-1], start=1)])
