"""One of several processes, started by `training.processes`: `... worker run|generator FOLDER`."""

from __future__ import annotations

import os
import sys
import traceback
from functools import partial
from pathlib import Path

from fingerprints.config.explanations import explain
from fingerprints.core.signals import Interrupted, end_with_parent, handled
from fingerprints.training.processes import leave_group, report_failure


# Imports that only one kind of work needs are made there: they take seconds in each process.
def run(folder: Path) -> None:
    """One process' part of a run."""
    from fingerprints.experiment.lifecycle import work

    work(folder)


def train(folder: Path) -> None:
    """One process' part of the training of a generator; the first process reports the progress."""
    from fingerprints.generators.fit import Training, train_generator
    from fingerprints.simulation.console import Console

    training, hardware = Training.read(folder)
    report = None
    if os.environ["RANK"] == "0":
        console = Console()
        console.begin({training.name: training.steps})
        report = partial(console.step, training.name)
    train_generator(training, folder, hardware=hardware, report=report)


WORK = {"run": run, "generator": train}


def main() -> None:
    """Entry point; an error is passed to the process that started this one."""
    end_with_parent()
    try:
        with handled():
            WORK[sys.argv[1]](Path(sys.argv[2]))
        leave_group()
    except Interrupted as stop:
        raise SystemExit(stop.exit_code) from None
    except Exception as error:
        report_failure(explain(error, "train") or traceback.format_exc())
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
