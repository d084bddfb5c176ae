from __future__ import annotations

import http.server
import logging
import os
import threading
import time

import pandas as pd
import pytest
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from benchmarks.wandb_offline import offline_runs, records
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.signals import Interrupted
from fingerprints.training import loggers, wandb_run
from fingerprints.training.loggers import LoggerSettings, log_curve, open_logger, replays
from tests.disk import file_size_limit

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
    with opened(tmp_path, name="none") as tracker:
        assert tracker.logger is None
        log_curve(tracker, "", rows(1.0))
        assert not replays(tracker)
    monkeypatch.setattr(rank_zero_only, "rank", 1, raising=False)
    for name in ("none", "csv", "tensorboard", "wandb"):
        with opened(tmp_path, name=name) as tracker:
            assert tracker.logger is None
    assert list(tmp_path.iterdir()) == []


def test_csv_has_a_row_an_epoch_and_a_resumed_run_writes_it_anew(tmp_path, recwarn):
    path = tmp_path / "curves" / "metrics.csv"
    with opened(tmp_path, name="csv") as tracker:
        assert replays(tracker)
        log_curve(tracker, "fold_2/", rows(0.9))
        log_curve(tracker, "", rows(0.5, 0.4))
        assert len(pd.read_csv(path)) == 3  # on disk at once
    table = pd.read_csv(path)
    assert table["train_loss"].dropna().tolist() == [0.5, 0.4]
    assert table["fold_2/train_loss"].dropna().tolist() == [0.9]
    assert table["step"].tolist() == [1, 1, 2]
    with opened(tmp_path, name="csv", resumed=True) as tracker:
        log_curve(tracker, "", rows(0.5, 0.4, 0.3))
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

    with opened(tmp_path, name="tensorboard") as tracker:
        assert not replays(tracker)
        log_curve(tracker, "fold_1/", rows(0.9, 0.8))
        log_curve(tracker, "", rows(0.5))
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
        ) as tracker:
            assert replays(tracker)
            log_curve(tracker, "fold_1/", rows(0.9, 0.8, 0.7))
            log_curve(tracker, "fold_2/", rows(0.6))
            log_curve(tracker, "", rows(0.5, 0.4))
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
        with opened(tmp_path, name="wandb") as tracker:
            log_curve(tracker, "", rows(0.5))
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
            with opened(tmp_path, name="wandb") as tracker:
                log_curve(tracker, "", rows(0.5))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        (first,) = offline_runs(tmp_path)
        assert first.exit_code == 1
        first.folder.rename(first.folder.with_name("offline-run-1-0123abcd"))  # not in the same second
        with opened(tmp_path, name="wandb", resumed=True) as tracker:
            assert replays(tracker)
            log_curve(tracker, "", rows(0.5, 0.4))
        _, second = offline_runs(tmp_path)
        assert (second.id, second.exit_code) == ("0123abcd", 0)
        assert second.curve("train_loss") == ([1, 2], [0.5, 0.4])
        assert "holds the whole run" in caplog.text

    def test_mode_of_the_environment_wins(self, tmp_path, monkeypatch, caplog):
        caplog.set_level(logging.INFO)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_MODE", "offline")
        with opened(tmp_path, name="wandb", offline=False) as tracker:
            assert tracker.logger.experiment.offline
        assert "cannot go online" not in caplog.text
        monkeypatch.setenv("WANDB_MODE", "disabled")
        with opened(tmp_path, name="wandb") as tracker:
            assert tracker.logger is None
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
            with opened(tmp_path, name="wandb", offline=False) as tracker:
                log_curve(tracker, "", rows(0.5))
        (warning,) = [
            r for r in caplog.records if r.levelno >= logging.WARNING and r.name == wandb_run.__name__
        ]
        assert said in warning.getMessage()
        assert "offline" in warning.getMessage()
        (run,) = offline_runs(tmp_path)
        assert run.curve("train_loss") == ([1], [0.5])
        assert KEY.encode() not in (run.folder / f"run-{run.id}.wandb").read_bytes()
        assert not list(tmp_path.rglob("wandb/run-*"))  # nothing half-made
        printed = capfd.readouterr()
        assert "wandb:" not in printed.out + printed.err

    def test_a_project_name_that_it_refuses_is_changed(self, tmp_path, caplog):
        with opened(tmp_path, name="wandb", project="team/proj") as tracker:
            log_curve(tracker, "", rows(0.5))
        assert warnings_in(caplog) == [
            "W&B: it refuses the project name 'team/proj'; the project is 'team-proj'"
        ]
        (run,) = offline_runs(tmp_path)
        assert (run.project, run.curve("train_loss")) == ("team-proj", ([1], [0.5]))

    def test_variables_that_it_refuses_are_left_out_and_come_back(self, tmp_path, monkeypatch, caplog):
        (tmp_path / "file").write_text("")
        wrong = {
            "WANDB_PROJECT": "team/proj",
            "WANDB_DATA_DIR": str(tmp_path / "file" / "staging"),
            "WANDB_CACHE_DIR": "/proc/x",
            "WANDB_RESUME": "maybe",
        }
        for name, value in wrong.items():
            monkeypatch.setenv(name, value)
        with opened(tmp_path / "run", name="wandb") as tracker:
            assert os.environ["WANDB_DATA_DIR"] == str(tmp_path / "run" / "wandb")
            log_curve(tracker, "", rows(0.5))
        assert {name: os.environ[name] for name in wrong} == wrong
        said = warnings_in(caplog)
        assert len(said) == len(wrong)
        assert all(
            any(f"{name}={value} cannot be used" in line for line in said) for name, value in wrong.items()
        )
        assert offline_runs(tmp_path / "run")[0].curve("train_loss") == ([1], [0.5])

    def test_without_the_address_of_its_server_nothing_is_sent(self, tmp_path, monkeypatch, caplog):
        monkeypatch.setenv("WANDB_BASE_URL", "not a url")
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        with opened(tmp_path, name="wandb", offline=False) as tracker:
            assert tracker.logger.experiment.offline
        (warning,) = warnings_in(caplog)
        assert "WANDB_BASE_URL=not a url cannot be used" in warning

    def test_a_service_that_dies_is_one_warning(self, tmp_path, caplog, capfd, monkeypatch):
        import wandb

        # A handler of an earlier test may hold its closed stream; logging would print a traceback about that.
        monkeypatch.setattr(logging, "raiseExceptions", False)
        with opened(tmp_path, name="wandb") as tracker:
            log_curve(tracker, "", rows(0.5))
            service = wandb.setup().ensure_service()._proc._process
            service.kill()
            service.wait()
            for _ in range(100):  # until the connection is found to be lost
                log_curve(tracker, "", rows(0.4))
                if tracker.logger is None:
                    break
                time.sleep(0.05)
            assert tracker.logger is None
            assert not replays(tracker)
        (warning,) = warnings_in(caplog)
        assert "logger=wandb failed" in warning
        assert "the run continues without it" in warning
        assert "Traceback" not in capfd.readouterr().err


