"""One experiment from configuration to run folder: the data flow, step by step."""

from __future__ import annotations

import contextlib
import functools
import logging
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.progress import console_progress
from fingerprints.core.tasks import get_task
from fingerprints.data.embedded import describe_data, embedded_notes
from fingerprints.data.index import DataSettings, Index, prepare
from fingerprints.data.layout import Source
from fingerprints.data.pairs import AllPairs, NearestPairs, PairPools, PairStrategy, RandomPairs
from fingerprints.data.runfiles import write_run_file
from fingerprints.data.store import ImageStore
from fingerprints.detector.build import check_stages, make_decision
from fingerprints.detector.detector import Detection, Detector, Recipe
from fingerprints.detector.saved import save_decider
from fingerprints.embeddings.sources import EncoderSource, Frozen, OnLabels, OnPairs
from fingerprints.encoders import build_network
from fingerprints.evidence.verdict import Verdict, verdict
from fingerprints.images.derived import derived_store
from fingerprints.reductions.registry import fit_reduction
from fingerprints.reporting.figures import (
    HELD_OUT_REAL,
    EvidenceSettings,
    Scores,
    metrics_document,
    overall,
    score,
    silhouettes,
)
from fingerprints.reporting.html import write_report
from fingerprints.reporting.run_report import report_content
from fingerprints.reporting.summary import document_lines
from fingerprints.reporting.tables import predictions_table
from fingerprints.reporting.tracking import log_results
from fingerprints.runs.folder import CHECKPOINTS, LOG, PREDICTIONS, REPORT, RUN_FILE, write_metrics
from fingerprints.runs.provenance import data_fingerprint, peak_memory, provenance
from fingerprints.runs.status import read_status, update_status
from fingerprints.training.augment import Augmentation
from fingerprints.training.classifier import ClassifierModule
from fingerprints.training.fit import StoppingSettings
from fingerprints.training.hardware import TrainerSettings, describe, make_trainer
from fingerprints.training.history import Row
from fingerprints.training.loggers import LoggerSettings, log_curve, open_logger, replays
from fingerprints.training.optimise import OptimiserSettings
from fingerprints.training.siamese import SiameseModule, SiameseSettings

log = logging.getLogger(__name__)

READING = "reading the data"


def check(config: dict[str, Any]) -> None:
    """What can be known to be wrong before any image is read.

    Raises:
        FingerprintsError: If the stages do not fit each other or the task, or the encoder the image size.
    """
    check_stages(config)
    frozen = config["training"]["name"] == "frozen"
    build_network(config["encoder"], size=config["data"]["size"], on_pairs=not frozen)


def load_data(config: dict[str, Any]) -> tuple[Index, ImageStore, ImageStore]:
    """The index of the configured data, its decoded images, and these as the encoder is to see them.

    Raises:
        FingerprintsError: If the data are bad, or lung masks cannot be had.
    """
    index, store = prepare(
        data_settings(config["data"]),
        get_task(config["task"]),
        cache=Path(config["paths"]["store"]),
        seed=config["seed"],
        progress=console_progress(),
    )
    names: list[str | None] = [None] * len(store.images)
    for row, path in index.table["path"].items():
        names[int(row)] = path  # type: ignore[call-overload]
    seen, notes = derived_store(
        store,
        filter=config["filter"],
        region=config["region"],
        names=names,
        progress=console_progress(),
    )
    return replace(index, notes=(*index.notes, *notes)), store, seen


