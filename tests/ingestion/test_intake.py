"""A folder becomes squares, groups and facts; nothing of its names and headers gets out."""

from __future__ import annotations

import csv
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.groups import read_groups
from fingerprints.ingestion import intake as module
from fingerprints.ingestion.dicom import WINDOWS, read_dicom
from fingerprints.ingestion.intake import Intake, IntakeSettings, ingest, pseudonym, to_square

pytest.importorskip("pydicom")
Write = Callable[..., Path]
SIZE = 48


@pytest.fixture
def take(tmp_path: Path) -> Callable[..., Intake]:
    """Ingests `tmp_path/in` into `tmp_path/out`."""

    def make(**settings: Any) -> Intake:
        return ingest(
            IntakeSettings(**{"images": tmp_path / "in", "out": tmp_path / "out", "size": SIZE, **settings})
        )

    return make


@pytest.fixture
def folder(tmp_path: Path, write_dicom: Write, write_image: Write) -> Path:
    """Two patients as DICOM, of two and one slices, and three pictures."""
    root = tmp_path / "in"
    write_dicom(root / "secretward/IM2", 1)
    write_dicom(root / "secretward/IM1.dcm", 2)
    write_dicom(root / "IM3.ima", 3, PatientID="OTHER-18")
    write_image(root / "mrshidden/a.png", 4)
    write_image(root / "mrshidden/b.jpg", 5, mode="RGB")
    write_image(root / "mrclosed/c.png", 6)
    return root


def table(path: Path) -> list[list[str]]:
    with path.open(newline="") as handle:
        return list(csv.reader(handle))


def members(out: Path) -> list[int]:
    groups = [group for _, group in table(out / "groups.csv")[1:]]
    return sorted(groups.count(group) for group in set(groups))


@pytest.mark.parametrize("shape", [(48, 48), (30, 48), (48, 31), (7, 5)])
def test_a_square_holds_the_picture_in_its_middle(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(1, 256, shape, dtype=np.uint8)
    side = max(shape)
    square = to_square(pixels, side)
    assert square.shape == (side, side)
    above, left = (side - shape[0]) // 2, (side - shape[1]) // 2
    assert np.array_equal(square[above : above + shape[0], left : left + shape[1]], pixels)
    assert np.count_nonzero(square) == pixels.size


def test_shrinking_averages_and_does_not_pick() -> None:
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (96, 48))
    assert np.abs(to_square(stripes, 24).astype(int)[:, 2:-2] - 127).max() <= 2


def test_pictures_and_dicom_files_become_one_set(folder: Path, take: Callable[..., Intake]) -> None:
    facts = take(groups="folders").facts
    out = folder.parent / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "groups.csv",
        "images",
        "ingest.json",
        "near_duplicates.csv",
    ]
    assert json.loads((out / "ingest.json").read_text()) == facts
    assert (facts["images"], facts["from_dicom"], facts["groups"]) == (6, 3, 4)
    assert facts["groups_from"] == {"folder": 3, "patient id": 3}
    assert facts["window"] == {"center": -600, "width": 1500}
    assert members(out) == [1, 1, 2, 2]
    rows = table(out / "groups.csv")
    assert rows[0] == ["file", "group"]
    assert [file for file, _ in rows[1:]] == sorted(f"images/{p.name}" for p in (out / "images").iterdir())
    for file, group in rows[1:]:
        assert file.startswith(f"images/{group}_000")
    names = [path.name for path in (out / "images").iterdir()]
    assert None not in read_groups(out / "groups.csv", names)[0]


def test_pixels_are_those_of_the_files(folder: Path, take: Callable[..., Intake]) -> None:
    take(key=folder.parent / "key.csv")
    rows = table(folder.parent / "key.csv")
    assert rows[0] == ["file", "source", "frame"]
    assert sorted(source for _, source, _ in rows[1:]) == sorted(
        str(path.resolve()) for path in folder.rglob("*") if path.is_file()
    )
    for file, source, _ in rows[1:]:
        with Image.open(folder.parent / "out" / file) as image:
            pixels = np.asarray(image)
        slices = None if Path(source).suffix in (".png", ".jpg") else read_dicom(source, WINDOWS["lung"])
        if slices is None:
            with Image.open(source) as image:
                expected = np.asarray(image.convert("L"))
        else:
            (expected,) = slices.frames
        assert np.array_equal(pixels, expected)


