"""What a scan left out is counted by reason, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.leftovers import left_out


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_each_reason_has_its_note(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.png", "x/deep/2.png", "x/deep/3.TIF", "Test/4.jpg", "groups.csv", "x/readme.txt")
    touch(tmp_path, "x/5.webp", "x/6.WEBP", "x/7.npy", "x/IM0001", "x/.hidden.webp", "x/Thumbs.db")
    (tmp_path / "x/t9").symlink_to("/not/mounted")
    found = left_out(tmp_path, ["x/1.png"])
    assert found.notes() == [
        "3 image(s) were left out, because no pattern matches their folder or name: x/deep/ (2), Test/ (1)",
        "4 file(s) are not images and were left out: .webp (2), no ending (1), .npy (1); "
        "images are .bmp, .jpeg, .jpg, .png, .tif, .tiff",
        "1 link(s) lead nowhere and were left out: x/ (1)",
    ]
    assert found.total == 10
    assert "6 file(s) are not images" in found.notes(documents=True)[1]


@pytest.mark.parametrize("ending", [".webp", ".gif", ".jfif", ".heic", ".npy", ".dcm", ".pgm", ".nii.gz"])
def test_other_kinds_of_image_are_counted(tmp_path: Path, ending: str) -> None:
    touch(tmp_path, "1.png", f"2{ending}")
    (note,) = left_out(tmp_path, ["1.png"]).notes()
    assert f"1 file(s) are not images and were left out: {Path(ending).suffix or ending} (1)" in note


def test_nothing_left_out_is_no_note(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.png", "groups.csv", "test_truth.csv", ".DS_Store", "@eaDir/1.png")
    assert left_out(tmp_path, ["x/1.png"]).notes() == []
    assert left_out(tmp_path, ["x/1.png"]).total == 2


def test_pictures_of_a_benchmarks_own_generators_are_not_counted(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.png", "generators/gan/sheet.png")
    assert left_out(tmp_path, ["x/1.png"]).total == 1
    touch(tmp_path, "benchmark.json")
    assert left_out(tmp_path, ["x/1.png"]).notes() == []


def test_many_folders_are_cut_short(tmp_path: Path) -> None:
    touch(tmp_path, *(f"x{n:02d}/1.png" for n in range(12)))
    (note,) = left_out(tmp_path, []).notes()
    assert note.endswith("x07/ (1), ...")
    assert note.startswith("12 image(s)")


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(FingerprintsError, match="cannot be read: Permission denied"):
        left_out(tmp_path, [])


def test_names_that_are_no_text_can_be_printed_and_written(tmp_path: Path) -> None:
    latin = b"\xe4".decode("utf-8", "surrogateescape")  # a letter in Latin-1, as on old servers
    touch(tmp_path, f"{latin}rzte/1.png", f"{latin}rzte/2.{latin}")
    notes = left_out(tmp_path, []).notes()
    assert len(notes) == 2
    assert "\N{REPLACEMENT CHARACTER}rzte/ (1)" in notes[0]
    assert " ".join(notes).encode()
