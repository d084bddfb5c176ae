"""A finished run as report content: the tables and figures of its page."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fingerprints.config.roots import PrintedFigures, PublishedSettings, TrainSettings
from fingerprints.config.schema import caveats
from fingerprints.core.errors import command
from fingerprints.core.options import plain
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.data.embedded import describe_data
from fingerprints.data.index import Index
from fingerprints.data.store import ImageStore
from fingerprints.detector.detector import Detection, Predictions
from fingerprints.encoders.settings import RANDOM
from fingerprints.evidence.estimates import Evaluation, chosen_text
from fingerprints.evidence.metrics import confusion, matched_confusion, roc_curve
from fingerprints.evidence.patients import roc_band
from fingerprints.evidence.verdict import Verdict
from fingerprints.reporting import plots
from fingerprints.reporting.figures import (
    CLUSTERED_REAL,
    PAIRS_SHARE_IMAGES,
    Scores,
    judged_part,
    labels_asked,
    overall,
)
from fingerprints.reporting.html import (
    Baseline,
    FigurePanel,
    MetricRow,
    NoImages,
    PicturePanel,
    PrintedRow,
    ReportContent,
    Section,
    metric_label,
    number,
)
from fingerprints.reporting.patients import patient_table
from fingerprints.reporting.pictures import may_show, picture_notes, picture_panels
from fingerprints.runs.figures import MEAN
from fingerprints.training.settings import PairTrainingSettings

log = logging.getLogger(__name__)

DESCRIPTIONS = {
    "all_used": "calls every image used",
    "majority": "the most frequent label of the training part",
    "random": "guesses all labels with equal probability",
    "histogram": "grey-level histogram of the image alone, fitted on real training images",
    "histogram_real": "grey-level histogram of the image alone, fitted on real training images",
    "histogram_generated": "grey-level histogram of the image alone, fitted on generated training images",
    "histogram_within_test": "grey-level histogram alone, fitted on other groups of the test part",
    "appearance": "thumbnail and texture of the image alone, fitted on real training images",
    "appearance_within_test": "thumbnail and texture alone, fitted on other groups of the test part",
    "file": "size and format of the file alone",
    "file_within_test": "size and format of the file alone, fitted on other groups of the test part",
}

PRINTED_PARTS = {
    "training": "training part",
    "validation": "validation part",
    "test": "test part",
    "part_unknown": "part not named",
}


def report_content(
    *,
    config: TrainSettings,
    index: Index,
    detections: Sequence[Detection],
    scores: Scores,
    conclusion: Verdict,
    silhouette: Mapping[str, Mapping[str, float | None]],
    facts: dict[str, Any],
    seen: ImageStore,
) -> ReportContent:
    """Everything that `report.html` shows; `silhouette` is given by generator.

    `seen` has the images as the encoder got them. They are embedded in the page only if this is asked for
    (`report.images`), or if all are of the embedded benchmark.
    """
    known = caveats(plain(config))
    # A run of an earlier version may have recorded printed figures that nothing of it is comparable with.
    printed = PublishedSettings() if known else config.published
    images, no_images = _images(config, index, detections, seen)
    notes = [*picture_notes(seen, images), *conclusion.notes, *index.notes]
    notes = [note for note in notes if note not in {caveat.reason for caveat in known}]
    sections = _sections(config, index, detections, scores, printed, images)
    validation = [*_rows(overall(scores.validation), printed.validation), *_pair_rows(detections, printed)]
    shown: dict[tuple[str, str], Collection[str]] = {
        ("test", "" if name == MEAN else name): found.metrics for name, found in scores.test.items()
    }
    shown["validation", ""] = [row.name for row in validation]
    return ReportContent(
        title=config.name,
        task=index.task,
        experiment=config.name,
        headline=conclusion.headline,
        level=conclusion.level,
        notes=[*notes, _counted(sections, validation)],
        sections=sections,
        validation=validation,
        facts=_clustered(scores) | _facts(config, index, detections, silhouette, facts),
        config_yaml=yaml.safe_dump(plain(config), sort_keys=False),
        printed_source=printed.source,
        printed=_printed_elsewhere(printed, shown),
        no_images=no_images,
        caveats=known,
        validation_clustered=any(d.validation is not None and d.validation.clusters for d in detections),
    )


def _sections(
    config: TrainSettings,
    index: Index,
    detections: Sequence[Detection],
    scores: Scores,
    printed: PublishedSettings,
    images: Mapping[str, list[PicturePanel]],
) -> list[Section]:
    """A section per generator; with several, their mean comes first."""
    sections = [
        Section(
            title=detection.generator or ("Test part" if detection.test is not None else "Training part"),
            metrics=_rows(scores.test.get(detection.generator), printed.beside(detection.generator).test),
            baselines=_baselines(scores, detection.generator),
            panels=_panels(config, index, detection, scores),
            tables=patient_table(index, scores.patients.get(detection.generator)),
            images=images.get(detection.generator, []),
            clustered=detection.test is not None and detection.test.clusters,
        )
        for detection in detections
    ]
    if MEAN in scores.test:
        figures, clustered = _rows(scores.test[MEAN], printed.test), any(one.clustered for one in sections)
        mean = Section("Mean over generators", figures, _baselines(scores, MEAN), [], clustered=clustered)
        sections.insert(0, mean)
    return sections


def _images(
    config: TrainSettings, index: Index, detections: Sequence[Detection], seen: ImageStore
) -> tuple[dict[str, list[PicturePanel]], NoImages | None]:
    """The images of each generator's section, or why there are none."""
    if not may_show(seen, asked=config.report.images):
        return {}, NoImages(
            "This page has no images of the data, so that it can be passed on without them. With images it "
            "shows the surest answers, right and wrong, and the nearest images of the other domain.",
            command("redraw", f"run={config.run_dir}", "images=true"),
        )
    try:
        return {d.generator: picture_panels(index, d, seen) for d in detections}, None
    except (OSError, IndexError) as error:
        log.warning("the report has no images: %s", error)
        return {}, NoImages(f"This page has no images, because the image store could not be read: {error}.")


