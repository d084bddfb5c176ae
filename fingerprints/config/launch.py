"""What the entry points share: help, configuration errors in plain words, sweeps, clean exits.

Exit codes: 0 done, 2 the user can mend it (or jobs of a sweep failed), 130 and 143 interrupted, 1 a
defect (with its traceback).
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
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.signals import Interrupted

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Place:
    """Where a job runs.

    Attributes:
        folder: Its output folder, made by Hydra.
        overrides: What the command line said.
        job: Its number in a sweep; `None` outside one.
        sweep: Name of the sweep's folder, or `None`.
        varying: Keys that a configuration of the sweep varies.
    """

    folder: Path
    overrides: tuple[str, ...] = ()
    job: int | None = None
    sweep: str | None = None
    varying: tuple[str, ...] = ()


Job = Callable[[Any, Place], Any]


def launch(job: Job, root: str, *, usage: str) -> None:
    """Run `job(settings, place)` under Hydra; exits the process on an error.

    Args:
        job: The command's work; gets the checked settings of its root. In a sweep what it returns goes to
            Hydra's sweeper.
        root: Name of the root, one of `schema.ROOTS`.
        usage: Text of `--help`; with words such as `decision=svm` their keys are listed instead.
    """
    if {"--help", "-h"} & set(sys.argv[1:]):
        with plain_errors(root):
            print(help_on(sys.argv[1:], root) or usage)
        return
    # Hydra takes its flags before or after all other words only.
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
    with plain_errors(root):
        check_overrides(sys.argv[1:], root)
        _under_hydra(job, root)


@contextlib.contextmanager
def plain_errors(root: str) -> Iterator[None]:
    """Say what is wrong in plain words and exit; a defect keeps its traceback."""
    try:
        yield
    except BrokenPipeError:
        # The reader (`head`, say) has seen enough; what Python would still flush goes nowhere.
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

    # Hydra would print errors its own way and exit; here they are ours to word.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    register(root)

    failures: list[FingerprintsError] = []

    def task(cfg: DictConfig) -> Any:
        hydra_config = HydraConfig.get()
        folder = Path(hydra_config.runtime.output_dir)
        overrides = tuple(hydra_config.overrides.task)
        if hydra_config.mode == RunMode.MULTIRUN:
            sweep = Path(hydra_config.sweep.dir).name
            varying = tuple(hydra_config.sweeper.get("params") or ())
            place = Place(folder, overrides, hydra_config.job.num, sweep, varying)
            return _sweep_job(job, cfg, place, root)
        try:
            return job(build_root(cfg, root), Place(folder, overrides))
        except FingerprintsError as error:
            remove_if_empty(folder, cfg.get("name"))
            failures.append(error)  # raised below: Hydra would print words of its own about it

    hydra.main(version_base="1.3", config_path=str(search_path(root)), config_name=root)(task)()
    if failures:
        raise failures[0]


def _sweep_job(job: Job, cfg: DictConfig, place: Place, root: str) -> Any:
    """One job of a sweep: its failure is said at once and does not stop the others.

    Returns:
        What the job returns to Hydra's sweeper; `None` if it failed.
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
        # Not raised: Hydra would go on, too, but end with an error that says it all again.
        return None