def test_frames_are_pictures_of_one_patient(tmp_path: Path, write_dicom: Write, take: Callable) -> None:
    stored = np.random.default_rng(0).integers(0, 2000, (3, 20, 30)).astype(np.int16)
    write_dicom(tmp_path / "in/a", stored)
    facts = take(size=30, key=tmp_path / "key").facts
    assert (facts["images"], facts["groups"], facts["native_sizes"]) == (3, 1, {"30 x 20": 3})
    for (file, _, frame), pixels in zip(
        table(tmp_path / "key")[1:],
        read_dicom(tmp_path / "in/a", WINDOWS["lung"]).frames,
        strict=True,
    ):
        with Image.open(tmp_path / "out" / file) as image:
            assert np.array_equal(np.asarray(image)[5:25], pixels), frame


def test_nothing_of_names_and_headers_gets_out(
    tmp_path: Path, folder: Path, write_image: Write, take: Callable[..., Intake]
) -> None:
    import pydicom

    secrets = {"IM1", "IM2", "IM3", "secretward", "mrshidden", "mrclosed", str(tmp_path), folder.name + "/"}
    for path in folder.rglob("IM*"):
        data = pydicom.dcmread(path)
        secrets |= {str(e.value) for e in (*data, *data.file_meta) if e.VR in ("UI", "PN", "LO", "DA")}
    assert {"ID-SECRET-17", "OTHER-18", "Secret^Nobody", "19510203", "Hidden Hospital"} <= secrets
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    note.add_text("Comment", "Patient Zero")
    write_image(folder / "mrclosed/d.png", 7, pnginfo=note)
    take(groups="folders", salt=tmp_path / "salt")
    out = tmp_path / "out"
    secrets |= {"Patient Zero", (tmp_path / "salt").read_text().strip(), (tmp_path / "salt").read_text()[:16]}
    secrets |= {hashlib.sha256(word.encode()).hexdigest()[:12] for word in ("ID-SECRET-17", "mrshidden")}
    for path in (out, *out.rglob("*")):
        content = path.name.encode() + (path.read_bytes() if path.is_file() else b"")
        assert not [word for word in secrets if word.encode() in content], path
        if path.suffix == ".png":
            assert chunks(path.read_bytes()) <= {b"IHDR", b"IDAT", b"IEND"}


def chunks(png: bytes) -> set[bytes]:
    at, kinds = 8, set()
    while at < len(png):
        kinds.add(png[at + 4 : at + 8])
        at += 12 + int.from_bytes(png[at : at + 4], "big")
    return kinds


def test_groups_are_new_in_every_call_unless_salted(folder: Path, take: Callable[..., Intake]) -> None:
    tree = folder.parent
    for name in "abcd":
        take(out=tree / name, salt=tree / "salt" if name in "cd" else None)
    assert stat.S_IMODE((tree / "salt").stat().st_mode) == 0o600

    def content(name: str) -> dict[str, bytes]:
        return {
            str(path.relative_to(tree / name)): path.read_bytes()
            for path in (tree / name).rglob("*")
            if path.is_file()
        }

    assert content("c") == content("d")
    groups = [{group for _, group in table(tree / name / "groups.csv")[1:]} for name in "abc"]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    salt = (tree / "salt").read_bytes().strip()
    assert {pseudonym("ID-SECRET-17", salt), pseudonym("OTHER-18", salt)} < groups[2]


def test_clusters_of_two_calls_with_one_salt_are_not_taken_for_each_other(
    tmp_path: Path, write_image: Write, take: Callable[..., Intake]
) -> None:
    groups = []
    for call in (1, 2):
        write_image(tmp_path / f"in{call}/a.png", call)
        take(images=tmp_path / f"in{call}", out=tmp_path / f"out{call}", salt=tmp_path / "salt")
        groups.append(table(tmp_path / f"out{call}/groups.csv")[1][1])
    assert groups[0] != groups[1]


