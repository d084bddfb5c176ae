"""Nothing of names and headers gets out."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fingerprints.core.errors import FingerprintsError
from fingerprints.ingestion.anonymise import pseudonym
from fingerprints.ingestion.intake import Intake
from tests.ingestion.tables import members, table

pytest.importorskip("pydicom")
Write = Callable[..., Path]


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
    assert {pseudonym("ID-SECRET-17", salt=salt), pseudonym("OTHER-18", salt=salt)} < groups[2]


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


def test_without_groups_clusters_stand_in_and_it_is_said(
    tmp_path: Path, write_image: Write, take: Callable[..., Intake]
) -> None:
    pixels = np.asarray(Image.open(write_image(tmp_path / "in/a.png", 1)))
    write_image(tmp_path / "in/b.png", 255 - pixels)
    write_image(tmp_path / "in/c.png", np.clip(pixels + 1.0, 0, 255).astype(np.uint8))
    taken = take()
    assert taken.facts["groups_from"] == {"near-duplicate cluster": 3}
    assert members(tmp_path / "out") == [1, 2]
    assert "clusters replace patients" in taken.describe()
    assert "none, because near-duplicates form the groups" in taken.describe()