def _rows(evaluation: Evaluation | None, printed: dict[str, float]) -> list[MetricRow]:
    if evaluation is None:
        return []
    rows = []
    for name, e in evaluation.metrics.items():
        reason = "; ".join(filter(None, [e.reason, chosen_text(evaluation.chosen_for(name))])) or None
        rows.append(MetricRow(name, e.value, e.low, e.high, e.p, reason, printed.get(name)))
    return rows


def _pair_rows(detections: Sequence[Detection], printed: PrintedFigures) -> list[MetricRow]:
    """The accuracy on unseen pairs, the mean over generators; empty without training on pairs."""
    found = [d.pair_accuracy for d in detections if d.pair_accuracy is not None]
    if not found:
        return []
    name, value = "pair_accuracy", sum(found) / len(found)
    return [MetricRow(name, value, reason=PAIRS_SHARE_IMAGES, printed=printed.validation.get(name))]


def _printed_elsewhere(
    printed: PublishedSettings, shown: Mapping[tuple[str, str], Collection[str]]
) -> list[PrintedRow]:
    """Printed figures that stand beside none of this run's.

    Args:
        printed: What the source prints.
        shown: The metrics of this run by part and generator; `''` is the whole run.
    """
    whole = "mean" if printed.generators else ""
    places: list[tuple[str | None, str, PrintedFigures]] = [("", whole, printed)]
    places += [(name, name, found) for name, found in printed.generators.items()]
    places += [(None, name, found) for name, found in printed.runs.items()]
    rows = []
    for generator, title, found in places:
        for part, words in PRINTED_PARTS.items():
            beside = () if generator is None else shown.get((part, generator), ())
            left = {name: value for name, value in getattr(found, part).items() if name not in beside}
            if left:
                rows.append(PrintedRow(", ".join(filter(None, [title, words])), left))
    return rows


def _baselines(scores: Scores, generator: str) -> list[Baseline]:
    return [
        Baseline(
            name=name,
            description=DESCRIPTIONS[name],
            values={m: (e.value, e.low, e.high) for m, e in figures[generator].metrics.items()},
        )
        for name, figures in scores.baselines.items()
        if generator in figures
    ]


def _panels(config: TrainSettings, index: Index, detection: Detection, scores: Scores) -> list[FigurePanel]:
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


def _encoder_facts(detections: Sequence[Detection]) -> str:
    frozen = [d.encoder.features for d in detections if d.encoder.features is not None]
    if not frozen:
        return f"{sum(d.images_encoded for d in detections):,} images encoded in training"
    network = _plain(frozen[0].facts["network"])
    width, count = frozen[0].values.shape[1], sum(features.encoded for features in frozen)
    return f"frozen, {width:,} features ({network}); {count:,} images encoded in this run"


