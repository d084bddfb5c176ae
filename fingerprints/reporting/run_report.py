"""A finished run as report content: everything that its page says."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import yaml

from fingerprints.config.roots import PrintedFigures, PublishedSettings, TrainSettings
from fingerprints.config.schema import caveats
from fingerprints.core.errors import command
from fingerprints.core.options import plain
from fingerprints.data.embedded import describe_data
from fingerprints.data.index import Index
from fingerprints.data.store import ImageStore
from fingerprints.detector.detection import Detection
from fingerprints.encoders.settings import RANDOM
from fingerprints.evidence.estimates import Evaluation, chosen_text
from fingerprints.evidence.verdict import Verdict
from fingerprints.reporting.figures import (
    CLUSTERED_REAL,
    PAIRS_SHARE_IMAGES,
    Scores,
    overall,
)
from fingerprints.reporting.html import (
    Baseline,
    MetricRow,
    NoImages,
    PicturePanel,
    PrintedRow,
    ReportContent,
    Section,
    metric_label,
    number,
)
from fingerprints.reporting.panels import figure_panels
from fingerprints.reporting.patients import patient_table
from fingerprints.reporting.pictures import may_show, picture_notes, picture_panels
from fingerprints.runs.figures import MEAN

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
            panels=figure_panels(config, index, detection, scores),
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
