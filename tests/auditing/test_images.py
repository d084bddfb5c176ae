from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fingerprints.auditing.images import GENERATED, REAL, REFERENCE, named, read_folder, split_unused
from fingerprints.core.errors import FingerprintsError
from fingerprints.ingestion.anonymise import pseudonym
from tests.auditing.folders import SIDE, audit_settings

SALT = b"a salt of sixteen bytes"


def read(root: Path, role: str = REAL, *, groups: str | None = "folders"):
    settings = audit_settings(root)
    return read_folder(settings, role, root / role, groups=groups, progress=None)


def test_pictures_have_the_patients_of_their_folders(folders: Path) -> None:
    found = named(read(folders), salt=None)
    assert found.pixels.shape == (24, SIDE, SIDE)
    assert found.ids[:2] == ("p00/0.png", "p00/1.png")
    assert found.groups[:5].tolist() == ["p00"] * 4 + ["p01"]


def test_hashes_hide_patients_and_files_and_the_salt_finds_them(folders: Path) -> None:
    found = named(read(folders), salt=SALT)
    assert found.groups[0] == pseudonym("p00", salt=SALT)
    assert found.ids[1] == f"{found.groups[0]}_0002"
    assert len(set(found.ids)) == len(found)


def test_generated_images_need_no_patient_and_keep_their_files(folders: Path) -> None:
    for salt in (None, SALT):
        found = named(read(folders, GENERATED, groups=None), salt=salt)
        assert found.ids[0] == "g00.png"
        assert found.groups.tolist() == list(found.ids)


def test_without_patients_near_duplicates_are_groups_named_by_an_image(tmp_path, write_image) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_image(tmp_path / f"real/{name}.png", seed)
    found = named(read(tmp_path, groups=None), salt=None)
    assert found.clustered
    assert found.groups.tolist() == ["cluster of a.png", "cluster of a.png", "cluster of c.png"]


def test_dicom_files_have_the_patients_of_their_headers(tmp_path, write_dicom) -> None:
    for number, patient in enumerate(["Ä", "Ä", "B"]):
        write_dicom(
            tmp_path / f"real/{number}.dcm", number, PatientID=patient, SpecificCharacterSet="ISO_IR 192"
        )
    found = named(read(tmp_path, groups=None), salt=None)
    assert (found.groups.tolist(), found.dicom) == (["Ä", "Ä", "B"], 3)


def test_the_digest_is_of_the_pixels_whatever_their_order(folders: Path) -> None:
    found = read(folders)
    assert found.taken([2, 1, 0]).digest == found.taken([0, 1, 2]).digest != found.taken([0, 1, 3]).digest


def test_an_empty_folder_names_its_key(tmp_path: Path) -> None:
    (tmp_path / "generated").mkdir()
    with pytest.raises(FingerprintsError, match="no image") as caught:
        read(tmp_path, GENERATED)
    assert "generated=DIR" in str(caught.value)


def test_listed_patients_become_the_reference(folders: Path, tmp_path: Path) -> None:
    (tmp_path / "unused.txt").write_text("\ufeffp03\n\n p05 \r\n", encoding="utf-8")
    real, reference = split_unused(read(folders), tmp_path / "unused.txt")
    assert sorted(set(reference.groups.tolist())) == ["p03", "p05"]
    assert (len(real), len(reference), reference.role) == (16, 8, REFERENCE)
    assert not set(real.groups.tolist()) & {"p03", "p05"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p03\nnobody\n", "nobody"),
        ("\n", "empty"),
        ("".join(f"p{number:02d}\n" for number in range(6)), "Every patient"),
        (None, "cannot be read"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused(folders: Path, tmp_path: Path, text, said) -> None:
    if text is not None:
        (tmp_path / "unused.txt").write_text(text)
    with pytest.raises(FingerprintsError, match=said):
        split_unused(read(folders), tmp_path / "unused.txt")


def test_clusters_cannot_be_listed(folders: Path, tmp_path: Path) -> None:
    found = read(folders, groups=None)
    (tmp_path / "unused.txt").write_text(found.pictures[0].group.replace("\0", ""))
    with pytest.raises(FingerprintsError, match="no image"):
        split_unused(replace(found, groups=np.array(found.groups)), tmp_path / "unused.txt")
