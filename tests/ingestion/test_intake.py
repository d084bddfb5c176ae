"""A folder becomes squares, groups and facts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.groups import read_groups
from fingerprints.ingestion.copies import identical
from fingerprints.ingestion.intake import Intake, ingest
from fingerprints.ingestion.settings import IntakeSettings
from tests.ingestion.tables import members, table

pytest.importorskip("pydicom")
Write = Callable[..., Path]


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
    assert None not in read_groups(out / "groups.csv", names).groups


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
    with pytest.raises(FingerprintsError, match="not a folder"):
        take(images=tmp_path / "in/a.txt")
    with pytest.raises(FingerprintsError, match="group table does not exist"):
        take(groups="nowhere.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_mixed_sizes_are_noted(folder: Path, take: Callable[..., Intake], write_image: Write) -> None:
    assert "sizes were resized" not in take().describe()
    write_image(folder / "wide.png", 9, size=(60, 30))
    taken = take(out=folder.parent / "other")
    assert "images of 2 sizes were resized" in taken.describe()
    assert taken.facts["native_sizes"] == {"48 x 48": 6, "60 x 30": 1}


@pytest.mark.parametrize(
    ("origin", "images", "groups", "few"),
    [
        ("patient id", 1000, 100, None),
        ("patient id", 399, 100, "399 images will be weak"),
        ("folder", 1000, 39, "39 patients will be weak"),
        ("group table", 39, 20, "39 images of 20 patients will be weak"),
        ("near-duplicate cluster", 1000, 3, None),
    ],
)
def test_what_comes_next_fits_what_was_found(origin: str, images: int, groups: int, few: str | None) -> None:
    facts = {"images": images, "groups": groups, "groups_from": {origin: images}, "size": 64, "skipped": {}}
    facts |= {"near_duplicates": {"correlation": 0.95, "pairs": 0}, "identical": identical([])}
    said = Intake(Path("out"), facts, (), ()).describe()
    audit, simulate, predict = said.splitlines()[-3:]
    assert audit.startswith("next, if a generator was trained on some of them: python -m fingerprints.audit ")
    known = "cluster" not in origin
    assert ("groups=out/groups.csv" in audit, "groups=out/groups.csv" in predict) == (known, known)
    assert "images=out/images groups=out/groups.csv out=DIR" in simulate
    assert "will be weak" not in said if few is None else few in said


def test_progress_is_shown(folder: Path) -> None:
    said: list[tuple[str, int, int]] = []
    settings = IntakeSettings(images=folder, out=folder.parent / "out")
    ingest(settings, progress=lambda *words: said.append(words))
    assert {"reading files", "writing images"} == {what for what, _, _ in said}
    assert ("reading files", 6, 6) in said
    assert ("writing images", 6, 6) in said


def test_what_is_left_out_is_said_in_the_words_of_every_command(folder, take, write_image):
    import numpy as np

    write_image(folder / "a.webp", 7, format="PNG")
    (folder / "ward").symlink_to("/not/mounted")
    write_image(folder / "@eaDir/x.png", 8)
    (folder / "Thumbs.db").touch()
    write_image(folder / "deep.png", np.full((48, 48), 4000, np.uint16), mode="I;16")
    taken = take()
    assert taken.facts["images"] == 7
    assert taken.facts["ignored_files"] == 2
    said = taken.describe()
    for note in (
        "1 file(s) are not images and were left out: .webp (1)",
        "1 link(s) lead nowhere and were left out: ./ (1)",
        "1 of 7 images have 16 bits but no value above 4,095",
    ):
        assert f"note: {note}" in said
