from __future__ import annotations

import http.server
import logging
import os
import threading

import pandas as pd
import pytest
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from benchmarks.wandb_offline import offline_runs, records
from fingerprints.core.errors import FingerprintsError
from fingerprints.training import loggers
from fingerprints.training.loggers import LoggerSettings, log_curve, open_logger, replays

KEY = "0123456789abcdef" * 3
CONFIG = {"name": "exp", "training": {"optimiser": {"lr": 0.1}}}


def opened(folder, resumed=False, **settings):
    return open_logger(
        LoggerSettings(**settings),
        folder=folder,
        run_name="exp-1",
        run_id="0123abcd",
        config=CONFIG,
        resumed=resumed,
    )


def rows(*losses):
    return [{"epoch": epoch, "train_loss": loss} for epoch, loss in enumerate(losses, start=1)]


def test_by_default_nothing_leaves_the_machine():
    assert LoggerSettings().offline
    assert not LoggerSettings().log_images


def test_none_and_other_processes_get_none(tmp_path, monkeypatch):
    with opened(tmp_path, name="none") as logger:
        assert logger is None
        log_curve(logger, "", rows(1.0))
        assert not replays(logger)
    monkeypatch.setattr(rank_zero_only, "rank", 1, raising=False)
    for name in ("none", "csv", "tensorboard", "wandb"):
        with opened(tmp_path, name=name) as logger:
            assert logger is None
    assert list(tmp_path.iterdir()) == []


def test_csv_has_a_row_an_epoch_and_a_resumed_run_writes_it_anew(tmp_path, recwarn):
    path = tmp_path / "curves" / "metrics.csv"
    with opened(tmp_path, name="csv") as logger:
        assert replays(logger)
        log_curve(logger, "fold_2/", rows(0.9))
        log_curve(logger, "", rows(0.5, 0.4))
        assert len(pd.read_csv(path)) == 3  # on disk at once
    table = pd.read_csv(path)
    assert table["train_loss"].dropna().tolist() == [0.5, 0.4]
    assert table["fold_2/train_loss"].dropna().tolist() == [0.9]
    assert table["step"].tolist() == [1, 1, 2]
    with opened(tmp_path, name="csv", resumed=True) as logger:
        log_curve(logger, "", rows(0.5, 0.4, 0.3))
    assert pd.read_csv(path)["train_loss"].tolist() == [0.5, 0.4, 0.3]
    assert not [w for w in recwarn if "logs directory" in str(w.message)]


def test_without_tensorboard_the_error_says_what_to_install(tmp_path, monkeypatch):
    def missing(**options):
        raise ModuleNotFoundError("no tensorboard")

    monkeypatch.setattr(loggers, "TensorBoardLogger", missing)
    with (
        pytest.raises(FingerprintsError, match=r"'gan-fingerprints\[tensorboard\]'"),
        opened(tmp_path, name="tensorboard"),
    ):
        pass


