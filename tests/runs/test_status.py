"""Status files: whole or not at all, and one process a run folder."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fingerprints import __version__
from fingerprints.core.errors import FingerprintsError
from fingerprints.runs.status import (
    LOCK,
    RUNNING,
    STATUS,
    claimed,
    new_status,
    read_status,
    update_status,
    write_status,
)
from tests.disk import file_size_limit, names

HOLD = """
import sys
from pathlib import Path

from fingerprints.runs.status import claimed, new_status, write_status

with claimed(Path(sys.argv[1])):
    write_status(Path(sys.argv[1]), new_status())
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen]:
    """Another process that holds the folder until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_new_status_says_where_the_run_begins() -> None:
    status = new_status(overrides=["seed=3", "name=x"], job=4)
    assert (status["state"], status["attempts"], status["error"], status["job"]) == (RUNNING, 1, None, 4)
    assert status["overrides"] == ["seed=3", "name=x"]
    assert (status["version"], status["cwd"]) == (__version__, str(Path.cwd()))
    assert status["id"] != new_status()["id"]
    began = time.mktime(time.strptime(status["started"][:19], "%Y-%m-%dT%H:%M:%S"))
    assert abs(time.time() - began) < 5


def test_status_is_read_as_written_with_the_process_that_wrote(tmp_path: Path) -> None:
    status = new_status(overrides=["data.root=/tmp/Köln"])
    write_status(tmp_path, status)
    read = read_status(tmp_path)
    assert read is not None
    assert {name: read[name] for name in status} == status
    assert (read["pid"], read["host"]) == (os.getpid(), platform.node())
    assert set(read) - set(status) == {"pid", "host", "updated"}
    assert names(tmp_path) == [STATUS]


def test_no_status_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert read_status(tmp_path) is None
    assert read_status(tmp_path / "absent") is None
    assert read_status(tmp_path / "file") is None


@pytest.mark.parametrize("content", [b"", b'{"state": "runn', b"\xff\xfe{}"])
def test_damaged_status_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STATUS).write_bytes(content)
    with pytest.raises(FingerprintsError, match="cannot be read") as error:
        read_status(tmp_path)
    assert error.value.where == str(tmp_path / STATUS)


def test_update_changes_what_it_is_told_only(tmp_path: Path) -> None:
    status = new_status()
    write_status(tmp_path, status)
    update_status(tmp_path, stage="training", seconds=2.5)
    read = read_status(tmp_path)
    assert read is not None
    assert {name: read[name] for name in status} == {**status, "stage": "training", "seconds": 2.5}


def test_update_makes_a_status_where_none_is(tmp_path: Path) -> None:
    update_status(tmp_path, stage="training")
    read = read_status(tmp_path)
    assert read is not None
    assert read["stage"] == "training"


def test_full_disk_does_not_end_the_run_that_updates_its_status(tmp_path: Path) -> None:
    write_status(tmp_path, {"stage": "starting"})
    before = (tmp_path / STATUS).read_bytes()
    with file_size_limit(10):
        update_status(tmp_path, stage="training")
    assert (tmp_path / STATUS).read_bytes() == before
    assert names(tmp_path) == [STATUS]


def test_folder_that_another_process_holds_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with holder(folder) as process:
        with pytest.raises(FingerprintsError, match="still going") as error, claimed(folder):
            pytest.fail("two processes hold the folder")
        assert f"process {process.pid} on {platform.node()}" in error.value.what
        assert error.value.where == str(folder)
        # An orderly end lets go of it, too.
        process.communicate(timeout=20)
        assert process.returncode == 0
        with claimed(folder):
            pass


def test_refusal_does_not_need_a_status(tmp_path: Path) -> None:
    with holder(tmp_path):
        (tmp_path / STATUS).unlink()
        with pytest.raises(FingerprintsError, match="still going: another process holds"), claimed(tmp_path):
            pytest.fail("two processes hold the folder")


def test_killed_process_lets_go_of_its_folder(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=20) == -signal.SIGKILL
        with claimed(tmp_path):
            pass
        status = read_status(tmp_path)
        assert status is not None
        assert (status["state"], status["pid"]) == (RUNNING, process.pid)


def test_folder_is_shared_with_those_that_share_it_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with claimed(folder, shared=True), claimed(folder, shared=True), pytest.raises(FingerprintsError):
        claimed(folder).__enter__()
    with claimed(folder), pytest.raises(FingerprintsError, match="still going"):
        claimed(folder, shared=True).__enter__()
    with claimed(folder, shared=True):
        pass


def test_folder_is_held_until_the_block_ends_however_it_ends(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"

    def block() -> None:
        with claimed(folder):
            with pytest.raises(FingerprintsError, match="still going"), claimed(folder):
                pytest.fail("the folder is held twice")
            raise KeyError

    with pytest.raises(KeyError):
        block()
    with claimed(folder):
        assert names(folder) == [LOCK]


def test_status_is_json_that_people_can_read(tmp_path: Path) -> None:
    write_status(tmp_path, {"state": RUNNING})
    text = (tmp_path / STATUS).read_text()
    assert text.endswith("}\n")
    assert f'\n "state": "{RUNNING}",' in text
    assert json.loads(text)["state"] == RUNNING
