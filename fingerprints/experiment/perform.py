"""One experiment from configuration to run folder: the data flow, step by step."""

from __future__ import annotations

import contextlib
import functools
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fingerprints.config.layouts import suggestion
from fingerprints.config.roots import TrainSettings
from fingerprints.core.errors import FingerprintsError, command
from fingerprints.core.options import plain
from fingerprints.core.progress import console_progress
from fingerprints.core.tasks import get_task
from fingerprints.data.checks import native_sizes
from fingerprints.data.embedded import describe_data, simulation_notes
from fingerprints.data.index import Index, prepare
from fingerprints.data.layout import LayoutMismatch
from fingerprints.data.store import ImageStore
from fingerprints.decisions.registry import fit_decision
from fingerprints.detector.build import (
    check_error_maps,
    check_ids,
    check_reference,
    check_shadow,
    check_size,
    check_stages,
    check_training_reference,
    encoder_source,
    reference_notes,
)
from fingerprints.detector.detection import Detection
from fingerprints.detector.detector import Detector, Recipe
from fingerprints.embeddings.sources import EpochReport
from fingerprints.encoders.build import build_network
from fingerprints.experiment.results import check_answers, evaluate, write_answers
from fingerprints.images.derived import derived_store
from fingerprints.reductions.registry import fit_reduction
from fingerprints.reporting.summary import document_lines
from fingerprints.reporting.tracking import log_results
from fingerprints.runs.folder import (
    CHECKPOINTS,
    LOG,
    read_metrics,
    write_metrics,
)
from fingerprints.runs.provenance import data_fingerprint, peak_memory, provenance
from fingerprints.runs.status import FINISHED, read_status, update_status
from fingerprints.training.hardware import describe, make_trainer
from fingerprints.training.history import Row
from fingerprints.training.loggers import Tracker, log_curve, open_logger, replays
from fingerprints.training.settings import TrainerSettings

log = logging.getLogger(__name__)

READING = "reading the data"


def check(config: TrainSettings) -> None:
    """Check what can be checked before any image is read.

    Raises:
        FingerprintsError: If the stages do not fit each other or the task, or the encoder does not accept
            the image size.
    """
    task = get_task(config.task, official=config.data.official)
    check_stages(
        task=task,
        encoder=config.encoder,
        training=config.training,
        reduction=config.reduction,
        decision=config.decision,
    )
    check_reference(task=task, decision=config.decision, data=config.data)
    check_shadow(task=task, decision=config.decision, data=config.data)
    build_network(config.encoder, size=config.data.size, on_pairs=config.training.on_pairs)


def load_data(config: TrainSettings) -> tuple[Index, ImageStore, ImageStore]:
    """The index of the configured data, the decoded images, and the images as input of the encoder.

    Raises:
        FingerprintsError: If the data are bad, lung masks are not available, or there are too many images
            for the decision and the memory.
    """
    try:
        index, store = prepare(
            config.data,
            get_task(config.task, official=config.data.official),
            cache=Path(config.paths.store),
            seed=config.seed,
            progress=console_progress(),
        )
    except LayoutMismatch as error:
        hint = suggestion(config.data.root, layout=config.data.name, task=config.task)
        fix = "; ".join(filter(None, [error.fix, hint]))
        raise FingerprintsError(error.what, where=error.where, fix=fix) from None
    names: list[str | None] = [None] * len(store.images)
    domains = names.copy()
    for row, path, domain in index.table[["path", "domain"]].itertuples():
        names[row], domains[row] = path, domain
    seen, notes = derived_store(
        store,
        filter=config.filter,
        region=config.region,
        names=names,
        domains=domains,
        progress=console_progress(),
    )
    check_size(config.decision, index)
    check_error_maps(config.encoder, index, size=config.data.size)
    check_ids(config.decision, index)
    check_training_reference(config.decision, index)
    notes = [*index.notes, *notes, *reference_notes(config.decision, config.data)]
    return replace(index, notes=tuple(notes)), store, seen


