"""Files of a sweep as a whole: the command that continues it, and a table of its jobs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback

from fingerprints import __version__
from fingerprints.config.words import quoted
from fingerprints.core.errors import FingerprintsError, command
from fingerprints.core.files import write_atomically
from fingerprints.runs.folder import SWEEP, read_sweep
from fingerprints.runs.status import FAILED, FINISHED

_begun: list[Path] = []  # set only in the process that runs the sweep; jobs may run in other processes


class SweepRecord(Callback):
    """A Hydra callback that gets the sweep's folder before the first job."""

    def on_multirun_start(self, config: Any, **kwargs: Any) -> None:
        """Save the command in the sweep's folder."""
        folder = Path(str(config.hydra.sweep.dir)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        _begun.append(folder)
        facts = {"command": sys.argv[1:], "cwd": str(Path.cwd()), "version": __version__}
        write_atomically(folder / SWEEP, (json.dumps(facts, indent=1) + "\n").encode())


def sweep_command(folder: Path) -> tuple[list[str], Path]:
    """Command-line words that continue the sweep in its folder; finished jobs are not run again.

    Returns:
        The words, and the folder that relative paths in them start from: where the sweep was started, or, if
        that folder is gone, the working directory.

    Raises:
        FingerprintsError: If another version started the sweep.
    """
    facts = json.loads((folder / SWEEP).read_text())
    if facts["version"] != __version__:
        raise FingerprintsError(
            f"The sweep was started by version {facts['version']}, but this is version {__version__}.",
            where=folder,
            fix="start a new sweep, or install the version that started it",
        )
    words = [word for word in facts["command"] if not word.lstrip("+").startswith("hydra.sweep.dir=")]
    place = Path(facts["cwd"])
    return (
        [*words, f"hydra.sweep.dir={quoted(str(folder.absolute()))}"],
        place if place.is_dir() else Path.cwd(),
    )


def begun() -> Path | None:
    """The folder of the sweep that this process started; `None` if none, and on every further call."""
    return _begun.pop() if _begun else None


def all_succeeded() -> bool:
    """Whether no job of the sweep that this process started has failed; true without a sweep."""
    folder = begun()
    if folder is None:
        return True
    return not any(job.state == FAILED for job in read_sweep(folder))


def conclude() -> bool:
    """Print and save the table of all jobs of the sweep that this process started, if it started one.

    Returns:
        Whether all its jobs have finished; true without a sweep.
    """
    folder = begun()
    if folder is None:
        return True
    from fingerprints.runs.sweeps import table_lines, write_table

    jobs = read_sweep(folder)
    if not jobs:
        return True
    print()
    print("\n".join(table_lines(jobs)))
    print(f"table: {write_table(folder, jobs)}")
    complete = all(job.state == FINISHED for job in jobs)
    if not complete:
        print(f"to continue the jobs that have not finished: {command('train', f'resume={folder}')}")
    return complete
