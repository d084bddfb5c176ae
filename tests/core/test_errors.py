"""What an error says."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from fingerprints.core.errors import FingerprintsError, command, listing, nearest


def test_error_says_what_where_and_how_to_fix_it() -> None:
    error = FingerprintsError("It broke.", where=Path("/x/y"), fix="mend it")
    assert str(error) == "It broke.\n  where: /x/y\n  fix:   mend it"
    assert (error.what, error.where, error.fix) == ("It broke.", "/x/y", "mend it")


def test_place_and_remedy_may_be_unknown() -> None:
    assert str(FingerprintsError("It broke.")) == "It broke."
    assert FingerprintsError("It broke.").where is None


@pytest.mark.parametrize(
    ("word", "expected"), [("usge", ["usage"]), ("subset", ["subset"]), ("xyz", []), ("", [])]
)
def test_nearest_word(word: str, expected: list[str]) -> None:
    assert nearest(word, ["usage", "subset", "model"]) == expected


def test_nearest_words_come_best_first() -> None:
    assert nearest("mode", ["modes", "model_x", "else"], count=2) == ["modes", "model_x"]


def test_listing_is_cut_with_the_number_left_out() -> None:
    assert listing([1, "b"]) == "    1\n    b"
    assert listing(list(range(20))).count("\n") == 19
    assert listing(list(range(50)), 3).splitlines() == ["    0", "    1", "    2", "    ... and 47 more"]


def test_a_command_is_quoted_for_a_shell() -> None:
    assert command("train", "resume=/a/b") == "python -m fingerprints.train resume=/a/b"
    words = ["data.root=it's", "run_dir=a b", "x=[1,2]", "y=$z", "z=Müller"]
    assert shlex.split(command("train", *words)) == ["python", "-m", "fingerprints.train", *words]
