"""Images are found by suffix or mark, whatever else lies beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.ingestion.intake import Intake
from fingerprints.ingestion.scan import scan

pytest.importorskip("pydicom")
Write = Callable[..., Path]


def test_tables_of_contents_and_hidden_files_are_ignored_quietly(
    folder: Path, take: Callable[..., Intake], write_dicom: Write
) -> None:
    import pydicom

    directory = pydicom.uid.MediaStorageDirectoryStorage
    (folder / "DICOMDIR").write_bytes(b"whatever")
    write_dicom(folder / "index", SOPClassUID=directory, PixelData=None)
    (folder / ".hidden.png").write_bytes(b"whatever")
    (folder / "loop").symlink_to(folder)
    facts = take().facts
    assert (facts["images"], facts["ignored_files"], facts["skipped"]) == (6, 0, {})


def test_images_are_found_by_suffix_or_mark(tmp_path: Path, write_dicom: Write, write_image: Write) -> None:
    write_dicom(tmp_path / "b/slice", 1)
    write_image(tmp_path / "a.PNG", 2)
    (tmp_path / "b/late.dcm").touch()
    (tmp_path / "b/gone.tif").symlink_to("nowhere")
    (tmp_path / "notes.txt").touch()
    files, others = scan(tmp_path)
    assert [(file.name, file.dicom) for file in files] == [
        ("a.PNG", False),
        ("b/gone.tif", False),
        ("b/late.dcm", True),
        ("b/slice", True),
    ]
    assert [Path(file.path) for file in files] == [tmp_path / file.name for file in files]
    assert (others.total, others.documents) == (1, {".txt": 1})


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(FingerprintsError, match="cannot be read: Permission denied"):
        scan(tmp_path)


def test_thumbnails_of_file_servers_are_no_images(tmp_path: Path, write_image: Write) -> None:
    for name in ("p1/a.png", "p1/@eaDir/a.png/SYNO_THUMB.jpg", "p1/Thumbs/a.png", ".thumbnails/a.png"):
        write_image(tmp_path / name)
    files, others = scan(tmp_path)
    assert [file.name for file in files] == ["p1/a.png"]
    assert others.total == 0


def test_a_link_to_itself_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("a.png")
    with pytest.raises(FingerprintsError, match="leads to itself") as caught:
        scan(tmp_path)
    assert caught.value.where == str(tmp_path / "a.png")
