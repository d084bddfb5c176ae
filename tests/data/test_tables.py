"""How other programs write tables, what is refused, and which first lines are headers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.tables import Row, first_is_header, is_number, read_rows

ROWS = [("id", "label"), ("a", "1"), ("b", "0")]


def read(tmp_path: Path, data: str | bytes) -> list[Row]:
    path = tmp_path / "table.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_rows(path, kind="run file", form="<image id>,<label>")


@pytest.mark.parametrize(
    "data",
    [
        "id,label\na,1\nb,0\n",
        "id,label\na,1\nb,0",
        "id,label\r\na,1\r\nb,0\r\n",
        "id,label\ra,1\rb,0\r",
        "\ufeffid,label\na,1\nb,0\n",
        " id , label\na ,1 \n b,\xa00\n",
        '"id","label"\n"a","1"\n"b", "0"\n',
        "id;label\na;1\nb;0\n",
        "id\tlabel\na\t1\nb\t0\n",
        "id,label\na,1\nb,0\n\n\r\n",
        "id,label\na,1\nb,0\n,\n,,\n",
        "id\tlabel\r\na\t1\r\nb\t0\r\n".encode("utf-16"),
    ],
)
def test_ways_to_write_a_table(tmp_path: Path, data: str | bytes) -> None:
    assert [row.cells for row in read(tmp_path, data)] == ROWS


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    rows = read(tmp_path, 'a,1\n\n"two\nlines",2\nb,3\n')
    assert rows == [(1, ("a", "1")), (2, ()), (3, ("two\nlines", "2")), (5, ("b", "3"))]


def test_no_value_is_read_as_missing(tmp_path: Path) -> None:
    words = ["NA", "nan", "null", "None", "", "001", "1e3", "-", "#N/A", "inf"]
    rows = read(tmp_path, "".join(f"x,{word}\n" for word in words))
    assert [row.cells[1] for row in rows] == words


def test_characters_that_split_lines_elsewhere_are_part_of_a_cell(tmp_path: Path) -> None:
    assert [row.cells for row in read(tmp_path, "a\x0bb,1\nc\u2028d,0\n")] == [
        ("a\x0bb", "1"),
        ("c\u2028d", "0"),
    ]


@pytest.mark.parametrize(
    ("data", "cells"),
    [
        ("a;b,1\nc;d,0\n", [("a;b", "1"), ("c;d", "0")]),
        ("id;score\na;0,5\nb;0,1\n", [("id", "score"), ("a", "0,5"), ("b", "0,1")]),
        ("name;p\nMeier, A;1\nMeier, B;2\n", [("name", "p"), ("Meier, A", "1"), ("Meier, B", "2")]),
        ('"a,b";1\n"c,d";0\n', [("a,b", "1"), ("c,d", "0")]),
        ("a\tb,1\nc\td,0\n", [("a\tb", "1"), ("c\td", "0")]),
        ("a,1\nb\nc,0\n", [("a", "1"), ("b",), ("c", "0")]),
        ("a;1\nb\nc;0\n", [("a", "1"), ("b",), ("c", "0")]),
        ('5" scan,1\nb,0\n', [('5" scan', "1"), ("b", "0")]),
    ],
)
def test_the_delimiter_is_the_one_that_divides_all_lines(
    tmp_path: Path, data: str, cells: list[tuple[str, ...]]
) -> None:
    assert [row.cells for row in read(tmp_path, data)] == cells


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The run file is empty"),
        (b"\n\n,\n", "The run file is empty"),
        (b"a 1\nb 0\n", "only one column"),
        (b"a|1\n", "only one column"),
        ("schädel,1\n".encode("latin-1"), "not a text file in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00", "not a text file in UTF-8"),
        (b"PK\x03\x04\x00\x00", "not a text file in UTF-8"),
        (b'"a,1\nb,0\n', "a quote that is not closed.*line 1"),
        (b'a,1\n"b"x,0\n', "text behind a closing quote.*line 2"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(FingerprintsError, match=message) as error:
        read(tmp_path, data)
    assert str(tmp_path / "table.csv") in str(error.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FingerprintsError, match=r"run file does not exist.*\n.*none.csv\n.*give=FILE"):
        read_rows(tmp_path / "none.csv", kind="run file", form="", give="give=FILE")
    with pytest.raises(FingerprintsError, match="run file cannot be read: Is a directory"):
        read_rows(tmp_path, kind="run file", form="")


def table(*lines: str) -> list[Row]:
    return [Row(number, tuple(line.split(","))) for number, line in enumerate(lines, start=1)]


BINARY: Callable[[str], bool] = {"0", "1"}.__contains__
BODY = ("a1,t1", "a2,t2", "a3,t1")
IMAGES = ["a1", "a2", "a3"]


@pytest.mark.parametrize("header", ["image_path,predicted_class", "id,label", "Bild,Klasse", "NA,NA", "x,y"])
def test_a_first_line_that_is_no_image_is_a_header(header: str) -> None:
    assert first_is_header(table(header, *BODY), names=IMAGES)
    assert first_is_header(table(header, *BODY), names=None)
    assert first_is_header(table(f"{header},score", *(f"{line},0.5" for line in BODY)), names=IMAGES)


@pytest.mark.parametrize("name", ["id", "file", "NA", "image", "file.png"])
def test_an_image_with_the_name_of_a_header_is_an_image(name: str) -> None:
    assert not first_is_header(table(f"{name},t1", *BODY), names=None)
    assert not first_is_header(table(f"{name},other", *BODY), names=["real/" + name, *IMAGES])
    # Only if the image has another row, the first one can name the columns.
    named = first_is_header(table(f"{name},label", *BODY, f"{name},t2"), names=[name, *IMAGES])
    assert named == (not name.endswith(".png"))


@pytest.mark.parametrize(
    "first",
    [
        "stranger,t1",
        "stranger,t9",
        "stranger.png,other",
        "stranger,7",
        ",label",
        "id,",
        "stranger,other,0.5",
        "x",
    ],
)
def test_a_bad_first_line_is_not_taken_for_a_header(first: str) -> None:
    assert not first_is_header(table(first, *BODY), names=IMAGES)


def test_without_images_only_words_are_headers() -> None:
    assert not first_is_header(table("img_7,lung", "img_8,bone", "img_9,bone"), names=None)
    assert first_is_header(table("img_7,lung", "img_8,bone", "img_9,bone"), names=["img_8", "img_9"])
    assert not first_is_header(table("a,t1", "b,t2", "c,t2"), names=None)
    assert not first_is_header(table("a,lung", "b,bone"), names=None, elsewhere={"lung"})
    assert not first_is_header(table("a,lung"), names=None)


def test_numbers_below_a_word_are_below_a_header() -> None:
    assert first_is_header(table("scan_2025,cluster", "a,1", "b,2", "c,2"), names=None)
    assert first_is_header(table("scan_2025,answer,score", "a,t1,0.5", "b,t2,0.1"), names=None)
    assert not first_is_header(table("scan_2025,answer,note", "a,t1,0.5", "b,t2,x"), names=None)
    assert not first_is_header(table("img_1,yes", "img_2,1", "img_3,0"), names=None, is_value=BINARY)


def test_valid_values_are_no_header() -> None:
    assert first_is_header(table("image,answer"), names=None, is_value=BINARY)
    assert first_is_header(table("image,answer", "a,1"), names=None, is_value=BINARY)
    assert not first_is_header(table("a,1", "b,0", "c,0"), names=None, is_value=BINARY)
    assert not first_is_header(table("stranger,1", "b,0"), names=["b"], is_value=BINARY)
    assert not first_is_header(table("a,2", "b,0"), names=None, is_value=BINARY)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", True), ("-2.5e3", True), ("nan", False), ("inf", False), ("", False), ("0,5", False)],
)
def test_numbers_are_finite(text: str, number: bool) -> None:
    assert is_number(text) == number
