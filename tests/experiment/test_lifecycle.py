"""Runs that are stopped, killed, resumed, refused: through the command line, in this process."""

from __future__ import annotations

import json
import os
import shutil
import signal

import numpy as np
import pytest
import torch

from benchmarks.wandb_offline import offline_runs
from fingerprints import train
from fingerprints.core import memory
from fingerprints.core.errors import FingerprintsError
from fingerprints.detector.saved import load_run
from fingerprints.experiment import perform
from fingerprints.experiment.lifecycle import read_settings, start
from fingerprints.reporting import figures as scoring
from fingerprints.runs.folder import read_config, write_config
from fingerprints.runs.status import claimed, read_status, update_status
from fingerprints.training.siamese import SiameseModule

pytestmark = pytest.mark.usefixtures("no_drawing")

FAST = ["data.size=48", "trainer=cpu", "evidence.permutations=19"]


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it, and what runs in its wake is undone by the test."""


@pytest.fixture
def words(subset_root):
    return ["experiment=siamese_subtask2", f"data.root={subset_root()}", *FAST, "trainer.max_epochs=3"]


@pytest.fixture
def whole(finished_run):
    """A run of three epochs that was never stopped, and the words for others like it."""
    return finished_run("trainer.max_epochs=3", name="whole")


@pytest.fixture
def at_step(monkeypatch):
    """Calls a function in a training step; returns the list of steps that were trained."""
    plain = SiameseModule.training_step

    def arrange(place=None, act=None):
        steps = []

        def step(self, batch, *rest):
            steps.append((batch.epoch, batch.step))
            if (batch.epoch, batch.step) == place and act is not None:
                act()
            return plain(self, batch, *rest)

        monkeypatch.setattr(SiameseModule, "training_step", step)
        return steps

    return arrange


def figures(folder):
    document = json.loads((folder / "metrics.json").read_text())
    return {key: value for key, value in document.items() if key != "run"}


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def test_terminated_within_an_epoch_and_resumed_is_as_never_stopped(command, words, at_step, tmp_path):
    everything = at_step()
    assert command(train, *words, f"run_dir={tmp_path / 'whole'}")[0] == 0
    assert len(everything) == len(set(everything))

    first = at_step((1, 1), terminate)
    code, printed = command(train, *words, f"run_dir={tmp_path / 'run'}")
    assert code == 143
    assert f"resume={tmp_path / 'run'}" in printed
    assert "Traceback" not in printed
    assert read_status(tmp_path / "run")["state"] == "stopped"
    assert not (tmp_path / "run" / "metrics.json").exists()

    rest = at_step()
    code, printed = command(train, f"resume={tmp_path / 'run'}")
    assert code == 0, printed
    assert first + rest == everything  # no step twice, none left out
    assert figures(tmp_path / "run") == figures(tmp_path / "whole")
    predictions = [(tmp_path / name / "predictions.csv").read_bytes() for name in ("run", "whole")]
    assert predictions[0] == predictions[1]
    status = read_status(tmp_path / "run")
    assert (status["state"], status["attempts"]) == ("finished", 2)
    assert load_run(tmp_path / "run").metrics["run"]["attempts"] == 2


def test_a_run_on_the_embedded_benchmark_goes_on_with_it(command, embedded, at_step, tmp_path):
    words = ["experiment=siamese_subtask2", *FAST[1:], "trainer.max_epochs=2"]
    at_step((1, 0), terminate)
    assert command(train, *words, f"run_dir={tmp_path / 'run'}")[0] == 143
    before = (tmp_path / "run" / "config.yaml").read_bytes()
    at_step()
    code, printed = command(train, f"resume={tmp_path / 'run'}")
    assert code == 0, printed
    assert (tmp_path / "run" / "config.yaml").read_bytes() == before
    document = load_run(tmp_path / "run").metrics
    assert "embedded benchmark" in document["verdict"]["notes"][0]
    code, printed = command(train, f"resume={tmp_path / 'run'}")
    assert f"report: {tmp_path / 'run' / 'report.html'}" in printed


def test_jobs_of_a_sweep_find_their_embedded_benchmarks_and_themselves_again(command, embedded, tmp_path):
    words = ["-m", "experiment=siamese_subtask1,siamese_subtask2", *FAST[1:], "trainer.max_epochs=1"]
    code, printed = command(train, *words, "data.folds=2", f"run_dir={tmp_path / 'sweep'}")
    assert code == 0, printed
    roots = [load_run(tmp_path / "sweep" / job).config["data"]["root"] for job in ("0", "1")]
    assert roots == [str(embedded / "usage"), str(embedded / "subset")]
    code, printed = command(train, *words, "data.folds=2", f"run_dir={tmp_path / 'sweep'}")
    assert code == 0, printed
    assert "another configuration" not in printed


def test_folds_that_are_done_are_not_trained_again(command, usage_root, at_step, tmp_path):
    words = ["experiment=metric_subtask1", f"data.root={usage_root()}", *FAST, "trainer.max_epochs=1"]
    words += ["data.folds=2", "callbacks=best"]
    everything = at_step()
    assert command(train, *words, f"run_dir={tmp_path / 'whole'}")[0] == 0
    in_folds = [number for number, place in enumerate(everything) if place == (0, 0)]
    assert len(in_folds) == 3  # two folds and the last training

    seen = at_step()
    plain = SiameseModule.training_step

    def killed(self, batch, *rest):
        if len(seen) == in_folds[2]:
            raise Killed
        return plain(self, batch, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SiameseModule, "training_step", killed)
        with pytest.raises(Killed):
            command(train, *words, f"run_dir={tmp_path / 'run'}")
    rest = at_step()
    code, printed = command(train, f"resume={tmp_path / 'run'}")
    assert code == 0, printed
    assert len(rest) == len(everything) - in_folds[2]
    assert figures(tmp_path / "run") == figures(tmp_path / "whole")


def test_killed_in_the_evaluation_nothing_is_trained_again(command, whole, at_step, tmp_path, monkeypatch):
    def killed(**arguments):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(scoring, "estimate_metrics", killed)
        with pytest.raises(Killed):
            command(train, *whole.words, f"run_dir={tmp_path / 'run'}")
    steps = at_step()
    code, printed = command(train, f"resume={tmp_path / 'run'}")
    assert code == 0, printed
    assert not steps
    assert figures(tmp_path / "run") == figures(whole.folder)


def test_a_finished_run_says_so_and_prints_its_figures(command, whole, at_step):
    before = (whole.folder / "metrics.json").read_bytes()
    steps = at_step()
    code, printed = command(train, f"resume={whole.folder}")
    assert code == 0
    assert "finished" in printed
    document = json.loads(before)
    assert f"accuracy {document['test']['accuracy']['value']:.3f}" in printed
    assert document["verdict"]["headline"] in printed
    assert (whole.folder / "metrics.json").read_bytes() == before
    assert not steps


def test_what_cannot_be_resumed_is_said(command, words, at_step, tmp_path, subset_root):
    folder = tmp_path / "run"
    at_step((0, 1), terminate)
    assert command(train, *words, f"run_dir={folder}")[0] == 143
    at_step()

    def refused(*more):
        code, printed = command(train, f"resume={folder}", *more)
        assert code == 2, printed
        assert "fix:" in printed
        assert not (folder / "metrics.json").exists()
        return printed

    assert "trainer.max_epochs=9" in refused("trainer.max_epochs=9")
    with claimed(folder):
        assert "still going" in refused()
    version = read_status(folder)["version"]
    update_status(folder, version="0.0.0")
    assert "0.0.0" in refused()
    update_status(folder, version=version)
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("max_epochs: 3", "max_epochs: 5"))
    assert "was changed after the run began" in refused()
    (folder / "config.yaml").write_text(config)
    image = next((tmp_path / "subset" / "real" / "t1").iterdir())
    pixels = image.read_bytes()
    shutil.copy(next((tmp_path / "subset" / "generated" / "gen_t1").iterdir()), image)
    assert "data have changed" in refused()
    image.write_bytes(pixels)
    (folder / "status.json").unlink()
    assert "older version" in refused()
    code, printed = command(train, f"resume={tmp_path / 'nowhere'}")
    assert code == 2
    assert "no run folder" in printed


def test_a_moved_folder_resumes_elsewhere_with_relative_paths(command, words, at_step, tmp_path, monkeypatch):
    relative = [word.replace(f"{tmp_path}/", "") for word in words]
    more = ["callbacks=best", "callbacks.early_stopping.patience=9"]
    assert command(train, *relative, *more, "run_dir=whole")[0] == 0
    at_step((2, 0), terminate)
    assert command(train, *relative, *more, "run_dir=run")[0] == 143
    at_step()
    (tmp_path / "run").rename(tmp_path / "moved")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    code, printed = command(train, "resume=../moved")
    assert code == 0, printed
    assert figures(tmp_path / "moved") == figures(tmp_path / "whole")
    assert not list(elsewhere.iterdir())


def test_stopped_while_the_logger_sends_the_results_the_run_is_finished(
    command, words, tmp_path, monkeypatch
):
    def stopped(*_, **__):
        status = read_status(tmp_path / "run")
        assert (status["state"], status["stage"]) == ("finished", "finished")
        assert (tmp_path / "run" / "report.html").exists()
        terminate()

    monkeypatch.setattr(perform, "log_results", stopped)
    code, printed = command(train, *words, "trainer.max_epochs=1", f"run_dir={tmp_path / 'run'}")
    assert code == 143
    assert "to continue" not in printed
    status = read_status(tmp_path / "run")
    assert (status["state"], status["error"]) == ("finished", None)
    assert command(train, f"resume={tmp_path / 'run'}")[0] == 0


@pytest.mark.usefixtures("private_wandb")
def test_what_wandb_refuses_does_not_cost_the_run(command, words, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "team/proj")
    monkeypatch.setenv("WANDB_DATA_DIR", "/proc/x")
    code, printed = command(
        train, *words, "trainer.max_epochs=1", "logger=wandb", f"run_dir={tmp_path / 'run'}"
    )
    assert code == 0, printed
    assert "WANDB_PROJECT=team/proj cannot be used" in printed
    assert "WANDB_DATA_DIR=/proc/x cannot be used" in printed
    assert "verdict" in (tmp_path / "run" / "metrics.json").read_text()
    assert (tmp_path / "run" / "report.html").exists()
    assert read_status(tmp_path / "run")["state"] == "finished"
    (run,) = offline_runs(tmp_path / "run")
    assert {"train_loss", "scores", "test/accuracy"} <= {
        key for row in [run.summary, *run.history] for key in row
    }


@pytest.mark.parametrize("decision", ["svm", "hierarchical"])
def test_too_little_memory_is_said_before_the_training(
    command, words, at_step, tmp_path, monkeypatch, decision
):
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "available_memory", lambda: 10)
    steps = at_step()
    folder = tmp_path / "run"
    code, printed = command(train, *words, f"decision={decision}", f"run_dir={folder}")
    assert code == 2
    assert f"decision={decision} on " in printed
    assert "needs about " in printed
    assert "fix: " in printed
    assert "Traceback" not in printed
    assert (steps, folder.exists()) == ([], False)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_an_allocation_that_fails_is_one_message(command, words, tmp_path, monkeypatch, kind):
    def allocate(*_):
        return np.empty(2**58) if kind == "numpy" else torch.empty(2**58)

    monkeypatch.setattr(perform, "_detect", lambda *_, **__: allocate())
    code, printed = command(train, *words, f"run_dir={tmp_path / 'run'}")
    assert code == 2
    assert printed.count("not enough memory") == 1
    assert "allocate " in printed
    assert "Traceback" not in printed
    status = read_status(tmp_path / "run")
    assert status["state"] == "failed"
    assert "not enough memory" in status["error"]


def test_a_failed_run_keeps_its_folder_and_says_why(command, words, tmp_path):
    code, printed = command(train, *words, "training.optimiser.lr=1e30", f"run_dir={tmp_path / 'run'}")
    assert code == 2
    assert "diverged" in printed
    status = read_status(tmp_path / "run")
    assert status["state"] == "failed"
    assert "diverged" in status["error"]


def test_a_full_disk_leaves_the_last_checkpoint_and_a_run_that_can_go_on(
    command, whole, at_step, tmp_path, monkeypatch
):
    import errno
    from pathlib import Path

    plain, written = Path.replace, []

    def full(self, target):
        if Path(target).name == "last.ckpt":
            written.append(target)
            if len(written) == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
        return plain(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        code, printed = command(train, *whole.words, f"run_dir={tmp_path / 'run'}")
    assert code == 2
    assert "No space left" in printed
    assert "the previous one is kept" in printed
    steps = at_step()
    code, printed = command(train, f"resume={tmp_path / 'run'}")
    assert code == 0, printed
    assert steps[0] == (1, 0)
    assert figures(tmp_path / "run") == figures(whole.folder)


def test_settings_that_are_gone_can_still_be_read(whole, tmp_path):
    """`evidence.resamples` of runs whose intervals were percentiles of resampled groups."""
    config = read_config(whole.folder)
    config["evidence"]["resamples"] = 1000
    for name in ("earlier", "misspelt"):
        (tmp_path / name).mkdir()
    write_config(tmp_path / "earlier", config)
    assert read_settings(tmp_path / "earlier") == read_settings(whole.folder)
    config["evidence"]["resample"] = 1000
    write_config(tmp_path / "misspelt", config)
    with pytest.raises(FingerprintsError, match=r"evidence\.resample"):
        read_settings(tmp_path / "misspelt")


def test_start_is_a_function_of_settings(whole, tmp_path):
    run = load_run(whole.folder)
    document = start(read_settings(whole.folder), tmp_path / "again")
    assert document["test"] == run.metrics["test"]
