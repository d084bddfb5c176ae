"""Files become grey squares; those that cannot are named with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fingerprints.core.errors import FingerprintsError
from fingerprints.ingestion.dicom import WINDOWS, read_dicom
from fingerprints.ingestion.intake import Intake
from fingerprints.ingestion.read import to_square
from tests.ingestion.tables import table

pytest.importorskip("pydicom")
Write = Callable[..., Path]


@pytest.mark.parametrize("shape", [(48, 48), (30, 48), (48, 31), (7, 5)])
def test_a_square_holds_the_picture_in_its_middle(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(1, 256, shape, dtype=np.uint8)
    side = max(shape)
    square = to_square(pixels, size=side)
    assert square.shape == (side, side)
    above, left = (side - shape[0]) // 2, (side - shape[1]) // 2
    assert np.array_equal(square[above : above + shape[0], left : left + shape[1]], pixels)
    assert np.count_nonzero(square) == pixels.size


def test_shrinking_averages_and_does_not_pick() -> None:
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (96, 48))
    assert np.abs(to_square(stripes, size=24).astype(int)[:, 2:-2] - 127).max() <= 2


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
    assert "on_bad_image=skip; if patients are missing: groups=CSV or groups=folders" in str(caught.value)
    assert [path.name for path in folder.parent.iterdir()] == ["in"]

    taken = take(on_bad_image="skip")
    assert taken.facts["images"] == 6
    counts = {"a colour picture": 1, "cannot be read": 5, "no patient id": 1, "not CT": 1}
    assert taken.facts["skipped"] == counts
    assert taken.facts["ignored_files"] == 1
    assert "skipped: 5 (cannot be read)" in taken.describe()
    assert "1 file(s) are not images" in taken.describe()
    written = (folder.parent / "out/ingest.json").read_text()
    assert not [name for name in (*bad, "notes.txt", "nowhere") if name in written]
