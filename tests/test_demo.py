"""The demo: its commands, what it prints, what becomes of its trainings when it is stopped."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
import time
from typing import get_args

import pytest

from fingerprints import demo
from fingerprints.config import schema as config
from fingerprints.config.overrides import check_overrides
from fingerprints.detector.saved import load_run
from fingerprints.evidence.verdict import Level
from fingerprints.runs.status import read_status

OFFICIAL = {"subset": "accuracy", "usage": "kappa"}
FAST = ["trainer=cpu", "trainer.max_epochs=1", "encoder.channels=[4,4,4,4]", "evidence.permutations=19"]


def test_it_runs_both_tasks_and_ends_with_four_lines_and_the_reports(
    command, embedded, monkeypatch, tmp_path
):
    # One training a task: that several follow each other, the stand-ins below show in less time.
    tasks = {task: experiments[-1:] for task, experiments in demo.TASKS.items()}
    monkeypatch.setattr(demo, "TASKS", tasks)
    monkeypatch.setattr(demo, "SHORT", {name: demo.SHORT[name] for (name,) in tasks.values()})
    code, printed = command(demo, "out=demo", f"data.root={embedded}/${{task}}", "data.size=48", *FAST)
    assert code == 0, printed
    lines = printed.splitlines()
    shown = [shlex.split(line) for line in lines if line.startswith("  python -m fingerprints.train ")]
    assert [words[3].removeprefix("experiment=") for words in shown] == list(demo.SHORT)
    assert "data.folds=2" in shown[1]
    assert len(lines[lines.index("") :]) == 5
    for experiment in demo.SHORT:
        assert any(line.startswith(f"{experiment} | training") for line in lines)
        assert (tmp_path / "demo" / experiment / "report.html").is_file()
    for line, (task, experiments) in zip(lines[-4:-2], demo.TASKS.items(), strict=True):
        assert line.startswith(f"{task}: test ")
        assert "best blind baseline" in line
        for experiment in experiments:
            figure = load_run(tmp_path / "demo" / experiment).metrics["test"][OFFICIAL[task]]["value"]
            assert f"{experiment} {figure:.3f}" in line
        level = load_run(tmp_path / "demo" / experiments[-1]).metrics["verdict"]["level"]
        assert f"{experiments[-1]}: {demo.MEANINGS[level]}" in lines[-2]
        assert f"demo/{experiments[-1]}/report.html" in lines[-1]

    for words, (task, (experiment,)) in zip(shown, tasks.items(), strict=True):  # what it shows is what ran
        ran = read_status(tmp_path / "demo" / experiment)["overrides"]
        assert ran == [word.replace("${task}", task) for word in words[3:]]


def test_its_settings_exist_and_the_users_win(tmp_path):
    trainings = demo.plan(tmp_path, ["trainer.max_epochs=2", "seed=1"])
    for training in trainings.values():
        check_overrides(training.words, "train")
        assert training.experiment in config.options("experiment")
        assert [word for word in training.words if "max_epochs" in word] == ["trainer.max_epochs=2"]
        assert training.words[-1] == f"run_dir={tmp_path / training.experiment}"
    assert len({training.folder for training in trainings.values()}) == len(demo.SHORT)


@pytest.mark.parametrize(
    "word", ["run_dir=x", "experiment=siamese_subtask1", "-m", "sede=1", "seed=0,1", "seed=0("]
)
def test_words_that_are_not_its_to_take_are_refused_before_anything_starts(word, command, tmp_path):
    code, printed = command(demo, word)
    assert code == 2
    assert printed.startswith("error: ")
    assert not list(tmp_path.iterdir())


def test_every_verdict_has_words():
    assert set(get_args(Level)) == set(demo.MEANINGS)


def test_help_says_what_it_takes(command):
    code, printed = command(demo, "--help")
    assert code == 0
    assert "out=DIR" in printed


@pytest.fixture
def instead(monkeypatch):
    """`instead(**code)`: Python code that runs in place of each training; gets the run folder as argument."""
    real = demo.subprocess.Popen

    def put(**code):
        def start(words, **options):
            name = words[3].removeprefix("experiment=")
            return real([sys.executable, "-uc", code[name], words[-1].removeprefix("run_dir=")], **options)

        monkeypatch.setattr(demo.subprocess, "Popen", start)

    return put


FINISHED = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True)
figure = {"value": 0.1, "low": 0.0, "high": 0.2, "p": 0.3, "chance": 0.0}
document = {"task": "usage", "test": {"kappa": figure}, "validation": {}, "baselines": {},
            "verdict": {"level": "weak", "headline": ""}}
(folder / "metrics.json").write_text(json.dumps(document))
"""


def test_a_training_that_fails_is_named_and_the_others_still_count(command, instead):
    broken = "print('error: no room'); raise SystemExit(2)"
    instead(**dict.fromkeys(demo.SHORT, FINISHED) | {"siamese_subtask2": broken, "metric_subtask2": broken})
    code, printed = command(demo, "out=demo")
    assert code == 2
    assert "siamese_subtask2 | error: no room" in printed
    assert "siamese_subtask2 failed" in printed
    assert "siamese_subtask1 failed" not in printed
    figures = "siamese_subtask1 0.100 [0.000, 0.200], metric_subtask1 0.100 [0.000, 0.200]"
    assert f"usage: test kappa {figures}; chance 0.000" in printed


WAITING = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True)
def save(*signal):
    (folder / "asked").open("a").write("once ")
    time.sleep(0.3)
    (folder / "saved").touch()
    raise SystemExit(143)
signal.signal(signal.SIGTERM, save)
(folder / "waiting").touch()
time.sleep(60)
"""


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_stops_both_once_and_waits_until_they_have_saved(
    number, expected, command, instead, tmp_path
):
    instead(siamese_subtask2=WAITING, siamese_subtask1=WAITING)  # any later one would be a KeyError
    folders = [tmp_path / "demo" / name for name in ("siamese_subtask2", "siamese_subtask1")]

    def interrupt():
        for _ in range(500):
            if all((folder / "waiting").exists() for folder in folders):
                break
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    threading.Thread(target=interrupt).start()
    code, printed = command(demo, "out=demo")
    assert code == expected
    assert "interrupted" in printed
    for folder in folders:
        assert (folder / "saved").exists()
        assert (folder / "asked").read_text() == "once "
    assert "Traceback" not in printed
