"""Texts of `--help`: the options of a group, and the keys of a chosen option."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from fingerprints.config.schema import (
    ROOT_GROUPS,
    conf_dir,
    option_class,
    options,
    unknown_option,
    written,
)
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import as_word, describe, registered

MARGIN = " " * 27  # the column of explanations


def wrapped(group: str) -> str:
    """Options of a group, in the column of the explanations."""
    text = ", ".join(options(group))
    return textwrap.fill(text, width=110, initial_indent=MARGIN, subsequent_indent=MARGIN).lstrip()


def describe_options(group: str) -> list[str]:
    """A line per option: its name and what it is."""
    return [f"  {name:<24}{_summary(group, name)}".rstrip() for name in options(group)]


def _summary(group: str, name: str) -> str:
    """The first comment of the option's file, else the first line of its class."""
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
    """The keys of the options that words such as `decision=svm` choose; `None` without such a word.

    Raises:
        FingerprintsError: If a word names no option of a group with settings.
    """
    asked = [word.partition("=") for word in words if not word.startswith("-")]
    if not asked:
        return None
    pages = []
    for group, _, name in asked:
        if group not in ROOT_GROUPS.get(root, ()) or not registered(group):
            known = [g for g in ROOT_GROUPS.get(root, ()) if registered(g)]
            raise FingerprintsError(
                f"'{group}' has no options to explain.",
                where="--help",
                fix=f"--help GROUP=NAME with {', '.join(known)}" if known else "--help alone",
            )
        if not name:
            pages.append("\n".join([f"{group}=NAME", *describe_options(group)]))
            continue
        if name not in options(group):
            raise unknown_option(group, name)
        pages.append(_page(group, name))
    return "\n\n".join(pages)


def _page(group: str, name: str) -> str:
    cls = option_class(group, name)
    assert cls is not None
    own = {key: value for key, value in written(group, name).items() if key != "defaults"}
    lines = [f"{group}={name}: {_summary(group, name)}", ""]
    rows = [
        (f"{group}.{row.key}={as_word(own[row.key]) if row.key in own else row.default}", row.help)
        for row in describe(cls)
        if row.key != "name"
    ]
    if not rows:
        return "\n".join([*lines, "  no keys"])
    width = min(40, max(len(left) for left, _ in rows) + 2)
    for left, right in rows:
        text = textwrap.wrap(right, width=max(30, 106 - width)) or [""]
        if len(left) >= width:
            lines.append(f"  {left}")
            left = ""
        lines += [f"  {left if not n else '':<{width}}{part}".rstrip() for n, part in enumerate(text)]
    return "\n".join(lines)
