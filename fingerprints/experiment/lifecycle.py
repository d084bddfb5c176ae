"""The life cycle of a run: start, work in one or several processes, stop, resume, finish."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fingerprints import __version__
from fingerprints.config.explanations import explain
from fingerprints.config.roots import ReportSettings, TrainSettings
from fingerprints.core.errors import FingerprintsError, command
from fingerprints.core.files import digest, remove_if_empty
from fingerprints.core.options import build, plain
from fingerprints.core.signals import Interrupted, handled
from fingerprints.experiment.perform import READING, check, evaluate_again, load_data, perform
from fingerprints.runs.folder import (
    CONFIG,
    LOG,
    read_config,
    read_metrics,
    read_run,
    refuse_used_folder,
    write_config,
)
from fingerprints.runs.status import (
    FAILED,
    FINISHED,
    LOCK,
    RUNNING,
    STATUS,
    STOPPED,
    claimed,
    new_status,
    read_status,
    update_status,
    write_status,
)
from fingerprints.training import processes
from fingerprints.training.hardware import resolve
from fingerprints.training.settings import Accelerator, TrainerSettings

BEFORE_TRAINING = ("starting", READING)

WITHOUT_EFFECT = (("evidence", "resamples"),)
"""Group and key of settings that are gone and changed nothing else: runs that have them can still be read."""


def start(
    config: TrainSettings, folder: Path, *, overrides: Sequence[str] = (), job: int | None = None
) -> dict[str, Any]:
    """A new run: train, predict, evaluate, report; returns the content of `metrics.json`.

    Args:
        config: The settings.
        folder: The run folder; not changed if the input is bad.
        overrides: Overrides of the command line, for the record.
        job: Number of the job in a sweep. Its folder may hold the same run: a finished one is not
            repeated, an interrupted one continues.

    Returns:
        `{}` in all but the main process of several.

    Raises:
        FingerprintsError: Before any training, if the data, the configuration or the folder is bad.
        Interrupted: If a signal asked to stop; `resume` continues the run.
    """
    settings = resolve(config.trainer)
    world_size = processes.started_world_size()
    processes.check_world(settings, world_size=world_size)
    main = True
    if world_size > 1:
        own, (folder, main) = folder, processes.share_folder(folder, settings)
        if own.resolve() != folder.resolve():
            remove_if_empty(own, config.name)
    config = replace(config, trainer=settings, run_dir=folder)
    check(config)
    with handled():
        if not main:
            return _share(config, folder)
        with claimed(folder):
            if job is not None and (folder / CONFIG).exists():
                _require_same(config, folder)
                return read_metrics(folder) or _continue(config, folder, settings, world_size=world_size)
            refuse_used_folder(folder)
            status = new_status(overrides=overrides, job=job)
            try:
                write_config(folder, plain(config))
                write_status(folder, {**status, "config_digest": digest(folder / CONFIG)})
                return _guarded(config, folder, settings, world_size=world_size)
            except FingerprintsError:
                if (read_status(folder) or status)["stage"] in BEFORE_TRAINING:
                    _forget(folder, config.name)
                raise


def resume(folder: Path) -> dict[str, Any]:
    """Continue an interrupted run in its own folder, with its own configuration.

    Returns:
        Content of `metrics.json`; for a finished run, immediately.

    Raises:
        FingerprintsError: If the folder is not a run, is locked by a process, or was made by another version
            or with another configuration.
        Interrupted: If a signal asked to stop.
    """
    folder = folder.resolve()
    read_config(folder)  # refuses a folder that is not a run
    status = read_status(folder)
    if document := read_metrics(folder):
        if status is not None and status["state"] != FINISHED:  # killed between the last file and the status
            update_status(folder, state=FINISHED, stage="finished", error=None)
        return document
    if status is None or status.get("version") != __version__:
        made_by = "an older version" if status is None else f"version {status.get('version')}"
        raise FingerprintsError(
            f"The run was made by {made_by}; this is {__version__}, which may give other results.",
            where=folder,
            fix="start a new run, or install the version that made it",
        )
    if status["config_digest"] != digest(folder / CONFIG):
        raise FingerprintsError(
            "The run's configuration was changed after the run began, so that it cannot be continued.",
            where=folder / CONFIG,
            fix="undo the change, or start a new run",
        )
    config = read_settings(folder)
    settings = config.trainer
    world_size = processes.started_world_size()
    with _where_it_began(Path(status["cwd"])):
        resolve(settings)
        processes.check_world(settings, world_size=world_size)
        with handled():
            if world_size > 1 and not processes.share_folder(folder, settings)[1]:
                return _share(config, folder)
            with claimed(folder):
                return _continue(config, folder, settings, world_size=world_size)


def redraw(folder: Path, *, images: bool | None = None, accelerator: Accelerator = "auto") -> dict[str, Any]:
    """Draw the page of a finished run again, with the statistics of this version; trains nothing.

    Args:
        folder: The run folder. Its `report.html` and `metrics.json` are replaced.
        images: Whether the page has images of the data; `None`: as the run was told.
        accelerator: Where images are encoded, by one process.

    Returns:
        Content of `metrics.json`.

    Raises:
        FingerprintsError: If the folder is not a finished run, is locked by a process, or is a fusion; and as
            `evaluate_again`.
    """
    folder = folder.resolve()
    run = read_run(folder)
    if run.setting("fused") is not None:
        raise FingerprintsError(
            "This run is a fusion of others and has no page of its own.",
            where=folder,
            fix="redraw the runs that it was made of (config.yaml, fused.runs)",
        )
    if not run.metrics:
        raise FingerprintsError(
            "The run is not finished: it has no page that could be drawn again.",
            where=folder,
            fix=command("train", f"resume={folder}"),
        )
    config = replace(read_settings(folder), run_dir=folder)
    if images is not None:
        config = replace(config, report=ReportSettings(images=images))
    machine = replace(config.trainer, accelerator=accelerator, devices=1, num_nodes=1, strategy="auto")
    with _where_it_began(run.started_in), handled(), claimed(folder):
        return evaluate_again(config, folder, machine=resolve(machine))


def work(folder: Path) -> None:
    """The work of one process of several that `start` or `resume` has started."""
    perform(read_settings(folder), folder)


def _share(config: TrainSettings, folder: Path) -> dict[str, Any]:
    """This process' part of a run. The process group stays: under torchrun another job may need it."""
    document = perform(config, folder)
    atexit.register(processes.leave_group)
    return document


