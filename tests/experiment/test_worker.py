"""A worker does its share, and hands over what went wrong."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.signals import Interrupted
from fingerprints.experiment import worker


@pytest.fixture
def failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a worker's failure is written; the process is told nothing of parents and signals."""
    monkeypatch.setattr(worker, "end_with_parent", lambda: None)
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "failure.json"))
    return tmp_path / "failure.json"


def begin(monkeypatch: pytest.MonkeyPatch, kind: str, folder: Path) -> None:
    monkeypatch.setattr("sys.argv", ["worker", kind, str(folder)])
    worker.main()


def said(failure: Path) -> str:
    return str(json.loads(json.loads(failure.read_text())["message"])["text"])


@pytest.mark.parametrize("kind", ["run", "generator"])
def test_the_work_is_done_in_the_folder(failure: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    assert set(worker.WORK) == {"run", "generator"}
    seen: list[Path] = []
    monkeypatch.setitem(worker.WORK, kind, seen.append)
    begin(monkeypatch, kind, failure.parent)
    assert seen == [failure.parent]
    assert not failure.exists()


def test_a_known_mistake_is_handed_over_without_a_trace(
    failure: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> None:
        raise FingerprintsError("The disk is full.", where=folder, fix="make room")

    monkeypatch.setitem(worker.WORK, "run", fail)
    with pytest.raises(SystemExit) as stop:
        begin(monkeypatch, "run", failure.parent)
    assert stop.value.code == 2
    assert said(failure).startswith("The disk is full.")
    assert "Traceback" not in said(failure)


def test_an_unknown_mistake_is_handed_over_with_its_trace(
    failure: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(worker.WORK, "run", lambda _: 1 / 0)
    with pytest.raises(SystemExit):
        begin(monkeypatch, "run", failure.parent)
    assert "Traceback" in said(failure)
    assert "ZeroDivisionError" in said(failure)


def test_a_stop_is_no_failure(failure: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_: Path) -> None:
        raise Interrupted(signal.SIGTERM)

    monkeypatch.setitem(worker.WORK, "run", stopped)
    with pytest.raises(SystemExit) as stop:
        begin(monkeypatch, "run", failure.parent)
    assert stop.value.code == 143
    assert not failure.exists()
