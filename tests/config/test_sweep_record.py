"""Sweeps through the command line: failures, the table, going on where one stopped."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest
import torch

from fingerprints import train
from fingerprints.config import sweep_record
from fingerprints.core.errors import FingerprintsError
from fingerprints.runs.status import read_status
from fingerprints.training.siamese import SiameseModule

pytestmark = pytest.mark.usefixtures("no_drawing")

FAST = ["data.size=48", "trainer=cpu", "evidence.permutations=19"]


@pytest.fixture
def words(subset_root):
    return ["experiment=siamese_subtask2", f"data.root={subset_root()}", *FAST, "trainer.max_epochs=1"]


def test_a_failing_job_is_said_at_once_and_stops_no_other(command, words, tmp_path):
    sweep = tmp_path / "sweep"
    code, printed = command(train, "-m", *words, "seed=-3,0,1", f"hydra.sweep.dir={sweep}", "logger=csv")
    assert code == 2
    assert printed.index("job 0 failed") < printed.index("[1] siamese_subtask2")
    assert "Traceback" not in printed
    assert [read_status(sweep / str(job))["state"] for job in range(3)] == ["failed", "finished", "finished"]
    assert "seed=-3 is out of range" in read_status(sweep / "0")["error"]
    for job in (1, 2):
        assert (sweep / str(job) / "metrics.json").exists()
        assert (sweep / str(job) / "curves" / "metrics.csv").exists()
        assert f"[{job}] report: {sweep / str(job)}" in printed
    table = pd.read_csv(sweep / "sweep.csv")
    assert table["state"].tolist() == ["failed", "finished", "finished"]
    assert f"resume={sweep}" in printed


def test_jobs_side_by_side_find_what_jobs_one_by_one_find(command, subset_root, tmp_path):
    """Their configurations go to other processes."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = ["experiment=features_subtask2", "encoder=lbp", f"data.root={subset_root()}", *FAST, "seed=0,1"]
    found = {}
    for name, option in (("alone", []), ("beside", ["sweep=side_by_side"])):
        code, printed = command(train, "-m", *words, *option, f"hydra.sweep.dir={tmp_path / name}")
        assert code == 0, printed
        found[name] = [(tmp_path / name / job / "predictions.csv").read_text() for job in ("0", "1")]
    assert found["alone"] == found["beside"]


def test_a_stopped_sweep_goes_on_where_it_stopped(command, finished_run, tmp_path, monkeypatch):
    single = finished_run(name="single")
    steps = torch.load(single.folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert steps > 1
    sweep, plain, trained = tmp_path / "sweep", SiameseModule.training_step, []

    def step(self, batch, *rest):
        trained.append(batch.step)
        if len(trained) == stop:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(self, batch, *rest)

    monkeypatch.setattr(SiameseModule, "training_step", step)
    stop = steps + 1  # in the first step of the second job
    code, printed = command(train, *single.words, "seed=1,0,2", "-m", f"hydra.sweep.dir={sweep}")
    assert code == 143
    assert "interrupted by SIGTERM" in printed
    assert f"resume={sweep}" in printed
    assert read_status(sweep / "1")["state"] == "stopped"
    assert not (sweep / "2").exists()

    first = (sweep / "0" / "metrics.json").read_bytes()
    trained.clear()
    stop = None
    code, printed = command(train, f"resume={sweep}")
    assert code == 0, printed
    assert len(trained) == 2 * steps - 1
    assert (sweep / "0" / "metrics.json").read_bytes() == first
    assert pd.read_csv(sweep / "sweep.csv")["state"].tolist() == ["finished"] * 3
    resumed, alone = (
        json.loads((folder / "metrics.json").read_text())["test"] for folder in (sweep / "1", single.folder)
    )
    assert resumed == alone


def test_a_folder_of_another_job_is_refused_and_left_alone(command, finished_run, tmp_path):
    sweep = tmp_path / "sweep"
    run = finished_run(name="sweep/0")
    before = (sweep / "0" / "status.json").read_bytes()
    code, printed = command(train, "-m", *run.words, "seed=7", f"hydra.sweep.dir={sweep}")
    assert code == 2
    assert "failed" in (sweep / "sweep.csv").read_text()
    assert "holds a run with another configuration (seed)" in printed
    assert (sweep / "0" / "status.json").read_bytes() == before


def test_a_sweep_of_another_version_is_refused(tmp_path):
    (tmp_path / sweep_record.SWEEP).write_text(json.dumps({"command": ["-m"], "cwd": "/", "version": "0"}))
    with pytest.raises(FingerprintsError, match="version 0"):
        sweep_record.sweep_command(tmp_path)
    (tmp_path / sweep_record.SWEEP).write_text(
        json.dumps({"command": ["-m", "hydra.sweep.dir=old", "seed=0,1"], "cwd": "/tmp", "version": "0.1.0"})
    )
    words, place = sweep_record.sweep_command(tmp_path)
    assert words == ["-m", "seed=0,1", f"hydra.sweep.dir='{tmp_path}'"]
    assert place == Path("/tmp")


def test_the_command_that_a_sweep_prints_runs_from_any_folder(command, subset_root, tmp_path, monkeypatch):
    home = tmp_path / "Müller's (1) run=2"
    home.mkdir()
    subset_root().rename(home / "my data")
    monkeypatch.chdir(home)
    words = ["experiment=features_subtask2", "encoder=lbp", "data.root=my data", *FAST]
    code, printed = command(train, "-m", *words, "seed=0,-1")
    assert code == 2
    (line,) = (line for line in printed.splitlines() if line.startswith("to continue"))
    module, *given = shlex.split(line.split("python -m ")[1])
    assert module == "fingerprints.train"
    (sweep,) = (home / "outputs/sweeps").iterdir()
    shutil.rmtree(sweep / "0")
    monkeypatch.chdir("/")
    code, printed = command(train, *given)
    assert "job 1 failed" in printed
    assert read_status(sweep / "0")["state"] == "finished", printed
    assert "data.root=my data" in read_status(sweep / "0")["overrides"]