def read_settings(folder: Path) -> TrainSettings:
    """The settings that a run was started with."""
    config = read_config(folder)
    for group, key in WITHOUT_EFFECT:
        config.get(group, {}).pop(key, None)
    return build(TrainSettings, config)


def _continue(
    config: TrainSettings, folder: Path, settings: TrainerSettings, *, world_size: int
) -> dict[str, Any]:
    attempts = (read_status(folder) or {}).get("attempts", 1) + 1
    update_status(folder, state=RUNNING, attempts=attempts, error=None)
    return _guarded(config, folder, settings, world_size=world_size)


def _guarded(
    config: TrainSettings, folder: Path, settings: TrainerSettings, *, world_size: int
) -> dict[str, Any]:
    """Do the work and record in the status how it ended."""
    started, before = time.monotonic(), (read_status(folder) or {}).get("seconds", 0.0)
    state, stage, text = FAILED, None, None
    try:
        if settings.processes > 1 and world_size == 1:
            # Read and check the data here, in one process, so that each error is reported once.
            update_status(folder, stage=READING)
            load_data(config)
            update_status(folder, stage="starting processes")
            processes.run_workers("run", folder, settings)
            document = read_metrics(folder)
        else:
            document = _share(config, folder)
        return document
    except Interrupted:
        state = STOPPED
        if not read_metrics(folder):
            print(f"saved; to continue: {command('train', f'resume={folder}')}", file=sys.stderr)
        raise
    except BaseException as error:
        text = explain(error, "train") if isinstance(error, Exception) else None
        text = text or str(error) or type(error).__name__
        raise
    finally:
        if read_metrics(folder):  # complete, even if the logger was stopped while it sent the results
            state, stage, text = FINISHED, "finished", None
        seconds = round(before + time.monotonic() - started, 1)
        reached = {} if stage is None else {"stage": stage}
        update_status(folder, state=state, error=text, seconds=seconds, **reached)


def _require_same(config: TrainSettings, folder: Path) -> None:
    """Refuse a job's folder that holds another job of an earlier sweep."""
    now, earlier = plain(config), plain(read_settings(folder))
    # The spelling of the folder does not matter, nor do settings of logging.
    different = [key for key in now if key not in ("run_dir", "logger") and now[key] != earlier[key]]
    if different:
        raise FingerprintsError(
            f"The job's folder holds a run with another configuration ({', '.join(sorted(different))}).",
            where=folder,
            fix="use another folder: hydra.sweep.dir=DIR",
        )


def _forget(folder: Path, experiment: str) -> None:
    """Remove the files of a run that did not begin, and the folder if nothing else is in it."""
    for name in (CONFIG, LOG, STATUS, LOCK):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "wandb", ignore_errors=True)
    remove_if_empty(folder, experiment)


@contextlib.contextmanager
def _where_it_began(place: Path | None) -> Iterator[None]:
    """Relative paths of the configuration refer to the folder where the run was started, if it exists."""
    with contextlib.chdir(place) if place is not None and place.is_dir() else contextlib.nullcontext():
        yield
