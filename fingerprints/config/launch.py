"""What the entry points share: help, configuration errors in plain words, sweeps, clean exits.

Exit codes: 0 done, 2 the user can mend it (or jobs of a sweep failed), 130 and 143 interrupted, 1 a
defect (with its traceback).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fingerprints.config.schema import (
    check_overrides,
    conf_dir,
    options,
    register,
    unknown_key,
    unknown_option,
    validate,
)
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


Job = Callable[[dict[str, Any], Place], Any]


def launch(job: Job, root: str, *, usage: str) -> None:
    """Run `job(config, place)` under Hydra; exits the process on an error.

    Args:
        job: The entry point's work; gets the validated configuration as plain data. In a sweep what it
            returns goes to Hydra's sweeper.
        root: Name of the root config: `train`, `predict` or `evaluate`.
        usage: Text of `--help`.
    """
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(usage)
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
    register()

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
            return job(validate(cfg), Place(folder, overrides))
        except FingerprintsError as error:
            remove_if_empty(folder, cfg.get("name"))
            failures.append(error)  # raised below: Hydra would print words of its own about it

    hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=root)(task)()
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
        return job(validate(cfg), place)
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


def explain(error: Exception, root: str) -> str | None:
    """The error in plain words, or `None` if it is not the user's."""
    if isinstance(error, FingerprintsError):
        return str(error)
    disk_full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # these name no file
    if isinstance(error, OSError) and (error.filename is not None or error.errno in disk_full):
        return str(
            FingerprintsError(
                f"Cannot write or read: {error.strerror}.",
                where=error.filename or "the run folder or the image store",
                fix="choose a folder that can be written (run_dir=DIR, paths.outputs=DIR) and has room",
            )
        )
    if isinstance(error, ValueError) and "No trials are completed" in str(error):  # Optuna's words
        return str(
            FingerprintsError(
                "No trial of the search finished.", where="sweep", fix="see what the jobs said above"
            )
        )
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if not isinstance(error, HydraException | OmegaConfBaseException):
        return None
    text = _innermost(error)
    key = re.search(r"full_key: (\S+)", text) or re.search(r"Could not override '([^']+)'", text)
    unknown = re.search(r"Key '([^']+)' (?:is not in struct|not in)", text)
    if unknown is not None:
        full = key.group(1) if key is not None else unknown.group(1)
        return str(unknown_key(full, root))
    no_group = re.search(r"Could not override '([^'@]+)[^']*'\.\s*No match in the defaults list", text)
    if no_group is not None:
        return str(unknown_key(no_group.group(1), root))
    choice = re.search(r"Could not find '(\w+)/([^']+)'", text)
    if choice is not None:
        return str(unknown_option(choice.group(1), choice.group(2)))
    needed = re.search(r"You must specify '(\w+)'", text)
    if needed is not None:
        group = needed.group(1)
        return str(
            FingerprintsError(
                f"No {group} was chosen.",
                where="command line",
                fix=f"{group}=NAME with one of {', '.join(options(group))}",
            )
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    first = next((line for line in lines if line.startswith(("Value ", "Cannot "))), lines[0])
    where = key.group(1) if key is not None else "command line"
    return str(FingerprintsError(first, where=where, fix="see --help for keys and options"))


def describe_options(group: str) -> list[str]:
    """A line per option: its name and the first words that its file says of it."""
    lines = []
    for name in options(group):
        comments = [
            line.lstrip("# ").rstrip()
            for line in (conf_dir() / group / f"{name}.yaml").read_text().splitlines()
            if line.startswith("#") and "@package" not in line and "python -m" not in line
        ]
        lines.append(f"  {name:<24}{comments[0] if comments else ''}".rstrip())
    return lines


def _innermost(error: BaseException) -> str:
    """Messages of an error and of what caused it, outermost first."""
    texts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(texts) < 5:
        texts.append(str(current))
        current = current.__cause__
    return "\n".join(texts)
