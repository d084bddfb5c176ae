"""The one error that users see: what is wrong, where, and how to fix it."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Sequence

# The name on the package index; `fingerprints` is another project there.
DISTRIBUTION = "gan-fingerprints"


class FingerprintsError(Exception):
    """An error that the user can fix: bad input, bad configuration, unwritable output.

    Entry points print its text without a traceback and exit with status 2.

    Args:
        what: What is wrong, as one sentence.
        where: The file, folder or configuration key that has the error.
        fix: How to fix it.
    """

    def __init__(self, what: str, *, where: object | None = None, fix: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.fix = fix
        lines = [what]
        if self.where is not None:
            lines.append(f"  where: {self.where}")
        if fix is not None:
            lines.append(f"  fix:   {fix}")
        super().__init__("\n".join(lines))


def install(extra: str) -> str:
    """The command that installs an extra of this package."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def command(name: str, *words: str) -> str:
    """A command of this package as a shell runs it: words with blanks or other marks are quoted."""
    return f"python -m fingerprints.{name} {shlex.join(words)}"


def nearest(word: str, valid: Iterable[str], count: int = 1) -> list[str]:
    """The valid words most similar to `word`, best first; empty if none is similar."""
    return difflib.get_close_matches(word, list(valid), n=count, cutoff=0.5)


def listing(items: Sequence[object], limit: int = 20) -> str:
    """`items` as indented lines: at most `limit`, then a line with the number of the others."""
    lines = [f"    {item}" for item in items[:limit]]
    if len(items) > limit:
        lines.append(f"    ... and {len(items) - limit} more")
    return "\n".join(lines)