def _weights(encoder: Mapping[str, Any]) -> str:
    """The weights that encoders start from, as configured: `resnet50 v1, dinov2 default`; may be empty."""
    if "encoders" in encoder:
        return ", ".join(filter(None, map(_weights, encoder["encoders"])))
    weights = encoder.get("weights")
    return "" if weights is None else f"{encoder['name']} {'random' if weights == RANDOM else weights}"


def _plain(facts: Any) -> str:
    """Nested facts in one line of words."""
    if isinstance(facts, dict):
        return ", ".join(
            f"{key.replace('_', ' ')} {_plain(value)}" for key, value in facts.items() if value is not None
        )
    return "/".join(map(str, facts)) if isinstance(facts, list) else str(facts)


def _described(detection: Detection) -> str:
    return _plain(detection.decider.reduction.describe())


def _clustered(scores: Scores) -> dict[str, str]:
    """Figures of the clusters of real training images, if these were clustered."""
    found = scores.controls.get(CLUSTERED_REAL, {})
    shown = {
        name: ", ".join(
            f"{metric_label(metric)} {number(evaluation.metrics[metric].value)}"
            for metric in ("accuracy", "accuracy_unmatched", "ari")
        )
        for name, evaluation in found.items()
    }
    return {f"clusters of real training images {name}".strip(): text for name, text in shown.items()}


def _silhouette(found: Mapping[str, float | None]) -> str:
    return ", ".join(f"by {name} {value:.3f}" for name, value in found.items() if value is not None)


def _counted(sections: Sequence[Section], validation: Sequence[MetricRow]) -> str:
    """How many p-values the page has."""
    rows = [*(row for section in sections for row in section.metrics), *validation]
    count = sum(row.p is not None for row in rows)
    return (
        f"The tables have {count} p-values. If there is nothing to find, one in twenty is below 0.05 by "
        "chance: read that of the official metric."
    )


def _facts(
    config: TrainSettings,
    index: Index,
    detections: Sequence[Detection],
    silhouette: Mapping[str, Mapping[str, float | None]],
    facts: dict[str, Any],
) -> dict[str, str]:
    real = index.select(domain="real")
    units = index.select(domain=index.task.unit, split="test")
    shown = {
        "data": describe_data(config.data.root, size=config.data.size, test_root=config.data.test_root),
        "layout": config.data.name,
        "images": index.counts(),
        "groups of real images": f"{real['group'].nunique():,}"
        + (" near-duplicate clusters (no groups were given)" if index.pseudo_groups else ""),
        "test units / groups": f"{len(units):,} / {units['group'].nunique():,}",
        "encoder": _encoder_facts(detections),
        "encoder weights": _weights(plain(config.encoder)) or "none loaded",
        "trainings": str(sum(len(d.fits) for d in detections)),
        "reduction": "; ".join(dict.fromkeys(_described(d) for d in detections)),
        "silhouette": "; ".join(filter(None, map(_silhouette, silhouette.values()))) or "not known",
        "seed": str(config.seed),
        "time": f"{facts['seconds']:.1f} s, of which training {facts['training_seconds']:.1f} s",
        "hardware": facts["hardware"],
        "attempts": str(facts["attempts"]),
        "peak memory": ", ".join(f"{name} {mb:,.0f} MB" for name, mb in facts["peak_memory_mb"].items()),
        "fingerprints": facts["fingerprints"],
        "revision": facts["revision"] or "not from a checkout",
        "data fingerprint": facts["data_fingerprint"],
        "versions": ", ".join(f"{name} {text}" for name, text in facts["versions"].items()),
        "command": facts["command"],
    }
    if again := facts.get("evaluated_again"):
        shown["evaluated again"] = f"by fingerprints {again['fingerprints']}, with the answers of the run"
    for detection in detections:
        found = detection.decision.explain()
        if found.source:
            number = "of each part" if found.threshold is None else f"{found.threshold:.4f}"
            shown[f"threshold {detection.generator}".strip()] = f"{number} ({found.source.replace('_', ' ')})"
        if found.note:
            shown[f"decision {detection.generator}".strip()] = found.note
    return shown
