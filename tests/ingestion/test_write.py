"""The folder is complete or absent; secrets lie elsewhere; nothing is overwritten."""

from __future__ import annotations

import fcntl
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.ingestion.intake import Intake

pytest.importorskip("pydicom")
Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("salt", "in/s"),
        ("salt", "out/s"),
        ("salt", "out.partial/s"),
        ("key", "out/k"),
        ("key", "in/../out/k"),
    ],
)
def test_secrets_do_not_lie_with_the_data(
    folder: Path, take: Callable[..., Intake], name: str, at: str
) -> None:
    with pytest.raises(FingerprintsError, match=f"{name} must not be inside a data folder"):
        take(**{name: folder.parent / at})
    assert [path.name for path in folder.parent.iterdir()] == ["in"]


def test_a_key_is_private_and_never_overwritten(folder: Path, take: Callable[..., Intake]) -> None:
    key = folder.parent / "key"
    take(key=key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    with pytest.raises(FingerprintsError, match="key file already exists"):
        take(key=key, out=folder.parent / "other")
    assert key.read_bytes() == before
    with pytest.raises(FingerprintsError, match="key file already exists"):
        take(key=folder.parent / "new", salt=folder.parent / "new", out=folder.parent / "other")


def test_a_key_of_an_ingest_that_failed_is_removed(
    folder: Path, take: Callable[..., Intake], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        assert (folder.parent / "key").exists()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FingerprintsError, match="No space left on device"):
        take(key=folder.parent / "key")
    assert [path.name for path in folder.parent.iterdir()] == ["in"]


def test_nothing_is_overwritten(folder: Path, take: Callable[..., Intake]) -> None:
    tree = folder.parent
    (tree / "out").mkdir()
    (tree / "out/mine").write_text("x")
    with pytest.raises(FingerprintsError, match="already exists"):
        take()
    with pytest.raises(FingerprintsError, match="already exists"):
        take(out=tree / "out/mine")
    for out in (folder, folder / "out"):
        with pytest.raises(FingerprintsError, match="inside the input folder"):
            take(out=out)
    (tree / "out/mine").unlink()
    assert take().facts["images"] == 6  # an empty folder is nothing


@pytest.mark.parametrize("at", ["in/mrclosed/c.png/out", "sealed/out"])
def test_an_output_that_cannot_be_written_is_said_first(
    folder: Path, take: Callable[..., Intake], monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    (folder.parent / "sealed").mkdir()
    sealed = str(folder.parent / "sealed")
    monkeypatch.setattr("os.access", lambda path, mode: str(path) != sealed)
    monkeypatch.setattr("fingerprints.ingestion.intake.scan", lambda _: pytest.fail("it is too late"))
    images = folder / "mrshidden"
    with pytest.raises(FingerprintsError, match="cannot be written"):
        take(images=images, out=folder.parent / at)


def test_what_a_killed_ingest_left_is_redone(
    folder: Path, take: Callable[..., Intake], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = folder.parent / "out.partial"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # killed: nothing is tidied
        with pytest.raises(KeyboardInterrupt):
            take()
    assert part.is_dir()
    assert not (folder.parent / "out").exists()
    (part / "images/stale.png").touch()
    with (part / ".ingest").open() as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(FingerprintsError, match="Another process"):
            take()
    assert take().facts["images"] == 6
    assert not part.exists()
    assert len(list((folder.parent / "out/images").iterdir())) == 6
    assert not (folder.parent / "out/.ingest").exists()


def test_a_failed_ingest_tidies_up(
    folder: Path, take: Callable[..., Intake], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        take()
    assert [path.name for path in folder.parent.iterdir()] == ["in"]


def test_another_folder_of_that_name_is_left_alone(folder: Path, take: Callable[..., Intake]) -> None:
    (folder.parent / "out.partial").mkdir()
    (folder.parent / "out.partial/mine").write_text("x")
    with pytest.raises(FingerprintsError, match="needs this name"):
        take()
    assert (folder.parent / "out.partial/mine").read_text() == "x"