@pytest.mark.parametrize("salt", ["", "short", " " * 40])
def test_a_salt_that_can_be_guessed_is_refused(folder: Path, take: Callable[..., Intake], salt: str) -> None:
    (folder.parent / "salt").write_text(salt)
    with pytest.raises(FingerprintsError, match="could be guessed"):
        take(salt=folder.parent / "salt")
    assert not (folder.parent / "out").exists()


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
    with pytest.raises(FingerprintsError, match=f"{name} must not lie with the data"):
        take(**{name: folder.parent / at})
    assert [path.name for path in folder.parent.iterdir()] == ["in"]


def test_a_key_is_private_and_never_overwritten(folder: Path, take: Callable[..., Intake]) -> None:
    key = folder.parent / "key"
    take(key=key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    with pytest.raises(FingerprintsError, match="key file is there already"):
        take(key=key, out=folder.parent / "other")
    assert key.read_bytes() == before
    with pytest.raises(FingerprintsError, match="key file is there already"):
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


def test_a_table_goes_before_patient_ids_and_folders_after(
    folder: Path, take: Callable[..., Intake], write_rows: Callable, write_dicom: Write
) -> None:
    tree = folder.parent
    rows = [
        ("file", "group"),
        ("secretward/IM2", "p"),
        ("a", "p"),
        ("b.jpg", "q"),
        ("c", "q"),
        ("x.png", "r"),
    ]
    write_rows(tree / "groups.csv", rows)
    taken = take(groups=str(tree / "groups.csv"))
    assert taken.facts["groups_from"] == {"group table": 4, "patient id": 2}
    assert members(tree / "out") == [1, 1, 2, 2]
    assert "1 row(s) of the group table name no image" in taken.describe()
    write_dicom(folder / "secretward/IM9", 9, PatientID="")
    facts = take(groups="folders", out=tree / "other").facts
    assert facts["groups_from"] == {"folder": 4, "patient id": 3}
    assert members(tree / "other") == [1, 1, 1, 2, 2]


def test_a_file_name_in_the_table_stands_for_one_file_only(
    tmp_path: Path, write_dicom: Write, write_rows: Callable, take: Callable[..., Intake]
) -> None:
    write_dicom(tmp_path / "in/a/00.dcm", 1, PatientID="A")
    write_dicom(tmp_path / "in/b/00.dcm", 2, PatientID="B")
    write_rows(tmp_path / "groups.csv", [("file", "group"), ("a/00.dcm", "p")])
    facts = take(groups=str(tmp_path / "groups.csv")).facts
    assert facts["groups_from"] == {"group table": 1, "patient id": 1}
    assert facts["groups"] == 2


def test_without_groups_clusters_stand_in_and_it_is_said(
    tmp_path: Path, write_image: Write, take: Callable[..., Intake]
) -> None:
    pixels = np.asarray(Image.open(write_image(tmp_path / "in/a.png", 1)))
    write_image(tmp_path / "in/b.png", 255 - pixels)
    write_image(tmp_path / "in/c.png", np.clip(pixels + 1.0, 0, 255).astype(np.uint8))
    taken = take()
    assert taken.facts["groups_from"] == {"near-duplicate cluster": 3}
    assert members(tmp_path / "out") == [1, 2]
    assert "clusters stand in for patients" in taken.describe()
    assert "none, as groups are made of them" in taken.describe()


def test_near_duplicates_and_copies_in_other_groups_are_counted(
    tmp_path: Path, write_image: Write, take: Callable[..., Intake], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    coarse = [np.kron(rng.integers(40, 200, (16, 16)), np.ones((3, 3))) for _ in range(3)]
    for patient, body, noise in [
        ("p", 0, 0),
        ("p", 1, 0),
        ("q", 0, 0),
        ("q", 0, 30),
        ("r", 2, 0),
        ("r", 2, 0),
    ]:
        pixels = coarse[body] + noise * rng.standard_normal((48, 48))
        number = len(list(tmp_path.glob("in/*/*")))
        write_image(tmp_path / f"in/{patient}/{number}.png", np.clip(pixels, 0, 255).astype(np.uint8))
    taken = take(groups="folders", key=tmp_path / "key")
    out, facts = tmp_path / "out", taken.facts
    assert facts["near_duplicates"] == {"correlation": 0.95, "pairs": 2}
    assert facts["identical"] == {"copies": 2, "across_groups": 2}

    groups = dict(table(out / "groups.csv")[1:])
    small = {
        file: np.asarray(Image.open(out / file), dtype=float).reshape(16, 3, 16, 3).mean(axis=(1, 3)).ravel()
        for file in groups
    }
    header, *rows = table(out / "near_duplicates.csv")
    assert header == ["file_a", "file_b", "group_a", "group_b", "correlation"]
    expected = {
        (a, b): np.corrcoef(small[a], small[b])[0, 1]
        for a in small
        for b in small
        if a < b and groups[a] != groups[b] and np.corrcoef(small[a], small[b])[0, 1] >= 0.95
    }
    assert {(a, b): pytest.approx(float(r), abs=1e-4) for a, b, _, _, r in rows} == expected
    assert all((groups[a], groups[b]) == (x, y) for a, b, x, y, _ in rows)
    assert [row[4] for row in rows] == sorted((row[4] for row in rows), reverse=True)
    assert ": 2 pairs" in taken.describe()
    assert rows[0][0] in taken.describe()

    monkeypatch.setattr(module, "PAIRS_KEPT", 1)
    cut = take(groups="folders", out=tmp_path / "other")
    assert cut.facts["near_duplicates"]["pairs"] == 2
    assert [row[4] for row in table(tmp_path / "other/near_duplicates.csv")[1:]] == ["1.0000"]
    assert "holds the 1 most alike of 2 pairs" in cut.describe()


def bad_files(root: Path, write_dicom: Write, write_image: Write) -> dict[str, str]:
    """Files that cannot be used, and why."""
    write_dicom(root / "mr.dcm", Modality="MR")
    write_dicom(root / "nobody", PatientID=None)
    write_image(
        root / "colour.png", np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8), mode="RGB"
    )
    cut = write_image(root / "cut.png", 8)
    cut.write_bytes(cut.read_bytes()[:-900])
    (root / "empty.jpg").touch()
    (root / "fake.dcm").write_text("no DICOM file at all")
    (root / "text.tif").write_text("no picture at all")
    (root / "gone.png").symlink_to(root / "nowhere.png")
    return {
        "mr.dcm": "not CT",
        "nobody": "no patient id",
        "colour.png": "a colour picture",
        **dict.fromkeys(("cut.png", "empty.jpg", "fake.dcm", "text.tif", "gone.png"), "cannot be read"),
    }


def test_all_bad_files_are_named_before_anything_is_written(
    folder: Path, take: Callable[..., Intake], write_dicom: Write, write_image: Write
) -> None:
    bad = bad_files(folder, write_dicom, write_image)
    (folder / "notes.txt").write_text("no image")
    with pytest.raises(FingerprintsError) as caught:
        take(salt=folder.parent / "salt", key=folder.parent / "key")
    assert str(caught.value).startswith(f"{len(bad)} file(s) cannot be used")
    for name, why in bad.items():
        assert f"    {name}: {why}" in str(caught.value)
    assert "on_bad_image=skip; groups=CSV or groups=folders" in str(caught.value)
    assert [path.name for path in folder.parent.iterdir()] == ["in"]

    taken = take(on_bad_image="skip")
    assert taken.facts["images"] == 6
    counts = {"a colour picture": 1, "cannot be read": 5, "no patient id": 1, "not CT": 1}
    assert taken.facts["skipped"] == counts
    assert taken.facts["ignored_files"] == 1
    assert "skipped: 5 (cannot be read)" in taken.describe()
    assert "1 file(s) are no image" in taken.describe()
    written = (folder.parent / "out/ingest.json").read_text()
    assert not [name for name in (*bad, "notes.txt", "nowhere") if name in written]


def test_pictures_without_a_group_are_named(
    folder: Path, take: Callable[..., Intake], write_rows: Callable, write_image: Write
) -> None:
    write_image(folder / "top.png")
    with pytest.raises(
        FingerprintsError, match=r"1 file\(s\).*\n    top.png: no group: it lies in no folder"
    ):
        take(groups="folders")
    write_rows(folder.parent / "groups.csv", [("file", "group"), ("top", "p")])
    with pytest.raises(
        FingerprintsError, match=r"3 file\(s\)[^?]*mrshidden/b.jpg: no group: the group table"
    ):
        take(groups=str(folder.parent / "groups.csv"))


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


def test_folders_that_hold_nothing_are_refused(tmp_path: Path, take: Callable[..., Intake]) -> None:
    with pytest.raises(FingerprintsError, match="does not exist"):
        take()
    (tmp_path / "in").mkdir()
    with pytest.raises(FingerprintsError, match="holds no image"):
        take()
    (tmp_path / "in/a.txt").touch()
    with pytest.raises(FingerprintsError, match=r"only 1 other file\(s\)"):
        take()
    (tmp_path / "in/a.png").touch()
    with pytest.raises(FingerprintsError, match=r"None of the files can be used:\n +a.png: .*empty"):
        take(on_bad_image="skip")
    with pytest.raises(FingerprintsError, match="It is no folder"):
        take(images=tmp_path / "in/a.txt")
    with pytest.raises(FingerprintsError, match="group table does not exist"):
        take(groups="nowhere.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_nothing_is_overwritten(folder: Path, take: Callable[..., Intake]) -> None:
    tree = folder.parent
    (tree / "out").mkdir()
    (tree / "out/mine").write_text("x")
    with pytest.raises(FingerprintsError, match="there already"):
        take()
    with pytest.raises(FingerprintsError, match="there already"):
        take(out=tree / "out/mine")
    for out in (folder, folder / "out"):
        with pytest.raises(FingerprintsError, match="among the images"):
            take(out=out)
    (tree / "out/mine").unlink()
    assert take().facts["images"] == 6  # an empty folder is nothing


@pytest.mark.parametrize("at", ["in/mrclosed/c.png/out", "sealed/out"])
def test_an_output_that_cannot_be_written_is_said_first(
    folder: Path, take: Callable[..., Intake], monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    (folder.parent / "sealed").mkdir()
    sealed = str(folder.parent / "sealed")
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != sealed)
    monkeypatch.setattr(module, "_scan", lambda _: pytest.fail("it is too late"))
    images = folder / "mrshidden"
    with pytest.raises(FingerprintsError, match="cannot be written"):
        take(images=images, out=folder.parent / at)


def test_what_a_killed_ingest_left_is_redone(
    folder: Path, take: Callable[..., Intake], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = folder.parent / "out.partial"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        patch.setattr(module.shutil, "rmtree", lambda *_, **__: None)  # killed: nothing is tidied
        with pytest.raises(KeyboardInterrupt):
            take()
    assert part.is_dir()
    assert not (folder.parent / "out").exists()
    (part / "images/stale.png").touch()
    with (part / ".ingest").open() as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(FingerprintsError, match="Another ingest"):
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
    with pytest.raises(FingerprintsError, match="in the way"):
        take()
    assert (folder.parent / "out.partial/mine").read_text() == "x"


def test_mixed_sizes_are_noted(folder: Path, take: Callable[..., Intake], write_image: Write) -> None:
    assert "sizes were resized" not in take().describe()
    write_image(folder / "wide.png", 9, size=(60, 30))
    taken = take(out=folder.parent / "other")
    assert "images of 2 sizes were resized" in taken.describe()
    assert taken.facts["native_sizes"] == {"48 x 48": 6, "60 x 30": 1}


def test_progress_is_shown(folder: Path) -> None:
    said: list[tuple[str, int, int]] = []
    settings = IntakeSettings(images=folder, out=folder.parent / "out")
    ingest(settings, progress=lambda *words: said.append(words))
    assert {"reading files", "writing images"} == {what for what, _, _ in said}
    assert ("reading files", 6, 6) in said
    assert ("writing images", 6, 6) in said
