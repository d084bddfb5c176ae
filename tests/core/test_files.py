"""Files are complete or absent; empty folders go."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from fingerprints.core.files import digest, remove_if_empty, write_atomically
from fingerprints.core.signals import Interrupted
from tests.disk import file_size_limit, names


def test_atomic_write_replaces_the_content(tmp_path: Path) -> None:
    for content in (b"long content", b"short", b""):
        write_atomically(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == content
    assert names(tmp_path) == ["file"]


def test_content_that_does_not_fit_leaves_the_previous_one_and_no_part(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", b"previous")
    with file_size_limit(1000), pytest.raises(OSError, match="File too large"):
        write_atomically(tmp_path / "file", b"x" * 100_000)
    assert (tmp_path / "file").read_bytes() == b"previous"
    assert names(tmp_path) == ["file"]
    write_atomically(tmp_path / "file", b"x" * 100_000)
    assert (tmp_path / "file").stat().st_size == 100_000


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace")])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), Interrupted(signal.SIGTERM), KeyboardInterrupt()]
)
def test_write_that_fails_late_leaves_the_previous_content_and_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: BaseException
) -> None:
    write_atomically(tmp_path / "file", b"previous")

    def fail(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        with pytest.raises(type(error)):
            write_atomically(tmp_path / "file", b"next")
    assert (tmp_path / "file").read_bytes() == b"previous"
    assert names(tmp_path) == ["file"]


def test_atomic_write_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, bytes | None]] = []
    target, sync, rename = tmp_path / "file", os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        done.append(("sync", target.read_bytes() if target.exists() else None))
        sync(descriptor)

    def renamed(self: Path, to: Path) -> Path:
        done.append(("rename", self.read_bytes()))
        return rename(self, to)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write_atomically(target, b"content")
    assert done == [("sync", None), ("rename", b"content")]


def test_digest_tells_contents_apart(tmp_path: Path) -> None:
    for name, content in (("a", b"one"), ("b", b"two"), ("c", b"one")):
        (tmp_path / name).write_bytes(content)
    assert digest(tmp_path / "a") == digest(tmp_path / "c") != digest(tmp_path / "b")
    assert len(digest(tmp_path / "a")) == 32


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "nowhere" / "a.json", b"x")


def test_empty_run_folders_go_and_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty, full = tmp_path / "one/2026", tmp_path / "two/2026"
    empty.mkdir(parents=True)
    full.mkdir(parents=True)
    (full / "train.log").touch()
    remove_if_empty(empty, "one")
    remove_if_empty(full, "two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["two"]
    assert (full / "train.log").exists()
    other = tmp_path / "mine/run"
    other.mkdir(parents=True)
    remove_if_empty(other, "one")  # the folder above is not the experiment's
    assert (tmp_path / "mine").is_dir()
    monkeypatch.chdir(tmp_path / "mine")
    remove_if_empty(Path(), None)
    assert (tmp_path / "mine").is_dir()