def perform(config: TrainSettings, folder: Path) -> dict[str, Any]:
    """Train, predict, evaluate and report into a run folder; continues from what the folder holds.

    Args:
        config: The settings, their hardware resolved.
        folder: The run folder with its status.

    Returns:
        Content of `metrics.json`; `{}` in all but the main process.

    Raises:
        FingerprintsError: If the data are bad, or differ from those that the run began with.
    """
    started = time.perf_counter()
    machine = config.trainer
    # The process group must exist before one of the processes writes.
    main = not machine.processes > 1 or make_trainer(machine).is_global_zero
    status = read_status(folder) or {}
    progress = functools.partial(update_status, folder) if main else _silent
    progress(stage=READING)
    index, store, seen = load_data(config)
    prepared = time.perf_counter() - started

    with _run_log(folder, enabled=main, job=status.get("job")):
        facts = provenance() | {"data_fingerprint": data_fingerprint(index, store)}
        facts |= {"native_sizes": _trained_sizes(index, store), "groups_given": not index.pseudo_groups}
        _check_data(status, facts["data_fingerprint"], folder)
        progress(data_fingerprint=facts["data_fingerprint"])
        progress(stage="training")
        if main:
            _announce(config, index, folder, seconds=prepared)
        with _tracked(config, folder, status) as tracker:
            report = _curve_report(progress, tracker, epochs=machine.max_epochs)
            detections = _detect(config, index, seen, folder, report=report, main=main)
            if not main:
                return {}
            progress(stage="evaluating")
            facts |= _costs(detections, status, machine, started=started)
            write_answers(folder, config, index, detections)
            document = evaluate(config, folder, index, store, seen, detections, facts)
            # Before the results go to the logger, which may fail or wait for a server.
            write_metrics(folder, document)  # the last file, since it marks a finished run
            progress(state=FINISHED, stage="finished", error=None)
            log_results(
                tracker,
                index=index,
                detections=detections,
                document=document,
                images=store,
                log_images=config.logger.log_images,
            )
        for line in document_lines(document, folder):
            log.info(line)
    return document


def _trained_sizes(index: Index, store: ImageStore) -> dict[str, dict[str, int]]:
    """Images of the training part by domain and size before scaling, for `predict` to compare with."""
    rows = index.select(split=("train", "validation"))
    return {
        str(domain): native_sizes(store, part.index.to_numpy(dtype=np.int64))
        for domain, part in rows.groupby("domain")
    }


def _curve_report(progress: Callable[..., None], tracker: Tracker, *, epochs: int) -> EpochReport:
    """Passes the figures of each epoch to the status, and to the logger if it does not have them yet."""

    def report(part: str, title: str, row: Row, *, fresh: bool) -> None:
        progress(stage=f"{title}, epoch {int(row['epoch'])} of {epochs}")
        if fresh or replays(tracker):
            log_curve(tracker, "" if part == "." else f"{part}/", [row])

    return report


def _detect(
    config: TrainSettings, index: Index, seen: ImageStore, folder: Path, *, report: EpochReport, main: bool
) -> list[Detection]:
    """The detections for each generator."""
    detector = Detector(
        index,
        seen,
        recipe(config),
        folder=folder / CHECKPOINTS,
        report=report,
        progress=console_progress() if main else None,
    )
    return [detector.run(generator) for generator in index.generators]


def _costs(
    detections: list[Detection], status: dict[str, Any], machine: TrainerSettings, *, started: float
) -> dict[str, Any]:
    """Facts of the run: versions, hardware, cost."""
    facts: dict[str, Any] = {}
    if status.get("overrides"):  # not this process' own arguments, which may be `resume=`
        facts["command"] = command("train", *status["overrides"])
    facts["attempts"] = status.get("attempts", 1)
    facts["hardware"] = describe(machine)
    facts["training_seconds"] = round(sum(d.training_seconds for d in detections), 1)
    facts["seconds"] = round(status.get("seconds", 0.0) + time.perf_counter() - started, 1)
    facts["peak_memory_mb"] = peak_memory()
    return facts


