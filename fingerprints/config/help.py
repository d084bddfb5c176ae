"""Texts of `--help`: the options of a group, and the keys of a chosen option."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, get_type_hints

from fingerprints.config.overrides import SWEPT, defaults_of
from fingerprints.config.schema import (
    ROOT_GROUPS,
    ROOTS,
    conf_dir,
    option_class,
    options,
    unknown_option,
    written,
)
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import MISSING, as_word, describe, registered

MARGIN = " " * 27  # the column of explanations


def wrapped(group: str) -> str:
    """Options of a group, in the column of the explanations."""
    text = ", ".join(options(group))
    return textwrap.fill(text, width=110, initial_indent=MARGIN, subsequent_indent=MARGIN).lstrip()


def describe_options(group: str) -> list[str]:
    """One line per option: its name and a summary."""
    return [f"  {name:<24}{_summary(group, name)}".rstrip() for name in options(group)]


def _summary(group: str, name: str) -> str:
    """The first comment of the option's file, else the first line of its class's docstring."""
    path = conf_dir() / group / f"{name}.yaml"
    if path.is_file():
        comments = [
            line.lstrip("# ").rstrip()
            for line in path.read_text().splitlines()
            if line.startswith("#") and "@package" not in line and "python -m" not in line
        ]
        if comments:
            return comments[0]
    cls = option_class(group, name)
    return ((cls.__doc__ or "") if cls else "").strip().split("\n", 1)[0]


def help_on(words: Sequence[str], root: str) -> str | None:
    """Help on the options that words such as `decision=svm` choose; `None` without such a word.

    Raises:
        FingerprintsError: If a word names an unknown group, or an unknown option of a group.
    """
    asked = [word.partition("=") for word in words if not word.startswith("-")]
    if not asked:
        return None
    pages = []
    for group, _, name in asked:
        if group not in ROOT_GROUPS.get(root, ()):
            known = ", ".join(ROOT_GROUPS.get(root, ()))
            raise FingerprintsError(
                f"'{group}' has no options to explain.",
                where="--help",
                fix=f"use --help GROUP=NAME with one of the groups {known}" if known else "use --help alone",
            )
        if not name:
            pages.append("\n".join([f"{group}=NAME", *describe_options(group)]))
            continue
        if name not in options(group):
            raise unknown_option(group, name)
        pages.append(_page(group, name, root))
    return "\n\n".join(pages)


def _page(group: str, name: str, root: str) -> str:
    lines = [f"{group}={name}: {_summary(group, name)}", ""]
    rows = _rows(group, name, root)
    if not rows:
        return "\n".join([*lines, "  no keys"])
    width = min(40, max(len(left) for left, _ in rows) + 2)
    for left, right in rows:
        text = textwrap.wrap(right, width=max(30, 106 - width)) or [""]
        if len(left) >= width:
            lines += textwrap.wrap(left, width=106, initial_indent="  ", subsequent_indent="    ")
            left = ""
            if not right:
                continue
        lines += [f"  {left if not n else '':<{width}}{part}".rstrip() for n, part in enumerate(text)]
    return "\n".join(lines)


def _rows(group: str, name: str, root: str) -> list[tuple[str, str]]:
    """`key=value` and help for each key of an option; without a settings class, only the keys of its file."""
    own = dict(_leaves(written(group, name)))
    cls = _settings_class(group, name, root)
    if cls is None:
        return [(f"{key}={value}", "") for key, value in own.items()]
    return [
        (f"{key}={own.get(row.key, row.default).replace(MISSING, '...')}", row.help)
        for row in describe(cls)
        if (key := f"{group}.{row.key}") != f"{group}.name"
    ]


def _settings_class(group: str, name: str, root: str) -> type | None:
    """The settings class of an option: its own, or the one that all options of the group share."""
    if registered(group):
        return option_class(group, name)
    kind = get_type_hints(ROOTS[root]).get(group)
    return kind if isinstance(kind, type) and is_dataclass(kind) else None


def _leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and values of an option's file, as words of the command line.

    For an experiment, the options that it chooses come first; for a sweep, the keys are those that it varies.
    """
    for key, value in node.items():
        if not prefix and key == "defaults":
            yield from defaults_of(value).items()
        elif isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}".removeprefix(SWEPT), _word(value)


def _word(value: Any) -> str:
    """A value as it is written on the command line, including mappings in a list."""
    if isinstance(value, list):
        return f"[{', '.join(map(_word, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_word(inner)}' for key, inner in value.items())}}}"
    return as_word(value)
