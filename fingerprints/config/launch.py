"""Shared by all entry points: help, configuration errors in plain words, sweeps, clean exits.

Exit codes: 0 success, 2 an error that the user can fix (or jobs of a sweep failed), 130 and 143 interrupted,
1 a defect (with its traceback).
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fingerprints.config.explanations import explain
from fingerprints.config.help import help_on
from fingerprints.config.overrides import check_overrides
from fingerprints.config.schema import build_root, register, search_path
from fingerprints.config.words import as_given, check_grammar, literal
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.signals import Interrupted

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Place:
    """Where a job runs.

    Attributes:
        folder: Its output folder, made by Hydra.
        overrides: The words of the command line, as they were given.
        job: Its number in a sweep; `None` outside of a sweep.
        sweep: Name of the sweep's folder, or `None`.
        varying: Keys that the configuration of the sweep varies.
    """

    folder: Path
    overrides: tuple[str, ...] = ()
    job: int | None = None
    sweep: str | None = None
    varying: tuple[str, ...] = ()


Job = Callable[[Any, Place], Any]


def launch(job: Job, root: str, *, usage: str) -> None:
    """Run `job(settings, place)` under Hydra; exit the process on an error.

    Args:
        job: The work of the command; it gets the checked settings of its root. In a sweep, its return value
            is passed to Hydra's sweeper.
        root: Name of the root, one of `schema.ROOTS`.
        usage: Text of `--help`; with words such as `decision=svm`, the keys of that option are shown instead.
    """
    if {"--help", "-h"} & set(sys.argv[1:]):
        with plain_errors(root):
            print(help_on(sys.argv[1:], root) or usage)
        return
    # Hydra accepts its flags only before or after all other words.
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
    with plain_errors(root):
        sys.argv[1:] = literal(sys.argv[1:], root)
        check_overrides(sys.argv[1:], root)
        check_grammar(sys.argv[1:], root)
        _under_hydra(job, root)


@contextlib.contextmanager
def plain_errors(root: str) -> Iterator[None]:
    """Print errors in plain words and exit; a defect keeps its traceback."""
    try:
        yield
    except BrokenPipeError:
        # The reader (for example `head`) has closed the pipe: discard what Python would still flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except Interrupted as stop:
        print(f"interrupted by {stop}", file=sys.stderr)
        raise SystemExit(stop.exit_code) from None
    except Exception as error:
        message = explain(error, root)
        if message is None or os.environ.get("FINGERPRINTS_DEBUG") == "1":
            raise
        print(f"error: {message}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def _under_hydra(job: Job, root: str) -> None:
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from fingerprints.core.files import remove_if_empty

    # Otherwise Hydra would print errors itself and exit; we print them in our own words.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    register(root)

    failures: list[FingerprintsError] = []

    def task(cfg: DictConfig) -> Any:
        hydra_config = HydraConfig.get()
        folder = Path(hydra_config.runtime.output_dir)
        overrides = tuple(as_given(hydra_config.overrides.task, root))
        if hydra_config.mode == RunMode.MULTIRUN:
            sweep = Path(hydra_config.sweep.dir).name
            varying = tuple(hydra_config.sweeper.get("params") or ())
            place = Place(folder, overrides, hydra_config.job.num, sweep, varying)
            return _sweep_job(job, cfg, place, root)
        try:
            return job(build_root(cfg, root), Place(folder, overrides))
        except FingerprintsError as error:
            remove_if_empty(folder, cfg.get("name"))
            failures.append(error)  # raised below, because Hydra would add its own message

    hydra.main(version_base="1.3", config_path=str(search_path(root)), config_name=root)(task)()
    if failures:
        raise failures[0]


def _sweep_job(job: Job, cfg: DictConfig, place: Place, root: str) -> Any:
    """Run one job of a sweep. A failure is reported immediately; the other jobs continue.

    Returns:
        The job's result for Hydra's sweeper; `None` if it failed.
    """
    from fingerprints.core.files import write_atomically
    from fingerprints.runs.status import FAILED, REFUSED, new_status, read_status, write_status

    words = " ".join(place.overrides)
    (place.folder / REFUSED).unlink(missing_ok=True)
    try:
        return job(build_root(cfg, root), place)
    except Exception as error:
        message = explain(error, root)
        if message is None:
            traceback.print_exc()
            message = f"{type(error).__name__}: {error}"
        new = {**new_status(overrides=place.overrides, job=place.job), "state": FAILED, "error": message}
        with contextlib.suppress(OSError):
            status = read_status(place.folder) or new
            if status["overrides"] == new["overrides"]:
                write_status(place.folder, {**status, "state": FAILED, "error": message})
            else:
                write_atomically(place.folder / REFUSED, json.dumps(new).encode())
        print(f"job {place.job} failed ({words}): {message}", file=sys.stderr, flush=True)
        # Not raised: Hydra would also continue, but end with an error that repeats the message.
        return None
