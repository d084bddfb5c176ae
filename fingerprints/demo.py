"""`python -m fingerprints.demo`: both tasks on the embedded benchmark, side by side, in a few minutes."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fingerprints.config.launch import plain_errors
from fingerprints.config.overrides import check_overrides
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.signals import handled
from fingerprints.runs.folder import REPORT, read_metrics

USAGE = """\
Train and judge the Siamese systems on the embedded benchmark (phantoms, no patients): both tasks side by
side, each with the published protocol and with the best configuration found.

usage: python -m fingerprints.demo [out=DIR] [KEY=VALUE ...]

  out=DIR      folder of the run folders (default outputs/demo/<time>)
  KEY=VALUE    goes to all trainings (python -m fingerprints.train --help), such as seed=1

The commands that it runs are shown: they are ordinary trainings, with fewer epochs and folds.
"""

# A quarter of the published epochs, and fewer folds: minutes on two cores instead of half an hour.
SHORT = {
    "siamese_subtask2": ("trainer.max_epochs=8",),
    "metric_subtask2": ("trainer.max_epochs=8",),
    "siamese_subtask1": ("trainer.max_epochs=8", "data.folds=2"),
    "metric_subtask1": ("trainer.max_epochs=8", "data.folds=2"),
}
TASKS = {"subset": ("siamese_subtask2", "metric_subtask2"), "usage": ("siamese_subtask1", "metric_subtask1")}

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
        print("Two tasks side by side, two trainings each; each is a command of its own:")
        for training in trainings.values():
            print(f"  python -m fingerprints.train {shlex.join(training.words)}", flush=True)
        codes = run_side_by_side([[trainings[name] for name in names] for names in TASKS.values()])
        failed = [name for name in trainings if codes[name]]
        print("\n".join(["", *summary([t for t in trainings.values() if t.experiment not in failed])]))
        for experiment in failed:
            print(f"{experiment} failed: its lines above say why", file=sys.stderr)
    if failed:
        raise SystemExit(2)


def plan(out: Path, words: Sequence[str]) -> dict[str, Training]:
    """The trainings of a demo below `out`, by experiment; `words` win over what makes them short.

    Raises:
        FingerprintsError: If a word is no setting of a training, or would make all the same.
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
    return {
        experiment: Training(
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
    }


def run_side_by_side(lanes: Sequence[Sequence[Training]]) -> dict[str, int]:
    """Run each lane's trainings one after another in processes of their own, and pass on what they say.

    Returns:
        Exit code of each experiment.

    Raises:
        Interrupted: If a signal asked to stop; what was running has then saved and stopped.
    """
    codes: dict[str, int] = {}
    running: list[subprocess.Popen[str]] = []
    stopped, starting = threading.Event(), threading.Lock()

    def work(lane: Sequence[Training]) -> None:
        for training in lane:
            with starting:  # so that a process is either seen by the one who stops all, or not begun
                if stopped.is_set():
                    return
                process = _begin(training)
                running.append(process)
            _pass_on(training.experiment, process)
            codes[training.experiment] = process.wait()

    threads = [threading.Thread(target=work, args=(lane,)) for lane in lanes]
    with handled():
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return codes
        finally:
            with starting:
                stopped.set()
                for process in running:
                    process.terminate()  # does nothing to one that has ended
            for thread in threads:
                if thread.ident is not None:
                    thread.join()


def summary(trainings: Sequence[Training]) -> list[str]:
    """A line a task, one that says what the best systems' figures mean, and where the reports are."""
    # Imported late: scikit-learn comes with it.
    from fingerprints.reporting.summary import brief

    documents = {t.experiment: read_metrics(t.folder) for t in trainings}
    folders = {t.experiment: t.folder for t in trainings}
    lines, meanings, reports = [], [], []
    for task, experiments in TASKS.items():
        done = {name: documents[name] for name in experiments if name in documents}
        if not done:
            continue
        *_, best = done
        lines.append(f"{task}: {brief(done)}")
        meanings.append(f"{best}: {MEANINGS[done[best]['verdict']['level']]}")
        reports.append(str(folders[best] / REPORT))
    if not lines:
        return []
    return [*lines, f"in words: {'; '.join(meanings)}", f"reports: {'  '.join(reports)}"]


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
