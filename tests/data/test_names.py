"""Names in tables and the images they mean: endings, folders, accents, and what could mean several images."""

from __future__ import annotations

import unicodedata

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.names import (
    candidates,
    find,
    has_image_ending,
    plain,
    require_writable,
    same_file,
    spellings,
    with_candidates,
    without_ending,
)

UMLAUT = "schädel_1"
APART = unicodedata.normalize("NFD", UMLAUT)


@pytest.mark.parametrize(
    ("name", "shorter"),
    [
        ("a", "a"),
        ("a.png", "a"),
        ("a.PNG", "a"),
        ("a.png.png", "a.png"),
        ("x.png.jpg", "x.png"),
        ("x/y/a.tiff", "x/y/a"),
        ("1.2.840", "1.2.840"),
        ("1.2.840.png", "1.2.840"),
        ("a.csv", "a.csv"),
        (".png", ".png"),
        ("x/.png", "x/.png"),
        ("NA", "NA"),
    ],
)
def test_one_image_ending_is_cut_once(name: str, shorter: str) -> None:
    assert without_ending(name) == shorter
    assert has_image_ending(name) == (name != shorter)


def test_spellings_go_from_the_whole_name_to_the_shortest() -> None:
    assert spellings(" x\\y\\a.png ") == ("x\\y\\a.png", "x/y/a.png", "x/y/a", "a.png", "a")
    assert spellings("./a.png")[1:] == ("a.png", "a", "a.png", "a")


def test_accents_are_the_same_however_they_are_written() -> None:
    assert APART != UMLAUT
    assert plain(APART) == plain(f" {UMLAUT} ") == UMLAUT
    assert find([APART], [f"{UMLAUT}"]) == [0]


@pytest.mark.parametrize(
    ("names", "known", "expected"),
    [
        (["b", "a"], ["a", "b"], [1, 0]),
        (["b.png", "a"], ["a", "b"], [1, 0]),
        (["test/x/a.png", "x\\b.jpg"], ["a", "b"], [0, 1]),
        (["a"], ["a.png"], [0]),
        # As it stands goes before without its ending ...
        (["a.png", "a"], ["a", "a.png"], [1, 0]),
        # ... and all names are written in one way, if that explains them.
        (["a.png", "a.png.png"], ["a", "a.png"], [0, 1]),
        (["in/a.png", "in/a.png.png"], ["a", "a.png"], [0, 1]),
        (["p1/a", "p2/a"], ["p2/a.png", "p1/a.png"], [1, 0]),
        # What could mean several images means none.
        (["a", "b"], ["p1/a", "p2/a", "b"], [None, 2]),
        (["a"], ["a.png", "a.jpg"], [None]),
        (["a.png"], ["a.png", "a.jpg"], [0]),
        (["c", "NA", "001", "1"], ["1", "001", "NA", "nan"], [None, 2, 1, 0]),
        ([], ["a"], []),
        (["a"], [], [None]),
    ],
)
def test_the_known_name_that_means_the_same(
    names: list[str], known: list[str], expected: list[int | None]
) -> None:
    assert find(names, known) == expected


def test_names_that_no_table_can_hold_are_named() -> None:
    require_writable(["sch\u00e4del.png", "two\nlines", "NA", " "])
    with pytest.raises(FingerprintsError, match="2 file name") as error:
        require_writable(["x/\udce4.png", "a", "b\rc"])
    assert r"x/\udce4.png" in str(error.value)
    assert r"b\rc" in str(error.value)
    str(error.value).encode()


def test_folders_can_be_required() -> None:
    assert find(["a.png", "x/a"], ["x/a.png"], by_file=False) == [None, 0]
    assert find(["a.png"], ["x/a.png"]) == [0]


def test_two_names_may_mean_one_image() -> None:
    assert find(["a", "a.png", "b"], ["a", "b"]) == [0, 0, 1]


def test_an_ambiguous_name_is_shown_with_what_it_could_mean() -> None:
    assert candidates("a", ["p1/a.png", "b", "p2/a.png"]) == ["p1/a.png", "p2/a.png"]
    assert candidates("file", ["p1/a.png", "p2/files.png"]) == []
    assert with_candidates("a", ["p1/a.png", "p2/a.png"]) == "a (could be p1/a.png or p2/a.png)"
    assert with_candidates("b", ["p1/a.png", "p2/b.png"]) == "b"


def test_the_same_file_under_two_spellings() -> None:
    assert same_file("x/a.png", "x\\a")
    assert not same_file("x/a", "y/a")
    assert not same_file("a.png", "a.png.png")
