"""Files are complete or absent; empty folders go."""

from __future__ import annotations

from pathlib import Path

import pytest

from fingerprints.core.files import digest, remove_if_empty, write_atomically


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"first")
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"first")

    def fail(_: int) -> None:
        raise error

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(type(error)):
        write_atomically(path, b"second")
    assert path.read_bytes() == b"first"
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "nowhere" / "a.json", b"x")


def test_digests_tell_contents_apart(tmp_path: Path) -> None:
    for name, content in (("a", b"x"), ("b", b"x"), ("c", b"y")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (digest(tmp_path / name) for name in "abc")
    assert a == b != c
    assert len(a) == 32


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
