"""The table counts before the patient id, the id before the folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.decode import Unusable
from fingerprints.ingestion.groups import group_of, is_placeholder
from fingerprints.ingestion.intake import Intake
from fingerprints.ingestion.scan import SourceFile
from tests.ingestion.tables import members

pytest.importorskip("pydicom")
Write = Callable[..., Path]


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
    assert "1 row(s) of groups.csv match no image" in taken.describe()
    write_dicom(folder / "secretward/IM9", 9, PatientID="")
    facts = take(groups="folders", out=tree / "other").facts
    assert facts["groups_from"] == {"folder": 4, "patient id": 3}
    assert members(tree / "other") == [1, 1, 1, 2, 2]


def test_an_empty_group_gives_way_to_the_patient_id_or_means_alone(
    folder: Path, take: Callable[..., Intake], write_rows: Callable
) -> None:
    rows = [("secretward/IM1", " "), ("IM3.ima", ""), ("a", ""), ("b", ""), ("c", " q")]
    write_rows(folder.parent / "groups.csv", rows)
    taken = take(groups=str(folder.parent / "groups.csv"))
    assert taken.facts["groups_from"] == {
        "group table": 1,
        "image without a known group": 2,
        "patient id": 3,
    }
    assert members(folder.parent / "out") == [1, 1, 1, 1, 2]
    assert "3 image(s) have an empty group in groups.csv: the DICOM patient id counts" in taken.describe()


def test_a_file_name_in_the_table_stands_for_one_file_only(
    tmp_path: Path, write_dicom: Write, write_rows: Callable, take: Callable[..., Intake]
) -> None:
    write_dicom(tmp_path / "in/a/00.dcm", 1, PatientID="A")
    write_dicom(tmp_path / "in/b/00.dcm", 2, PatientID="B")
    write_rows(tmp_path / "groups.csv", [("file", "group"), ("a/00.dcm", "p")])
    facts = take(groups=str(tmp_path / "groups.csv")).facts
    assert facts["groups_from"] == {"group table": 1, "patient id": 1}
    assert facts["groups"] == 2


def test_pictures_without_a_group_are_named(
    folder: Path, take: Callable[..., Intake], write_rows: Callable, write_image: Write
) -> None:
    write_image(folder / "top.png")
    with pytest.raises(
        FingerprintsError, match=r"1 file\(s\).*\n    top.png: no group: it is not in a subfolder"
    ):
        take(groups="folders")
    write_rows(folder.parent / "groups.csv", [("file", "group"), ("top", "p")])
    with pytest.raises(
        FingerprintsError, match=r"3 file\(s\)[^?]*mrshidden/b.jpg: no group: it is not in the group table"
    ):
        take(groups=str(folder.parent / "groups.csv"))


@pytest.mark.parametrize(
    ("name", "patient", "groups", "expected"),
    [
        ("a/1.png", "", "table.csv", ("group table", "p")),
        ("b/1.dcm", "ID", "folders", ("patient id", "ID")),
        ("a/2.dcm", "ID", "table.csv", ("patient id", "ID")),
        ("a/2.dcm", "", "table.csv", ("image without a known group", "\0a/2.dcm")),
        ("b/1.png", "", "folders", ("folder", "b")),
        ("b/1.png", "", None, ("near-duplicate cluster", "")),
        ("1.png", "", "folders", "no group"),
        ("b/1.png", "", "table.csv", "no group"),
        ("1.dcm", "", None, "no patient id"),
    ],
)
def test_the_surest_source_of_a_group_counts(
    name: str, patient: str, groups: str | None, expected: tuple[str, str] | str
) -> None:
    file = SourceFile(path=f"/{name}", name=name, dicom=name.endswith("dcm"))
    given = {"a/1.png": "p", "a/2.dcm": ""}
    if isinstance(expected, tuple):
        assert group_of(file, patient=patient, given=given, groups=groups) == expected
    else:
        with pytest.raises(Unusable, match=expected):
            group_of(file, patient=patient, given=given, groups=groups)


def test_folders_of_patients_must_exist(
    tmp_path: Path, take: Callable[..., Intake], write_image: Write
) -> None:
    write_image(tmp_path / "in/a.png", 1)
    write_image(tmp_path / "in/b.png", 2)
    with pytest.raises(FingerprintsError, match="Every image lies directly in the folder") as caught:
        take(groups="folders")
    assert caught.value.where == "groups=folders"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "patient",
    ["ANONYMIZED", "anonymised", "Anonymous", "ANON", "Anon^Patient", "000000", "N/A", "None", "X", "-"],
)
def test_an_id_that_every_patient_has_is_no_group(
    patient: str, tmp_path: Path, take: Callable[..., Intake], write_dicom: Write
) -> None:
    for number, name in enumerate(("p1/1.dcm", "p1/2.dcm", "p2/1.dcm")):
        write_dicom(tmp_path / "in" / name, number, PatientID=patient)
    with pytest.raises(FingerprintsError, match=r"no patient id: .* is a placeholder") as caught:
        take()
    assert "groups=CSV or groups=folders" in caught.value.fix
    facts = take(groups="folders").facts
    assert facts["groups_from"] == {"folder": 3}
    assert facts["groups"] == 2


@pytest.mark.parametrize("patient", ["ANON-17", "0012", "LIDC-IDRI-0001", "Test7", "MAX", "患者"])
def test_an_id_of_a_patient_is_no_placeholder(patient: str) -> None:
    assert not is_placeholder(patient)


def test_one_patient_for_all_is_noted(
    tmp_path: Path, take: Callable[..., Intake], write_dicom: Write
) -> None:
    write_dicom(tmp_path / "in/p1/1.dcm", 1)
    write_dicom(tmp_path / "in/p2/1.dcm", 2)
    said = take(groups="folders").describe()
    assert "all images are of one group" in said
    assert "groups=folders has had no effect" in said
    write_dicom(tmp_path / "in/p3/1.dcm", 3, PatientID="OTHER-1")
    assert "all images are of one group" not in take(out=tmp_path / "other").describe()
