"""Words of the command line mean what their user wrote; errors are in our words."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from fingerprints.config.explanations import explain
from fingerprints.config.launch import plain_errors
from fingerprints.config.overrides import check_overrides
from fingerprints.config.schema import build_root, register
from fingerprints.config.words import as_given, check_grammar, folder_of, literal, quoted, unquoted
from fingerprints.core.errors import FingerprintsError
from tests.compose import composed

# Words of the parsers of Hydra, OmegaConf, ANTLR and argparse.
OF_PARSERS = re.compile(
    r"Lexer|mismatched|extraneous|token recognition|no viable|Ambiguous|parsing override|Exception|"
    r"unrecognized arguments|interpolation|missing EQUAL|expecting",
    re.IGNORECASE,
)
PRINTABLE = st.text(st.characters(exclude_categories=("C",)), max_size=12)
NAMES = [
    "run=1",
    "(1)",
    "Müller",
    "it's",
    'a "b"',
    "a,b",
    "two words",
    " a",
    "a[1]",
    "[a]",
    "{x}",
    "$x",
    "${x}",
    "${x",
    "#1",
    "007",
    "1e3",
    "true",
    "glob(*)",
    "a\\",
    "a\\'b",
    "数据",
    "🩻",
    "a:b",
    "-m",
    "~x y",
    "*",
    "100%",
    "a\nb",
]


def read(word: str) -> object:
    """What Hydra and OmegaConf make of the value of one word."""
    return OmegaConf.create({"x": OverridesParser.create().parse_override(word).value()}).x


def said_of(*words: str, root: str = "train") -> str | None:
    """What a command says of words before its work begins; `None` if it accepts them."""
    try:
        given = literal(words, root)
        check_overrides(given, root)
        check_grammar(given, root)
        build_root(composed(*given, root=root), root)
    except Exception as error:
        said = explain(error, root)
        if said is None:
            raise
        return said
    return None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("key", "root"),
    [("data.root", "train"), ("region.weights", "train"), ("logger.project", "train"), ("runs", "compare")],
)
def test_text_and_paths_are_literal(name, key, root):
    if (key, name) == ("runs", "[a]"):
        return  # a list of one glob
    (word,) = literal([f"{key}={name}"], root)
    assert read(word) == name
    check_grammar([word], root)
    assert literal([word], root) == [word]  # also if the command is read again, as when a sweep continues


@given(PRINTABLE)
def test_quotes_keep_every_text(text):
    assert read(f"x={quoted(text)}") == text or "${" in text
    assert unquoted(quoted(text)) == text


def test_a_path_reaches_the_settings(tmp_path, monkeypatch):
    register("train")
    words = literal(
        ["experiment=features_subtask2", "data.root=it's (1), Müller=[a]", "run_dir=${x}"], "train"
    )
    made = build_root(composed(*words), "train")
    assert made.data.root == Path("it's (1), Müller=[a]")
    assert made.run_dir == Path("${x}")


def test_home_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/Jo Müller")
    assert read(*literal(["data.root=~/a"], "train")) == "/home/Jo Müller/a"
    assert read(*literal(["data.root=~"], "train")) == "/home/Jo Müller"
    assert read(*literal(["hydra.sweep.dir=~/a"], "train")) == "/home/Jo Müller/a"
    assert read(*literal(["runs=[~/a,~/b]"], "compare")) == ["/home/Jo Müller/a", "/home/Jo Müller/b"]
    assert read(*literal(["data.root=~nobody_of_this_name/a"], "train")) == "~nobody_of_this_name/a"
    assert read(*literal(["data.root=./~/a"], "train")) == "./~/a"


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["-m", "data.root=a b,it's"], ["a b", "it's"]),
        (["data.root='a,b',c", "--multirun"], ["a,b", "c"]),
        (["-m", "data.root=choice(a,b)"], ["a", "b"]),
        (["hydra.mode=MULTIRUN", "data.root=a,b"], ["a", "b"]),
        (["sweep=[seeds,folds]", "data.root=a,b"], ["a", "b"]),
    ],
)
def test_a_list_after_m_is_a_sweep(words, values):
    word = next(word for word in literal(words, "train") if word.startswith("data.root"))
    swept = OverridesParser.create().parse_override(word)
    assert swept.is_sweep_override()
    assert [f"{value}".strip("'") for value in swept.sweep_string_iterator()] == [
        value.replace("'", "\\'") for value in values
    ]


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("runs=[a b,c]", ["a b", "c"]),
        ("runs=[outputs/[ab]*/*, b]", ["outputs/[ab]*/*", "b"]),
        ('runs=["a,b",c]', ["a,b", "c"]),
        ("runs=[a][b]", "[a][b]"),
        ("runs=[a", "[a"),
        ("runs=[]", []),
    ],
)
def test_lists_of_texts(word, values):
    assert read(*literal([word], "compare")) == values


def test_references_and_other_words_stay():
    words = [
        "data.root=B/${task}",
        "paths.outputs=${oc.env:HOME}/x",
        "hydra.sweep.subdir=${name}/${seed}",
    ]
    assert [word.replace("'", "") for word in literal(words, "train")] == words
    others = [
        "seed=1,2",
        "-m",
        "~callbacks",
        "decision=svm",
        "data.groups=null",
        "data.root='a'",
        "noise",
        "",
    ]
    assert literal(others, "train") == others


@settings(max_examples=6)
@given(
    key=st.sampled_from(["data.root", "run_dir", "seed", "trainer.max_epochs", "training.margin"]),
    value=PRINTABLE,
)
def test_no_message_is_of_a_parser(key, value):
    register("train")
    said = said_of("experiment=siamese_subtask2", f"{key}={value}")
    if said is not None:
        assert not OF_PARSERS.search(said.replace(value, ""))


@settings(max_examples=60)
@given(
    key=st.sampled_from(["seed", "data.size", "widths", "+data.root", "hydra.job.name", "encoder", ""]),
    value=PRINTABLE,
)
def test_no_word_is_refused_in_a_parsers_words(key, value):
    said = ""
    try:
        check_grammar(literal([f"{key}={value}" if key else value], "train"), "train")
    except FingerprintsError as error:
        said = str(error)
    assert not OF_PARSERS.search(said.replace(value, ""))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("seed=0(1", "seed=0(1 is not a whole number."),
        ("seed=${x", "is not a whole number"),
        ("seed=${x}", "refers to another one"),
        ("seed=${a b}", "refers to another one"),
        ("seed=${nope:1}", "refers to another one"),
        ("training.margin=1.0.0 x)", "is not a number"),
        ("decision.open_set={", "is not true or false"),
        ("task=a(", "is not one of usage, subset, model"),
        ("data.size=[", "is not a whole number"),
        ("encoder=vgg16(", "There is no encoder"),
        ("images", "'images' is not of the form KEY=VALUE."),
        ("--resume", "'--resume' is not a flag"),
        ("-1", "'-1' is not of the form KEY=VALUE."),
        ("data.root=", "data.root is empty."),
        ("data.root=\udce9", "not valid UTF-8"),
    ],
)
def test_a_word_that_cannot_be_read_is_named(word, said):
    register("train")
    found = said_of("experiment=siamese_subtask2", word)
    assert found is not None
    assert said in found
    assert "fix:" in found
    assert not OF_PARSERS.search(found)


@pytest.mark.parametrize("word", ["seed=0,1", "seed=range(3)", "encoder=lbp,spectrum", "data.root='a','b'"])
def test_a_list_without_m_says_to_add_it(word):
    with pytest.raises(FingerprintsError, match="several values") as caught:
        check_grammar(literal([word], "train"), "train")
    advised = shlex.split(caught.value.fix.split("run them all: ")[1].rsplit(";", 1)[0])
    assert advised == ["-m", word]
    check_grammar(literal(advised, "train"), "train")


@pytest.mark.parametrize("word", ["hydra.job.name=Müller=1", "+extra=a(b"])
def test_the_spelling_that_is_advised_works(word):
    with pytest.raises(FingerprintsError, match="cannot be read") as caught:
        check_grammar([word], "train")
    (advised,) = shlex.split(caught.value.fix.split("quotes: ")[1])
    check_grammar([advised], "train")
    assert read(advised) == word.split("=", 1)[1]


def test_a_sweep_over_words_that_cannot_be_read(capsys):
    from hydra.core.override_parser.overrides_parser import OverrideParseException

    with pytest.raises(SystemExit), plain_errors("train"):
        raise OverrideParseException(override="seed=0(1", message="mismatched input '('")
    assert capsys.readouterr().err.startswith("error: seed=0(1 is not a whole number.")


def test_records_hold_words_as_they_were_given():
    given = ["data.root=it's (1)", "runs", "seed=1", "paths.outputs=B/${task}", "name=null"]
    assert as_given(literal(given, "train"), "train") == given
    quoted_by_user = ["data.root='null'"]  # without its quotes it would mean something else
    assert as_given(literal(quoted_by_user, "train"), "train") == quoted_by_user


def test_folders_that_hydra_does_not_read(monkeypatch):
    monkeypatch.setenv("HOME", "/h")
    assert folder_of("a b", key="resume") == Path("a b")
    assert folder_of("~/a", key="resume") == Path("/h/a")
    assert folder_of("'~/a'", key="resume") == Path("~/a")
    with pytest.raises(FingerprintsError, match="resume is empty"):
        folder_of("", key="resume")
