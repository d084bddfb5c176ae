"""Several processes: started by us, by torchrun, in a sweep; one that fails; one whose parent is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmarks.wandb_offline import offline_runs
from fingerprints import train
from fingerprints.core.errors import FingerprintsError
from fingerprints.runs.status import read_status
from fingerprints.training import processes
from fingerprints.training.settings import TrainerSettings
from tests.pair import failing_on, share, where

FAST = ["data.size=48", "evidence.permutations=19", "trainer.max_epochs=1"]
HERE = str(Path(__file__).parents[1])


def run(*words: str, cwd: Path, path: str = HERE, **environment: str) -> subprocess.CompletedProcess:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "LOCAL_RANK", "WANDB"))}
    return subprocess.run(
        [sys.executable, "-m", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**clean, "PYTHONPATH": path, **environment},
        timeout=240,
        check=False,
    )


@pytest.fixture
def words(subset_root):
    return ["experiment=siamese_subtask2", f"data.root={subset_root()}", *FAST]


def test_the_pair_is_one_group_and_goes_on_after_a_failure(pair):
    assert pair(where) == [(0, 2, 3), (1, 2, 3)]
    with pytest.raises(AssertionError, match=r"(?s)rank 0 of 2: .*ValueError: enough"):
        pair(failing_on, 0)
    assert pair(where) == [(0, 2, 3), (1, 2, 3)]


def test_workers_are_told_the_folder_their_rank_and_their_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "WORKER", "stand_in_worker")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    two = TrainerSettings(accelerator="cpu", devices=2, strategy="ddp")
    processes.run_workers("run", tmp_path, two)
    said = [json.loads((tmp_path / f"said_{rank}.json").read_text()) for rank in range(2)]
    assert [one["words"] for one in said] == [["run", str(tmp_path)]] * 2
    assert [(one["RANK"], one["LOCAL_RANK"], one["WORLD_SIZE"]) for one in said] == [
        ("0", "0", "2"),
        ("1", "1", "2"),
    ]
    assert [one["OMP_NUM_THREADS"] for one in said] == ["3", "3"]
    assert "OMP_NUM_THREADS" not in os.environ


def test_two_processes_in_a_sweep_are_one_run_and_find_what_one_finds(
    command, finished_run, tmp_path, pair, monkeypatch
):
    alone = finished_run(name="one")
    started = []

    def workers(work, folder, settings):
        started.append((work, folder, settings.devices))
        pair(share, work, folder)

    monkeypatch.setattr(processes, "run_workers", workers)
    sweep = tmp_path / "sweep"
    sweeping = ["trainer=ddp_cpu", "logger=wandb", "seed=0,-1", "-m", f"hydra.sweep.dir={sweep}"]
    code, printed = command(train, *alone.words, *sweeping)
    assert code == 2, printed
    assert "job 1 failed" in printed
    assert started == [("run", sweep / "0", 2)]
    assert read_status(sweep / "0")["state"] == "finished"
    assert sorted(p.name for p in sweep.iterdir() if p.is_dir()) == ["0", "1"]
    assert not (tmp_path / "outputs" / "siamese_subtask2").exists()
    tracked = offline_runs(sweep / "0")
    assert [(each.id, each.group) for each in tracked] == [(read_status(sweep / "0")["id"], "sweep")]
    one, two = (pd.read_csv(folder / "predictions.csv") for folder in (alone.folder, sweep / "0"))
    assert (one["id"] == two["id"]).all()
    np.testing.assert_allclose(one.filter(like="score"), two.filter(like="score"), atol=5e-3)


def test_torchrun_processes_agree_on_one_run_folder(words, tmp_path):
    launcher = ["torch.distributed.run", "--nproc-per-node=2", "-m", "fingerprints.train"]
    done = run(*launcher, *words, "trainer=ddp_cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    folders = list((tmp_path / "outputs" / "siamese_subtask2").iterdir())
    assert len(folders) == 1
    assert read_status(folders[0])["state"] == "finished"
    assert (folders[0] / "report.html").exists()


FAILING = """
import os
if os.environ.get("RANK") == "1":
    import fingerprints.training.siamese as siamese
    from fingerprints.core.errors import FingerprintsError
    def failing(self, batch, index):
        raise FingerprintsError("This rank has had enough.", where="here", fix="rest")
    siamese.SiameseModule.training_step = failing