@pytest.mark.usefixtures("private_wandb")
@pytest.mark.parametrize(
    ("name", "place"), [("csv", "curves"), ("tensorboard", "curves"), ("wandb", "wandb")]
)
def test_a_file_in_place_of_the_folder_is_one_warning(tmp_path, caplog, name, place):
    if name == "tensorboard":
        pytest.importorskip("tensorboard")
    (tmp_path / place).write_text("mine")
    with opened(tmp_path, name=name) as tracker:
        log_curve(tracker, "", rows(0.5, 0.4))
        assert tracker.logger is None
    (warning,) = warnings_in(caplog)
    assert f"logger={name} failed" in warning
    assert str(tmp_path / place) in warning
    assert (tmp_path / place).read_text() == "mine"


def test_a_full_disk_stops_the_curves_and_not_the_run(tmp_path, caplog):
    with opened(tmp_path, name="csv") as tracker:
        log_curve(tracker, "", rows(0.5))
        with file_size_limit(10):
            log_curve(tracker, "", rows(0.4))
            log_curve(tracker, "", rows(0.3))
        assert tracker.logger is None
    assert len(warnings_in(caplog)) == 1


class Failing(loggers.CSVLogger):
    """A logger that cannot log."""

    def log_metrics(self, *words, **more):
        raise RuntimeError("no more\nat all")


def test_the_first_error_is_a_warning_and_nothing_more_is_logged(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(loggers, "CSVLogger", Failing)
    with opened(tmp_path, name="csv") as tracker:
        log_curve(tracker, "", rows(0.5))
        log_curve(tracker, "", rows(0.4))
    assert warnings_in(caplog) == ["logger=csv failed (no more); the run continues without it"]


@pytest.mark.parametrize("error", [FingerprintsError("bad"), Interrupted(15), ValueError("a defect of ours")])
def test_errors_of_the_run_itself_pass(tmp_path, caplog, error):
    with pytest.raises(type(error)) as caught, opened(tmp_path, name="csv") as tracker:
        log_curve(tracker, "", rows(0.5))
        raise error
    assert caught.value is error
    assert warnings_in(caplog) == []
    assert (tmp_path / "curves" / "metrics.csv").exists()


def test_an_error_at_the_end_does_not_hide_that_of_the_run(tmp_path, caplog, monkeypatch):
    def save(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loggers.CSVLogger, "save", save)
    with pytest.raises(ValueError, match="ours"), opened(tmp_path, name="csv"):
        raise ValueError("a defect of ours")
    assert warnings_in(caplog) == [
        "logger=csv failed (No space left on device); the run continues without it"
    ]


def warnings_in(caplog):
    """Our warnings."""
    ours = (loggers.__name__, wandb_run.__name__)
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING and r.name in ours]


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