def test_tensorboard_curves_are_over_epochs(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with opened(tmp_path, name="tensorboard") as logger:
        assert not replays(logger)
        log_curve(logger, "fold_1/", rows(0.9, 0.8))
        log_curve(logger, "", rows(0.5))
    events = EventAccumulator(str(tmp_path / "curves"))
    events.Reload()
    assert [(e.step, round(e.value, 3)) for e in events.Scalars("fold_1/train_loss")] == [(1, 0.9), (2, 0.8)]
    assert [(e.step, round(e.value, 3)) for e in events.Scalars("train_loss")] == [(1, 0.5)]


@pytest.mark.usefixtures("private_wandb")
class TestWandb:
    def test_offline_files_hold_names_config_and_each_curve_over_its_own_epochs(self, tmp_path, caplog):
        caplog.set_level(logging.INFO)
        before = dict(os.environ)
        long = {**CONFIG, "long": "x" * 100_000}  # more than one block of the file
        settings = LoggerSettings(name="wandb", project="p", entity="e", tags=["mine", "usage"])
        with open_logger(
            settings,
            folder=tmp_path,
            run_name="exp-1",
            run_id="0123abcd",
            config=long,
            tags=["usage", "t" * 80, ""],
            resumed=False,
        ) as logger:
            assert replays(logger)
            log_curve(logger, "fold_1/", rows(0.9, 0.8, 0.7))
            log_curve(logger, "fold_2/", rows(0.6))
            log_curve(logger, "", rows(0.5, 0.4))
        (run,) = offline_runs(tmp_path)
        assert (run.id, run.name, run.project, run.entity) == ("0123abcd", "exp-1", "p", "e")
        assert (run.group, run.tags) == ("exp", ["mine", "usage", "t" * 64])
        assert run.config == long
        assert run.curve("fold_1/train_loss") == ([1, 2, 3], [0.9, 0.8, 0.7])
        assert run.curve("fold_2/train_loss") == ([1], [0.6])
        assert run.curve("train_loss") == ([1, 2], [0.5, 0.4])
        assert run.exit_code == 0
        assert f"wandb sync {run.folder}" in caplog.text
        assert {k: v for k, v in os.environ.items() if k != "WANDB_SERVICE"} == before

    def test_nothing_of_the_machine_but_its_load(self, tmp_path):
        with opened(tmp_path, name="wandb") as logger:
            log_curve(logger, "", rows(0.5))
        (run,) = offline_runs(tmp_path)
        assert run.files == ["requirements.txt"]
        path = run.folder / f"run-{run.id}.wandb"
        assert [r.run.host for r in records(path) if r.WhichOneof("record_type") == "run"] == [""]
        assert os.fspath(tmp_path).encode() not in path.read_bytes()

    def test_group_of_the_settings_wins(self, tmp_path):
        with opened(tmp_path, name="wandb", group="sweep"):
            pass
        assert offline_runs(tmp_path)[0].group == "sweep"

    def test_a_failed_run_says_so_and_its_successor_keeps_the_id(self, tmp_path, caplog):
        caplog.set_level(logging.INFO)

        def interrupted():
            with opened(tmp_path, name="wandb") as logger:
                log_curve(logger, "", rows(0.5))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        (first,) = offline_runs(tmp_path)
        assert first.exit_code == 1
        first.folder.rename(first.folder.with_name("offline-run-1-0123abcd"))  # not in the same second
        with opened(tmp_path, name="wandb", resumed=True) as logger:
            assert replays(logger)
            log_curve(logger, "", rows(0.5, 0.4))
        _, second = offline_runs(tmp_path)
        assert (second.id, second.exit_code) == ("0123abcd", 0)
        assert second.curve("train_loss") == ([1, 2], [0.5, 0.4])
        assert "holds the whole run" in caplog.text

    def test_mode_of_the_environment_wins(self, tmp_path, monkeypatch, caplog):
        caplog.set_level(logging.INFO)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_MODE", "offline")
        with opened(tmp_path, name="wandb", offline=False) as logger:
            assert logger.experiment.offline
        assert "cannot go online" not in caplog.text
        monkeypatch.setenv("WANDB_MODE", "disabled")
        with opened(tmp_path, name="wandb") as logger:
            assert logger is None
        monkeypatch.setenv("WANDB_MODE", "onlin")
        with pytest.raises(FingerprintsError, match="onlin"), opened(tmp_path, name="wandb"):
            pass
        assert len(offline_runs(tmp_path)) == 1

    @pytest.mark.parametrize(
        ("key", "status", "said"),
        [
            (None, 200, "no API key"),
            ("short", 200, "40+ characters"),
            (KEY, 401, "Failed to authenticate"),
            (KEY, None, "Failed to authenticate"),
        ],
        ids=["no key", "malformed key", "refused key", "no network"],
    )
    def test_what_keeps_it_from_the_server_is_said_once(
        self, key, status, said, tmp_path, monkeypatch, caplog, capfd
    ):
        if key is not None:
            monkeypatch.setenv("WANDB_API_KEY", key)
        with Server(status) as url:
            monkeypatch.setenv("WANDB_BASE_URL", url)
            with opened(tmp_path, name="wandb", offline=False) as logger:
                log_curve(logger, "", rows(0.5))
        (warning,) = [
            r for r in caplog.records if r.levelno >= logging.WARNING and r.name == loggers.__name__
        ]
        assert said in warning.getMessage()
        assert "offline" in warning.getMessage()
        (run,) = offline_runs(tmp_path)
        assert run.curve("train_loss") == ([1], [0.5])
        assert KEY.encode() not in (run.folder / f"run-{run.id}.wandb").read_bytes()
        assert not list(tmp_path.rglob("wandb/run-*"))  # nothing half-made
        printed = capfd.readouterr()
        assert "wandb:" not in printed.out + printed.err

    def test_a_refused_setting_is_one_message(self, tmp_path):
        with pytest.raises(FingerprintsError, match="a/b"), opened(tmp_path, name="wandb", project="a/b"):
            pass


class Server:
    """A W&B server that answers with one status; with `None` there is none at the address."""

    def __init__(self, status):
        self.status = status

    def __enter__(self):
        status = self.status

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b'{"errors": [{"message": "user is not logged in"}]}')

            def log_message(self, *words):
                pass

        self.listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if status is None:
            self.listener.server_close()
        else:
            threading.Thread(target=self.listener.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.listener.server_port}"

    def __exit__(self, *error):
        if self.status is not None:
            self.listener.shutdown()
            self.listener.server_close()
