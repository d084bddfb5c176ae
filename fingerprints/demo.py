"""`python -m fingerprints.demo`: both tasks on the embedded benchmark, side by side, in a few minutes."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fingerprints.cli import plain_errors
from fingerprints.config import check_overrides
from fingerprints.errors import FingerprintsError
from fingerprints.interruption import handled

USAGE = """\
Train and judge both Siamese systems on the embedded benchmark (phantoms, no patients), side by side.

usage: python -m fingerprints.demo [out=DIR] [KEY=VALUE ...]

  out=DIR      folder of both run folders (default outputs/demo/<time>)
  KEY=VALUE    goes to both trainings (python -m fingerprints.train --help), such as seed=1

The commands that it runs are shown: they are ordinary trainings, with fewer epochs and folds.
"""

METRICS = "metrics.json"  # as in `runs`, which would import torch

# Half the published epochs, and fewer folds: two minutes on two cores instead of ten.
SHORT = {
    "siamese_subtask2": ("trainer.max_epochs=15",),
    "siamese_subtask1": ("trainer.max_epochs=15", "data.folds=2"),
}

MEANINGS = {
    "nothing_found": "nothing found, no better than chance",
    "weak": "a weak trace, above chance but not for certain",
    "clear": "a clear trace, above chance and every blind baseline",
    "confounded": "confounded, a blind baseline does as well",
    "unscored": "not scored",
}


@dataclass(frozen=True)
class Training:
    """One of the demo's trainings: `words` are what `python -m fingerprints.train` gets."""

    experiment: str
    folder: Path
    words: tuple[str, ...]


def main() -> None:
    """Entry point."""
    words = sys.argv[1:]
    if {"--help", "-h"} & set(words):
        print(USAGE)
        return
    with plain_errors("train"):
        given = [word.removeprefix("out=") for word in words if word.startswith("out=")]
        out = Path(given[-1] if given else time.strftime("outputs/demo/%Y-%m-%d_%H-%M-%S"))
        trainings = plan(out, [word for word in words if not word.startswith("out=")])
        print("Two trainings side by side; each is a command of its own:")
        for training in trainings:
            print(f"  python -m fingerprints.train {shlex.join(training.words)}", flush=True)
        codes = run_side_by_side(trainings)
        failed = [t.experiment for t, code in zip(trainings, codes, strict=True) if code]
        print("\n".join(["", *summary([t for t in trainings if t.experiment not in failed])]))
        for experiment in failed:
            print(f"{experiment} failed: its lines above say why", file=sys.stderr)
    if failed:
        raise SystemExit(2)


def plan(out: Path, words: Sequence[str]) -> list[Training]:
    """The trainings of a demo below `out`; `words` win over what makes them short.

    Raises:
        FingerprintsError: If a word is no setting of a training, or would make both the same.
    """
    check_overrides(words, "train")
    for word in words:
        if word.partition("=")[0] in ("experiment", "run_dir", "sweep") or word.startswith("-"):
            raise FingerprintsError(
                f"The demo chooses its experiments and folders itself: {word}.",
                where="command line",
                fix="leave it out, or start a training: python -m fingerprints.train --help",
            )
    given = {word.partition("=")[0] for word in words}
    return [
        Training(
            experiment=experiment,
            folder=out / experiment,
            words=(
                f"experiment={experiment}",
                *(word for word in short if word.partition("=")[0] not in given),
                *words,
                f"run_dir={out / experiment}",
            ),
        )
        for experiment, short in SHORT.items()
    ]


def run_side_by_side(trainings: Sequence[Training]) -> list[int]:
    """Run each in a process of its own and pass on what they say, line by line.

    Returns:
        Their exit codes.

    Raises:
        Interrupted: If a signal asked to stop; the trainings have then saved and stopped.
    """
    processes: list[subprocess.Popen[str]] = []
    readers: list[threading.Thread] = []
    with handled():
        try:
            for training in trainings:
                processes.append(_begin(training))
                reader = threading.Thread(target=_pass_on, args=(training.experiment, processes[-1]))
                reader.start()
                readers.append(reader)
            return [process.wait() for process in processes]
        finally:
            for process in processes:
                process.terminate()  # does nothing to one that has ended
            for process in processes:
                process.wait()
            for reader in readers:
                reader.join()


def summary(trainings: Sequence[Training]) -> list[str]:
    """A line a finished training, one that says what they mean, and where the reports are."""
    # Imported late: scikit-learn comes with it.
    from fingerprints.reporting.summary import REPORT, brief

    documents = {t.experiment: json.loads((t.folder / METRICS).read_text()) for t in trainings}
    if not documents:
        return []
    meanings = [f"{name}: {MEANINGS[found['verdict']['level']]}" for name, found in documents.items()]
    return [
        *(f"{name}: {brief(document)}" for name, document in documents.items()),
        f"in words: {'; '.join(meanings)}",
        f"reports: {'  '.join(str(training.folder / REPORT) for training in trainings)}",
    ]


def _begin(training: Training) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fingerprints.train", *training.words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        # Convolutions this small gain nothing from a second thread: each training has a core to itself.
        env={"OMP_NUM_THREADS": "1", **os.environ, "PYTHONUNBUFFERED": "1"},
        # The terminal's Ctrl-C reaches this process only, which asks each training once: a second signal
        # would end it before it has saved.
        process_group=0,
    )


def _pass_on(name: str, process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        with contextlib.suppress(BrokenPipeError):  # nobody reads any more; the training must not wait
            print(f"{name} | {line.rstrip()}", flush=True)


if __name__ == "__main__":
    main()