def perform(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train, predict, evaluate and report into a run folder; goes on with what the folder holds.

    Args:
        config: The validated configuration (`TrainConfig`) as plain data, its hardware resolved.
        folder: The run folder with its status.

    Returns:
        What `metrics.json` holds; `{}` in all but the main process.

    Raises:
        FingerprintsError: If the data are bad or not those that the run began with.
    """
    started = time.perf_counter()
    machine = TrainerSettings(**config["trainer"])
    # The processes of a run must know each other before one of them writes.
    main = not machine.processes > 1 or make_trainer(machine).is_global_zero
    status = read_status(folder) or {}
    progress = functools.partial(update_status, folder) if main else _nothing
    progress(stage=READING)
    index, store, seen = load_data(config)
    prepared = time.perf_counter() - started

    with _run_log(folder, enabled=main, job=status.get("job")):
        facts = provenance() | {"data_fingerprint": data_fingerprint(index, store)}
        _check_data(status, facts["data_fingerprint"], folder)
        progress(data_fingerprint=facts["data_fingerprint"])
        progress(stage="training")
        if main:
            _announce(config, index, folder, machine, seconds=prepared)
        with _tracked(config, folder, status) as logger:

            def curve(part: str, title: str, row: Row, *, fresh: bool) -> None:
                progress(stage=f"{title}, epoch {int(row['epoch'])} of {machine.max_epochs}")
                if fresh or replays(logger):
                    log_curve(logger, "" if part == "." else f"{part}/", [row])

            detector = Detector(
                index,
                seen,
                recipe(config),
                folder=folder / CHECKPOINTS,
                report=curve,
                progress=console_progress() if main else None,
            )
            detections = [detector.run(generator) for generator in index.generators]
            if not main:
                return {}
            progress(stage="evaluating")
            evidence = EvidenceSettings(seed=config["seed"], **config["evidence"])
            scores = score(index, store, detections, root=Path(config["data"]["root"]), settings=evidence)
            conclusion = conclude(index, scores, clustered=any(d.decider.transductive for d in detections))
            reservations = embedded_notes(config["data"]["root"])
            conclusion = replace(conclusion, notes=[*reservations, *conclusion.notes])
            if status.get("overrides"):  # not this process' own words, which may say `resume=`
                facts["command"] = " ".join(["python -m fingerprints.train", *status["overrides"]])
            facts["attempts"] = status.get("attempts", 1)
            facts["hardware"] = describe(machine)
            facts["training_seconds"] = round(sum(d.training_seconds for d in detections), 1)
            facts["seconds"] = round(status.get("seconds", 0.0) + time.perf_counter() - started, 1)
            facts["peak_memory_mb"] = peak_memory()
            document = write_run(folder, config, index, detections, scores, conclusion, facts)
            log_results(
                logger,
                index=index,
                detections=detections,
                document=document,
                config=config,
                images=store,
            )
        # Last, since it marks a finished run.
        write_metrics(folder, document)
        for line in document_lines(document, folder):
            log.info(line)
    return document


def data_settings(config: dict[str, Any]) -> DataSettings:
    """The `data` configuration as plain settings."""
    options = {
        key: value
        for key, value in config.items()
        if key not in ("name", "root", "sources", "groups", "test_classes")
    }
    groups = config["groups"]
    return DataSettings(
        root=Path(config["root"]),
        sources=[Source(**source) for source in config["sources"]],
        groups=None if groups is None else Path(groups),
        **options,
    )


def recipe(config: dict[str, Any]) -> Recipe:
    """How the configured detector is made."""
    callbacks, decision = config["callbacks"], config["decision"]
    reduction = functools.partial(fit_reduction, config["reduction"], seed=config["seed"])
    return Recipe(
        encoder=encoder_source(config),
        reduction=reduction,
        decision=functools.partial(make_decision, decision, seed=config["seed"]),
        trainer=TrainerSettings(**config["trainer"]),
        stopping=StoppingSettings(
            early=callbacks["early_stopping"]["enabled"],
            early_monitor=callbacks["early_stopping"]["monitor"],
            patience=callbacks["early_stopping"]["patience"],
            best=callbacks["checkpoint"]["best"],
            best_monitor=callbacks["checkpoint"]["monitor"],
        ),
        seed=config["seed"],
        test_clusters=config["data"]["test_classes"] if decision.get("clusters", "") is None else None,
        share_known=decision["share_known"] if decision.get("open_set") else None,
    )


def encoder_source(config: dict[str, Any]) -> EncoderSource:
    """Where the configured encoders come from: trained on pairs or labels, or frozen."""
    training, seed, size = config["training"], config["seed"], config["data"]["size"]
    network = functools.partial(build_network, config["encoder"], size=size)
    if training["name"] == "frozen":
        return Frozen(functools.partial(network, on_pairs=False), batch_size=training["batch_size"])
    optimiser = OptimiserSettings(**training["optimiser"])
    augmentation = Augmentation(seed=seed, **training["augment"])
    accumulate = config["trainer"]["accumulate"]
    if training["name"] == "classifier":
        return OnLabels(
            lambda classes: ClassifierModule(
                network(on_pairs=False),
                classes=classes,
                optimiser=optimiser,
                augmentation=augmentation,
                accumulate=accumulate,
            ),
            batch_size=training["batch_size"],
            fit_on=training["fit_on"],
            rounds=training["rounds"],
            pseudo_labels=training["pseudo_labels"],
        )

    def module() -> SiameseModule:
        return SiameseModule(
            network(),
            settings=SiameseSettings(
                margin=training["margin"],
                pair_threshold=training["pair_threshold"],
                accumulate=accumulate,
            ),
            optimiser=optimiser,
            augmentation=augmentation,
        )

    def strategy(pools: PairPools, store: ImageStore) -> PairStrategy:
        options = {key: value for key, value in config["pairing"].items() if key != "name"}
        if config["pairing"]["name"] == "nearest":
            return NearestPairs(pools, store.images, seed=seed, **options)
        if config["pairing"]["name"] == "all":
            return AllPairs(pools, seed=seed, **options)
        return RandomPairs(pools, seed=seed, **options)

    return OnPairs(module, strategy)


def conclude(index: Index, scores: Scores, *, clustered: bool) -> Verdict:
    """What the figures mean, in words."""
    units = index.select(domain=index.task.unit, split="test")
    if units.empty:
        units = index.select(domain=index.task.unit, split=("train", "validation"))
    members = index.table[index.table["label"] == "used"]["group"]
    others = index.table[index.table["label"] == "not_used"]["group"]
    return verdict(
        task=index.task,
        evaluation=overall(scores.test),
        baselines={n: found for n, figures in scores.baselines.items() if (found := overall(figures))},
        validation=overall(scores.validation),
        effective_n=units["group"].nunique(),
        pseudo_groups=index.pseudo_groups,
        generators=len(index.classes) if index.task.unit == "generated" else len(index.generators),
        shared_groups=bool(set(members) & set(others)),
        held_out_real=overall(scores.controls.get(HELD_OUT_REAL, {})),
        clustered=clustered,
    )


def write_run(
    folder: Path,
    config: dict[str, Any],
    index: Index,
    detections: list[Detection],
    scores: Scores,
    conclusion: Verdict,
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Fill the run folder with all but `metrics.json`, whose content this returns."""
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
        ids = [i for part in tested for i in part.rows["id"]]
        write_run_file(folder / RUN_FILE, ids, [str(x) for p in tested for x in p.labels], index.task)
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
    document = metrics_document(scores, index, detections, experiment=config["name"], extra=extra)
    content = report_content(
        config=config,
        index=index,
        detections=detections,
        scores=scores,
        conclusion=conclusion,
        silhouette=silhouette,
        facts=facts,
    )
    write_report(folder / REPORT, content)
    return document


def _tracked(
    config: dict[str, Any], folder: Path, status: dict[str, Any]
) -> contextlib.AbstractContextManager[Logger | None]:
    """The run's logger; its W&B run is the same after a resume."""
    return open_logger(
        LoggerSettings(**config["logger"]),
        folder=folder,
        run_name=f"{config['name']}-{folder.name}",
        run_id=status.get("id", secrets.token_hex(4)),
        config=config,
        tags=[config["name"], config["task"], config["encoder"]["name"], config["training"]["name"]],
        resumed=status.get("attempts", 1) > 1,
    )


def _check_data(status: dict[str, Any], found: str, folder: Path) -> None:
    began_with = status.get("data_fingerprint")
    if began_with is not None and began_with != found:
        raise FingerprintsError(
            "The data have changed since the run began: images, labels or groups are others.",
            where=folder,
            fix="put the data back as they were, or start a new run",
        )


def _nothing(**facts: Any) -> None:
    """What the other processes say."""


@contextlib.contextmanager
def _run_log(folder: Path, *, enabled: bool, job: int | None) -> Iterator[None]:
    """Send the package's log to the console and, on the main process, to the run folder."""
    logger = logging.getLogger("fingerprints")
    before = logger.level, logger.propagate
    logger.setLevel(logging.INFO if enabled else logging.ERROR)
    logger.propagate = False
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    # Jobs of a sweep may run side by side.
    handlers[0].setFormatter(logging.Formatter("%(message)s" if job is None else f"[{job}] %(message)s"))
    if enabled:
        folder.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(folder / LOG, encoding="utf-8"))
        handlers[1].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(before[0])
        logger.propagate = before[1]


def _announce(
    config: dict[str, Any], index: Index, folder: Path, hardware: TrainerSettings, *, seconds: float
) -> None:
    log.info("%s: task %s, run folder %s", config["name"], config["task"], folder)
    log.info("hardware: %s", describe(hardware))
    log.info("data: %s", describe_data(config["data"]["root"], size=config["data"]["size"]))
    log.info("images: %s; ready in %.1f s", index.counts(), seconds)
    kind = "near-duplicate clusters stand in for groups" if index.pseudo_groups else "groups as given"
    real = index.select(domain="real")
    if len(real):
        log.info("groups: %d among %s real images; %s", real["group"].nunique(), f"{len(real):,}", kind)
    for note in index.notes:
        log.warning("note: %s", note)