"""


def test_one_failing_process_ends_the_run_with_its_message(command, words, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(FAILING)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{HERE}")
    code, printed = command(train, *words, "trainer=ddp_cpu", f"run_dir={tmp_path / 'run'}")
    assert code == 2
    assert "Rank 1 of 2 processes failed" in printed
    assert "This rank has had enough." in printed
    assert "Traceback" not in printed
    status = read_status(tmp_path / "run")
    assert status["state"] == "failed"
    assert "had enough" in status["error"]


def test_a_worker_ends_when_its_parent_is_killed(tmp_path):
    child = (
        "import sys, time; from fingerprints.core.signals import end_with_parent; end_with_parent(); "
        "print('ready', flush=True); time.sleep(600)"
    )
    parent = (
        "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', sys.argv[1]]); "
        "print(p.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent, child],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": HERE},
    ) as started:
        worker = int(started.stdout.readline())
        assert started.stdout.readline() == "ready\n"
        started.send_signal(signal.SIGKILL)
        started.wait()
        for _ in range(200):
            if not Path(f"/proc/{worker}").exists() or " Z " in Path(f"/proc/{worker}/stat").read_text():
                return
            time.sleep(0.1)
        os.kill(worker, signal.SIGKILL)
        pytest.fail("the worker outlived its parent")


def test_processes_that_do_not_fit_the_configuration_are_refused():
    two = TrainerSettings(accelerator="cpu", devices=2, strategy="ddp")
    processes.check_world(two, world_size=1)  # we start them
    processes.check_world(two, world_size=2)
    with pytest.raises(FingerprintsError, match="4 processes were started"):
        processes.check_world(two, world_size=4)
    nodes = TrainerSettings(accelerator="cpu", devices=2, num_nodes=3, strategy="ddp")
    processes.check_world(nodes, world_size=6)
    with pytest.raises(FingerprintsError, match="torchrun --nnodes=3 --nproc-per-node=2"):
        processes.check_world(nodes, world_size=1)


def test_the_started_world_size_is_that_of_torchrun_or_slurm(monkeypatch):
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_NTASKS", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert processes.started_world_size() == 1
    with monkeypatch.context() as patch:
        patch.setenv("TORCHELASTIC_RUN_ID", "x")
        patch.setenv("WORLD_SIZE", "6")
        assert processes.started_world_size() == 6
    with monkeypatch.context() as patch:
        patch.setenv("SLURM_NTASKS", "4")
        patch.setenv("SLURM_JOB_NAME", "train")
        with pytest.raises(FingerprintsError, match="ntasks-per-node=4"):
            processes.started_world_size()
        patch.setenv("SLURM_NTASKS_PER_NODE", "2")
        assert processes.started_world_size() == 4


@pytest.mark.parametrize(
    ("exits", "first"),
    [
        ({0: (-signal.SIGTERM, None), 1: (2, 7)}, 1),  # ended by the agent after the failure of rank 1
        ({0: (128 + signal.SIGTERM, None), 1: (2, 7)}, 1),
        ({0: (2, 7), 1: (-signal.SIGKILL, None)}, 1),  # such as out of memory: rank 0 then lost its peer
        ({0: (2, 9), 1: (2, 7)}, 1),
        ({0: (128 + signal.SIGINT, None), 1: (128 + signal.SIGINT, None)}, 0),
    ],
)
def test_the_first_failure_is_the_cause_of_the_others(exits, first):
    failures = {
        rank: SimpleNamespace(
            exitcode=code, message="Signal" if when is None else json.dumps({"text": "said", "when": when})
        )
        for rank, (code, when) in exits.items()
    }
    rank, code, _ = processes._first_failure(SimpleNamespace(failures=failures))
    assert (rank, code) == (first, exits[first][0])
