"""Run files and truth files: what is read, what is refused, what is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import get_task
from fingerprints.data.runfiles import image_id, match_labels, read_labels, write_run_file

USAGE, SUBSET = get_task("usage"), get_task("subset")
EXPECTED = {"a": "used", "b": "not_used"}


def read(tmp_path: Path, text: str, task: str = "usage") -> dict[str, str]:
    path = tmp_path / "run.csv"
    path.write_bytes(text.encode())
    return read_labels(path, get_task(task), kind="run file")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a", "a"),
        ("a.png", "a"),
        ("a.PNG", "a"),
        ("x/y/a.tiff", "a"),
        ("x\\a.jpg", "a"),
        (" a ", "a"),
        ("1.2.840", "1.2.840"),
        ("1.2.840.png", "1.2.840"),
        ("a.csv", "a.csv"),
    ],
)
def test_id_is_the_file_name_without_an_image_extension(text: str, name: str) -> None:
    assert image_id(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "a,1\nb,0\n",
        "a,1\nb,0",
        "a.png,1\nb.PNG,0\n",
        "test/real_unknown/a.png,1\nb,0\n",
        "a,used\nb,not_used\n",
        "a, 1\r\nb ,0\r\n",
        "\ufeffa,1\nb,0\n",
        "id,label\na,1\nb,0\n",
        "Image_ID,Prediction\na,1\nb,0\n",
        "\ufefffilename,label,score\na,1,0.9\nb,0,0.1\n",
        '"a","1"\n"b","0"\n',
    ],
)
def test_ways_to_write_a_run_file(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == EXPECTED


def test_file_order_is_kept_and_other_tasks_keep_their_labels(tmp_path: Path) -> None:
    labels = read(tmp_path, "z,t2\na,t1\nm,t2\n", "subset")
    assert list(labels.items()) == [("z", "t2"), ("a", "t1"), ("m", "t2")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,1\nb\n", "line 2: 1 fields, not 2"),
        ("a,1\nb,0,0.3\n", "line 2: 3 fields, not 2"),
        ("id,label,score\na,1\n", "line 2: 2 fields, not 3"),
        ("a,1\n\nb,0\n", "line 2: empty"),
        ("a,1\nb,0\na.png,0\n", "line 3: id 'a' is repeated"),
        ("a,1\nb,2\n", "line 2: label '2' is not one of 0, 1"),
        ("a,1\nb,yes\n", "line 2: label 'yes' is not one of 0, 1"),
        ("a,1\n,0\n", "line 2: empty field"),
        ("a,1\nb,\n", "line 2: empty field"),
        ("id\na\n", "one column"),
        ("", "is empty"),
        ("id,label\n", "is empty"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FingerprintsError) as error:
        read(tmp_path, text)
    assert message in str(error.value)
    assert str(tmp_path / "run.csv") in str(error.value)


def test_all_bad_lines_are_counted(tmp_path: Path) -> None:
    with pytest.raises(FingerprintsError, match=r"3 bad line\(s\)"):
        read(tmp_path, "a,1\nb\nc,7\na,1\nd,0\n")


def test_missing_file_and_no_text_are_errors(tmp_path: Path) -> None:
    with pytest.raises(FingerprintsError, match="truth file cannot be read"):
        read_labels(tmp_path / "none.csv", USAGE, kind="truth file")
    (tmp_path / "image.png").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(FingerprintsError, match="not a text file"):
        read_labels(tmp_path / "image.png", USAGE, kind="truth file")


def test_labels_follow_the_order_of_ids() -> None:
    assert match_labels(EXPECTED, ["b", "a"], path=Path("x"), kind="run file") == ["not_used", "used"]


def test_missing_and_unknown_ids_are_named() -> None:
    with pytest.raises(FingerprintsError, match="does not fit") as error:
        match_labels(EXPECTED, ["b", "c", "d"], path=Path("x.csv"), kind="run file")
    text = str(error.value)
    assert "2 image(s) have no line:\n    c\n    d" in text
    assert "1 id(s) match no image:\n    a" in text
    assert "x.csv" in text


def test_written_file_is_what_the_challenge_takes(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.csv"
    write_run_file(path, ["a", "b"], ["used", "not_used"], USAGE)
    assert path.read_bytes() == b"a,1\nb,0\n"
    assert read_labels(path, USAGE, kind="run file") == EXPECTED
    write_run_file(path, ["x"], ["t1"], SUBSET)
    assert path.read_bytes() == b"x,t1\n"
    assert [p.name for p in path.parent.iterdir()] == ["run.csv"]


def test_repeated_ids_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(FingerprintsError, match="repeated"):
        write_run_file(tmp_path / "run.csv", ["a", "b", "a"], ["used"] * 3, USAGE)
    assert list(tmp_path.iterdir()) == []


def test_ids_and_labels_of_other_lengths_leave_the_old_file(tmp_path: Path) -> None:
    write_run_file(tmp_path / "run.csv", ["a"], ["used"], USAGE)
    with pytest.raises(ValueError, match="zip"):
        write_run_file(tmp_path / "run.csv", ["a", "b"], ["not_used"], USAGE)
    assert (tmp_path / "run.csv").read_bytes() == b"a,1\n"


def test_unwritable_run_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FingerprintsError, match="cannot be written") as error:
        write_run_file(tmp_path / "file" / "run.csv", ["a"], ["used"], USAGE)
    assert str(tmp_path / "file" / "run.csv") in str(error.value)
