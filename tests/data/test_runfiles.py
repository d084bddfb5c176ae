"""Run files and truth files: what is read, what is refused, what is written."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import get_task
from fingerprints.data.runfiles import LabelTable, read_labels, spelled, write_run_file
from fingerprints.data.settings import IdForm, RunFileSettings

USAGE, SUBSET = get_task("usage"), get_task("subset")
EXPECTED = {"a": "used", "b": "not_used"}


def read(tmp_path: Path, text: str, task: str = "usage", images: list[str] | None = None) -> LabelTable:
    path = tmp_path / "run.csv"
    path.write_bytes(text.encode())
    return read_labels(path, get_task(task), kind="run file", images=images)


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
    for images in (None, ["a", "b"]):
        assert read(tmp_path, text, images=images).labels_of(["a", "b"]) == ["used", "not_used"]


def test_file_order_is_kept_and_other_tasks_keep_their_labels(tmp_path: Path) -> None:
    table = read(tmp_path, "z,t2\na,t1\nm,t2\n", "subset")
    assert (table.ids, table.labels) == (("z", "a", "m"), ("t2", "t1", "t2"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,1\nb\n", "line 2: 1 fields, not 2"),
        ("a,1\nb,0,0.3\n", "line 2: 3 fields, not 2"),
        ("id,label,score\na,1\n", "line 2: 2 fields, not 3"),
        ("a,1\n\nb,0\n", "line 2: empty"),
        ("a,1\nb,0\na ,0\n", "line 3: id 'a' is repeated"),
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
    with pytest.raises(FingerprintsError, match="truth file does not exist"):
        read_labels(tmp_path / "none.csv", USAGE, kind="truth file")
    (tmp_path / "image.png").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(FingerprintsError, match="not a text file"):
        read_labels(tmp_path / "image.png", USAGE, kind="truth file")


def test_labels_follow_the_order_of_ids(tmp_path: Path) -> None:
    assert read(tmp_path, "a,1\nb,0\n").labels_of(["b", "a"]) == ["not_used", "used"]


def test_what_does_not_fit_the_images_is_named(tmp_path: Path) -> None:
    with pytest.raises(FingerprintsError, match="does not fit") as error:
        read(tmp_path, "a,1\nb,0\nb.png,1\n").labels_of(["b", "c", "d"])
    text = str(error.value)
    assert "lines 2 and 3: 'b' and 'b.png' are the image 'b'" in text
    assert "2 image(s) have no line:\n    c\n    d" in text
    assert "1 id(s) match no image:\n    a" in text
    assert "line 1 was read as an image, not as a header" in text
    assert str(tmp_path / "run.csv") in text


def test_a_header_is_named_where_it_matters(tmp_path: Path) -> None:
    table = read(tmp_path, "scan,answer\nb,0\n")
    assert table.header == ("scan", "answer")
    with pytest.raises(FingerprintsError, match=r"line 1 of run.csv \(scan,answer\) was read as a header"):
        table.labels_of(["a", "b"])


def test_further_columns_are_numbers(tmp_path: Path) -> None:
    table = read(tmp_path, "id,label,note,score\na,1,NA,0.9\nb,0,,-1e-3\n")
    np.testing.assert_allclose(table.numbers(["score"]), [[0.9], [-0.001]])
    assert table.numbers(["score", "other"]) is None
    assert read(tmp_path, "a,1\nb,0\n").numbers(["score"]) is None


@pytest.mark.parametrize("cell", ["", "nan", "inf", "0,5", "x"])
def test_a_score_that_is_no_finite_number_is_named(tmp_path: Path, cell: str) -> None:
    table = read(tmp_path, f'id,label,score\na,1,0.9\nb,0,"{cell}"\n')
    with pytest.raises(FingerprintsError, match=f"not a number:\n    line 3: '{cell}'"):
        table.numbers(["score"])


def test_two_score_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FingerprintsError, match="two columns 'score'"):
        read(tmp_path, "id,label,score,score\na,1,0.9,0.1\n").numbers(["score"])


def test_scores_without_a_header_say_how_to_name_them(tmp_path: Path) -> None:
    with pytest.raises(FingerprintsError, match=r"line 1: 3 fields, not 2[^?]*first line: id,label,score"):
        read(tmp_path, "a,1,0.9\nb,0,0.1\n")


def test_row_numbers_are_named(tmp_path: Path) -> None:
    with pytest.raises(FingerprintsError, match="leave out row numbers"):
        read(tmp_path, ",id,label\n0,a,1\n1,b,0\n")


AWKWARD = [
    *("x.png", "x", "x.png.jpg", "NA", "nan", "001", "1", "id", "file", "a,b", 'a"b', "a b", "a;b", "a\tb"),
    *("\u00fcber", unicodedata.normalize("NFD", "\u00f6ber"), "two\nlines", "'", "#1", "-", "1e3", "label"),
]


@pytest.mark.parametrize("order", [1, -1])
def test_own_run_files_read_back(tmp_path: Path, order: int) -> None:
    ids = AWKWARD[::order]
    labels = [f"t{number % 3}" for number in range(len(ids))]
    write_run_file(tmp_path / "run.csv", ids, labels, SUBSET)
    own = read_labels(tmp_path / "run.csv", SUBSET, kind="run file", header=False)
    assert own.labels_of(ids) == labels
    given = read_labels(tmp_path / "run.csv", SUBSET, kind="run file", images=ids)
    assert given.labels_of(ids[::-1]) == labels[::-1]


def test_written_file_is_what_the_challenge_takes(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.csv"
    write_run_file(path, ["a", "b"], ["used", "not_used"], USAGE)
    assert path.read_bytes() == b"a,1\nb,0\n"
    table = read_labels(path, USAGE, kind="run file")
    assert dict(zip(table.ids, table.labels, strict=True)) == EXPECTED
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


@pytest.mark.parametrize("header", ["none", "id,label", "image_path, predicted_class", "figure_id,score"])
@pytest.mark.parametrize(("form", "first"), [("id", "a"), ("file", "a.png"), ("path", "test/x/a.png")])
def test_every_form_that_is_written_is_read(tmp_path: Path, header: str, form: IdForm, first: str) -> None:
    paths, ids = ["test/x/a.png", "test/y/b.TIF"], ["a", "b"]
    settings = RunFileSettings(header=header, ids=form)
    path = tmp_path / "run.csv"
    names = spelled(ids, paths, form=settings.ids)
    write_run_file(path, names, ["used", "not_used"], USAGE, header=settings.columns)
    lines = path.read_text().splitlines()
    assert lines[-2] == f"{first},1"
    assert lines[:-2] == ([] if header == "none" else [header.replace(" ", "")])
    for images in (ids, paths, None):
        table = read_labels(path, USAGE, kind="run file", images=images)
        assert table.labels_of(["b", "a"]) == ["not_used", "used"]


@pytest.mark.parametrize("header", ["", "id", "id,label,score", ",label", "id, "])
def test_a_header_names_two_columns(header: str) -> None:
    with pytest.raises(FingerprintsError, match="two columns"):
        RunFileSettings(header=header)