def evaluate_again(config: TrainSettings, folder: Path, *, machine: TrainerSettings) -> dict[str, Any]:
    """Evaluate a finished run again, with its own answers: writes `report.html` and `metrics.json`.

    Its encoders are read from its checkpoints, or are frozen, and nothing is trained. What it cost stays as
    it was recorded.

    Args:
        config: Its settings.
        folder: The run folder.
        machine: The hardware that images are encoded on.

    Returns:
        Content of `metrics.json`.

    Raises:
        FingerprintsError: If the data are missing or differ, if the folder lacks a checkpoint, or if this
            version gives other answers than the run did; its files are then as they were.
    """
    before = read_metrics(folder)
    with _run_log(folder, enabled=True, job=None):
        index, store, seen = load_data(config)
        _check_data(before["run"], data_fingerprint(index, store), folder)
        detections = _detect(
            replace(config, trainer=machine), index, seen, folder, report=_refuse_training, main=True
        )
        check_answers(index, detections, folder)
        again = {"evaluated_again": provenance()}
        document = evaluate(config, folder, index, store, seen, detections, before["run"] | again)
        document["features"] = before.get("features", {})  # what the run itself had to encode
        write_metrics(folder, document)
        for line in document_lines(document, folder):
            log.info(line)
    return document


def _refuse_training(part: str, title: str, row: Row, *, fresh: bool) -> None:
    if fresh:
        raise FingerprintsError(
            f"The run folder does not hold the finished training '{title}'.",
            where=Path(CHECKPOINTS) / part,
            fix="restore the folder's checkpoints, or start a new run",
        )


def recipe(config: TrainSettings) -> Recipe:
    """How the configured detector is made."""
    return Recipe(
        encoder=encoder_source(
            config.encoder,
            config.training,
            config.pairing,
            size=config.data.size,
            accumulate=config.trainer.accumulate,
            seed=config.seed,
        ),
        reduction=functools.partial(fit_reduction, config.reduction, seed=config.seed),
        decision=functools.partial(fit_decision, config.decision),
        trainer=config.trainer,
        stopping=config.callbacks,
        seed=config.seed,
        blind_to_labels=config.decision.blind_to_labels,
        one_for_all_generators=config.decision.one_for_all_generators,
        test_clusters=config.data.test_classes,
    )


def _tracked(
    config: TrainSettings, folder: Path, status: dict[str, Any]
) -> contextlib.AbstractContextManager[Tracker]:
    """The run's logger; its W&B run is the same after a resume."""
    return open_logger(
        config.logger,
        folder=folder,
        run_name=f"{config.name}-{folder.name}",
        run_id=status.get("id", secrets.token_hex(4)),
        config=plain(config),
        tags=[config.name, config.task, plain(config.encoder)["name"], config.training.name],
        resumed=status.get("attempts", 1) > 1,
    )


def _check_data(status: dict[str, Any], found: str, folder: Path) -> None:
    began_with = status.get("data_fingerprint")
    if began_with is not None and began_with != found:
        raise FingerprintsError(
            "The data have changed: images, labels or groups differ from those that the run began with.",
            where=folder,
            fix="restore the data as they were, or start a new run",
        )


def _silent(**facts: Any) -> None:
    """Progress reporter of non-main processes: does nothing."""


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


def _announce(config: TrainSettings, index: Index, folder: Path, *, seconds: float) -> None:
    log.info("%s: task %s, run folder %s", config.name, config.task, folder)
    log.info("hardware: %s", describe(config.trainer))
    log.info(
        "data: %s", describe_data(config.data.root, size=config.data.size, test_root=config.data.test_root)
    )
    log.info("images: %s; ready in %.1f s", index.counts(), seconds)
    kind = "near-duplicate clusters used as groups" if index.pseudo_groups else "groups as given"
    real = index.select(domain="real")
    if len(real):
        log.info("groups: %d among %s real images; %s", real["group"].nunique(), f"{len(real):,}", kind)
    for note in (*index.notes, *simulation_notes(config.data.root, config.data.test_root)):
        log.warning("note: %s", note)
