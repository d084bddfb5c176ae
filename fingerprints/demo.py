"""`python -m fingerprints.demo`: both tasks on the embedded benchmark, in parallel, in a few minutes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fingerprints.config.launch import plain_errors
from fingerprints.config.overrides import check_overrides
from fingerprints.config.words import check_grammar, folder_of, literal
from fingerprints.core.errors import FingerprintsError, command
from fingerprints.core.signals import handled
from fingerprints.runs.folder import REPORT, read_metrics

USAGE = """\
Train and evaluate the Siamese systems on the embedded benchmark (phantoms, no patients): both tasks in
parallel, each with the published protocol and with the best configuration found.

usage: python -m fingerprints.demo [out=DIR] [KEY=VALUE ...]

  out=DIR      parent folder of the run folders (default outputs/demo/<time>)
  KEY=VALUE    passed to all trainings (python -m fingerprints.train --help), such as seed=1

The demo prints the commands that it runs: ordinary trainings with fewer epochs, folds and pairs.
"""

# A quarter of the published epochs, fewer folds and pairs: a few minutes on two cores instead of hours.
SHORT = {
    "siamese_subtask2": ("trainer.max_epochs=8",),
    "metric_subtask2": ("trainer.max_epochs=8",),
    "siamese_subtask1": ("trainer.max_epochs=8", "data.folds=2", "pairing.pairs_per_epoch=200"),
    "metric_subtask1": ("trainer.max_epochs=8", "data.folds=2"),
}
TASKS = {"subset": ("siamese_subtask2", "metric_subtask2"), "usage": ("siamese_subtask1", "metric_subtask1")}

MEANINGS = {
    "nothing_found": "nothing found, no better than chance",
    "weak": "a weak trace, above chance but not certain",
    "clear": "a clear trace, above chance and every blind baseline",
    "not_above_blind": "not shown to exceed a blind baseline",
    "generators": "generators told apart, no trace of the data shown",
    "underpowered": "too few images to find anything",
    "unscored": "not scored",
}


@dataclass(frozen=True)
class Training:
    """One training of the demo; `words` are the arguments of `python -m fingerprints.train`."""

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
        default = time.strftime("outputs/demo/%Y-%m-%d_%H-%M-%S")
        out = folder_of(given[-1] if given else default, key="out")
        trainings = plan(out, [word for word in words if not word.startswith("out=")])
        print("Two tasks in parallel, with two trainings each. Each training is a separate command:")
        for training in trainings.values():
            print(f"  {command('train', *training.words)}", flush=True)
        codes = run_side_by_side([[trainings[name] for name in names] for names in TASKS.values()])
        failed = [name for name in trainings if codes[name]]
        print("\n".join(["", *summary([t for t in trainings.values() if t.experiment not in failed])]))
        for experiment in failed:
            print(f"{experiment} failed: see its lines above for the reason", file=sys.stderr)
    if failed:
        raise SystemExit(2)


def plan(out: Path, words: Sequence[str]) -> dict[str, Training]:
    """The trainings of a demo, by experiment, with run folders in `out`; `words` override the short settings.

    Raises:
        FingerprintsError: If a word is not a setting of a training, or sets the experiment or run folder.
    """
    read = literal(words, "train")
    check_overrides(read, "train")
    for word in words:
        if word.partition("=")[0] in ("experiment", "run_dir", "sweep") or word.startswith("-"):
            raise FingerprintsError(
                f"The demo chooses its experiments and folders itself: {word}.",
                where="command line",
                fix="leave it out, or start a training: python -m fingerprints.train --help",
            )
    check_grammar(read, "train")
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
    """Run the lanes in parallel and the trainings of a lane in order, in subprocesses; print their output.

    Returns:
        Exit code of each experiment.

    Raises:
        Interrupted: If a signal asked to stop; running trainings have then saved and stopped.
    """
    codes: dict[str, int] = {}
    running: list[subprocess.Popen[str]] = []
    stopped, starting = threading.Event(), threading.Lock()

    def work(lane: Sequence[Training]) -> None:
        for training in lane:
            with starting:  # so that every process is either in `running` or not started when all are stopped
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
                    process.terminate()  # has no effect if the process has ended
            for thread in threads:
                if thread.ident is not None:
                    thread.join()


def summary(trainings: Sequence[Training]) -> list[str]:
    """One line per task, one line with the verdicts of the best systems, and one with the report files."""
    # Imported late, because it imports scikit-learn.
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
        # Such small convolutions are not faster with a second thread, so each training gets one core.
        env={"OMP_NUM_THREADS": "1", **os.environ, "PYTHONUNBUFFERED": "1"},
        # In their own process groups, trainings do not get the terminal's Ctrl-C. This process sends one
        # signal to each; a second signal would end a training before it has saved.
        process_group=0,
    )


def _pass_on(name: str, process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        with contextlib.suppress(BrokenPipeError):  # go on reading if stdout is closed
            print(f"{name} | {line.rstrip()}", flush=True)


if __name__ == "__main__":
    main()
