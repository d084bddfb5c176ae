"""Words of the command line as their user meant them: text and paths are literal, whatever is in them.

Hydra's grammar gives a meaning to blanks, commas, brackets, quotes and most characters outside of ASCII. The
value of an option that holds text or a path is therefore quoted before Hydra reads it. Nothing is imported
from Hydra before a word is really parsed.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fingerprints.config.schema import COMBINED, ROOT_GROUPS, kinds_of, unknown_option, valid_keys, written
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import holds_list, holds_text, wanted

MULTIRUN = ("-m", "--multirun", "hydra.mode=MULTIRUN")
HYDRA_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")

_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_FUNCTION = re.compile(r"(choice|glob|interval|range|shuffle|sort|tag)\(.*\)", re.DOTALL)
_REFERENCE = re.compile(r"\\*\$\{(oc\.|now:|hydra|[\w.]+\}|)")
_CLOSES = {"[": "]", "(": ")", "{": "}"}


def quoted(text: str) -> str:
    """Text in the quotes of Hydra's grammar: backslashes count only before a quote and at the end."""
    return "'" + re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + (r"\'" if m[2] else ""), text) + "'"


def unquoted(value: str) -> str:
    """The text that `quoted` was given; any other value as it is."""
    if not _QUOTED.fullmatch(value):
        return value
    mark = value[0]
    return re.sub(rf"(\\+)({mark}|$)", lambda m: m[1][: len(m[1]) // 2] + m[2], value[1:-1])


def literal(words: Sequence[str], root: str) -> list[str]:
    """The words, with text and paths quoted for Hydra, and `~` at their start expanded.

    Not quoted are values in quotes, `null`, the list of a sweep (`-m` and commas outside of quotes, or a
    function such as `choice(a,b)`), and references to other keys (`${task}`). If an option holds several
    texts, `[a,b]` is a list of them.
    """
    multirun = _has_jobs(words)
    kinds, keys = kinds_of(root), set(valid_keys(root))
    found = []
    for word in words:
        name, equals, value = word.partition("=")
        key = name.lstrip("+")
        kind = kinds.get(key)
        if word.startswith(("-", "~")) or not equals or not (key in HYDRA_FOLDERS or holds_text(kind)):
            found.append(word)
            continue

        def one(text: str, key: str = key) -> str:
            return _one(text, known=None if key in HYDRA_FOLDERS else keys)

        every = _each(one) if holds_list(kind) else one
        found.append(f"{name}={_swept(value, every) if multirun else _alone(value, every)}")
    return found


def _has_jobs(words: Sequence[str]) -> bool:
    """Whether the words start several jobs: by `-m`, or by an option such as `sweep=seeds`."""
    if set(MULTIRUN) & set(words):
        return True
    for word in words:
        group, _, value = word.lstrip("+").partition("=")
        for name in value.strip("[]").split(",") if group in COMBINED else ():
            hydra = written(group, name.strip(" '\"")).get("hydra") or {}
            if hydra.get("mode") == "MULTIRUN":
                return True
    return False


def as_given(words: Sequence[str], root: str) -> list[str]:
    """For records and readers: the words without the quotes that `literal` would add again."""
    found = []
    for word in words:
        name, equals, value = word.partition("=")
        bare = f"{name}{equals}{unquoted(value)}"
        found.append(bare if literal([bare], root) == [word] else word)
    return found


def _alone(value: str, every: Callable[[str], str]) -> str:
    parts = _split(value)
    if len(parts) > 1 and all(_QUOTED.fullmatch(part.strip()) for part in parts):
        return value  # several texts in quotes: a sweep without `-m`, which is reported later
    return every(value)


def _swept(value: str, every: Callable[[str], str]) -> str:
    if _FUNCTION.fullmatch(value):
        return value
    return ",".join(every(part) for part in _split(value))


def _each(one: Callable[[str], str]) -> Callable[[str], str]:
    """For options that hold several texts: quote each element of a list."""

    def every(value: str) -> str:
        text = value.strip()
        if not _is_list(text):
            return one(value)
        inner = text[1:-1].strip()
        return f"[{','.join(one(part.strip()) for part in _split(inner))}]" if inner else "[]"

    return every


def _is_list(text: str) -> bool:
    """Whether the bracket that opens the text closes at its end."""
    if not (text.startswith("[") and text.endswith("]")):
        return False
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if depth == 0:
            return at == len(text) - 1
    return False


def _one(text: str, *, known: set[str] | None) -> str:
    if text == "null" or _QUOTED.fullmatch(text.strip()):
        return text
    return quoted(_escaped(with_home(text), known))


def with_home(text: str) -> str:
    """A path with `~` or `~name` at its start expanded, if there is such a user."""
    return os.path.expanduser(text) if text.startswith("~") else text  # noqa: PTH111 - keeps `//` and `./`


def _escaped(text: str, known: set[str] | None) -> str:
    """Text in which `${...}` is a reference only if it names a key (any, if `known` is `None`)."""

    def escape(match: re.Match[str]) -> str:
        inner = match[1]
        if known is None or inner in ("oc.", "now:", "hydra") or inner.removesuffix("}") in known:
            return match[0]
        start = match[0].index("$")
        return "\\" * (2 * start + 1) + match[0][start:]

    return _REFERENCE.sub(escape, text)


def folder_of(value: str, *, key: str) -> Path:
    """The folder in a word that Hydra does not read, such as `resume=DIR`; quotes and `~` as in other words.

    Raises:
        FingerprintsError: If it is empty.
    """
    if not unquoted(value):
        raise FingerprintsError(f"{key} is empty.", where=key, fix=f"give a folder: {key}=DIR")
    return Path(with_home(value) if unquoted(value) == value else unquoted(value))


def _split(value: str) -> list[str]:
    """The parts between commas outside of brackets and quotes; quotes open at the start of a part."""
    parts, start, at, open_ = [], 0, 0, []
    while at < len(value):
        character = value[at]
        opening = _QUOTED.match(value, at) if not value[start:at].strip(" \t[") else None
        if opening is not None:
            at = opening.end()
            continue
        if character in _CLOSES:
            open_.append(_CLOSES[character])
        elif open_ and character == open_[-1]:
            open_.pop()
        elif character == "," and not open_:
            parts.append(value[start:at])
            start = at + 1
        at += 1
    return value.split(",") if open_ else [*parts, value[start:]]  # unclosed brackets are ordinary characters


def check_grammar(words: Sequence[str], root: str) -> None:
    """Refuse words that Hydra cannot read, before it reports them in the words of its parser.

    Raises:
        FingerprintsError: If a word is not UTF-8, is an unknown flag, is not `KEY=VALUE`, holds a value that
            cannot be read, or lists several values without `-m`; the error shows how to write it.
    """
    from hydra._internal.utils import get_args_parser
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    for word in words:
        if word != word.encode(errors="replace").decode():
            raise FingerprintsError(
                "A word is not valid UTF-8; such a name cannot be recorded in the files of a run.",
                where=ascii(word),
                fix="rename the file or folder, or give a link to it with another name",
            )
    parser, flags = OverridesParser.create(), get_args_parser()

    def refuse(message: str) -> None:
        flag = next((word for word in words if word.startswith("-")), " ".join(words))
        raise FingerprintsError(
            f"'{flag}' is not a flag of this command, or lacks its value.",
            where="command line",
            fix="give settings as KEY=VALUE; flags are -m, --cfg job and --help",
        )

    flags.error = refuse  # type: ignore[method-assign,assignment]
    for word in flags.parse_args(list(words)).overrides:
        try:
            read = parser.parse_override(word)
        except (HydraException, ValueError) as error:
            raise misread(word, root) from error
        if read.is_sweep_override() and not _has_jobs(words):
            raise FingerprintsError(
                f"{word} is a list of several values, each for a job of its own.",
                where=word,
                fix=f"add -m to run them all: -m {shlex.quote(word)}; or give a single value",
            )


def misread(word: str, root: str) -> FingerprintsError:
    """The error for a word that Hydra cannot read."""
    name, equals, value = word.partition("=")
    key, kind = name.lstrip("+~"), kinds_of(root).get(name.lstrip("+~"))
    if not equals or not key:
        return FingerprintsError(
            f"'{word}' is not of the form KEY=VALUE.",
            where="command line",
            fix="put a word with blanks in quotes, such as 'data.root=my images', or see --help",
        )
    if key in ROOT_GROUPS.get(root, ()):
        return unknown_option(key, value)
    if kind is None or wanted(kind) == "a value":
        return FingerprintsError(
            f"The value of {key} cannot be read.",
            where=word,
            fix=f"put it in two kinds of quotes: {shlex.quote(f'{name}={quoted(value)}')}",
        )
    return FingerprintsError(f"{word} is not {wanted(kind)}.", where=key, fix=f"give {_example(key, kind)}")


def _example(key: str, kind: Any) -> str:
    return {
        "a list": f"'{key}=[FIRST,SECOND]', with the quotes",
        "a mapping": f"'{key}={{NAME: VALUE}}', with the quotes",
    }.get(wanted(kind), wanted(kind))
