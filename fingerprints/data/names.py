"""Matches names of images in tables to images: with or without folder, image ending and composed accents."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.data.layout import IMAGE_SUFFIXES


class Spellings(NamedTuple):
    """The ways to write one name, from the whole to the shortest."""

    whole: str
    path: str
    path_without_ending: str
    file: str
    file_without_ending: str


PATHS = 3
"""Number of the spellings that keep the folder."""


def plain(name: str) -> str:
    """A name as all programs write it: accents composed (NFC; macOS decomposes them), no outer blanks."""
    return unicodedata.normalize("NFC", name).strip()


def has_image_ending(name: str) -> bool:
    """Whether a name ends as image files do."""
    stem, _, suffix = name.rpartition(".")
    return stem != "" and not stem.endswith("/") and f".{suffix.lower()}" in IMAGE_SUFFIXES


def without_ending(name: str) -> str:
    """A name without one image ending: `a.png.png` -> `a.png`, `1.2.840` -> `1.2.840`."""
    return name.rpartition(".")[0] if has_image_ending(name) else name


@functools.lru_cache(maxsize=2**16)  # a table is compared with the images several times
def spellings(name: str) -> Spellings:
    """The ways to write a name; folders may be separated by `/` or by a backslash."""
    whole = plain(name)
    path = whole.replace("\\", "/").removeprefix("./")
    file = path.rsplit("/", 1)[-1]
    short = without_ending(file)
    return Spellings(whole, path, path[: len(path) - len(file) + len(short)], file, short)


def same_file(one: str, other: str) -> bool:
    """Whether two names differ at most by their image ending and the way in which folders are separated."""
    return spellings(one).path_without_ending == spellings(other).path_without_ending


def require_writable(names: Sequence[str]) -> None:
    """Check that tables and reports can hold the names.

    Raises:
        FingerprintsError: If names are not UTF-8 (Python then has surrogates in place of their bytes) or hold
            a carriage return; the error lists them.
    """
    bad = [ascii(name)[1:-1] for name in names if re.search(r"[\ud800-\udfff\r]", name)]
    if bad:
        raise FingerprintsError(
            f"{len(bad)} file name(s) are not UTF-8 or hold a carriage return, so no run file can name them:"
            f"\n{listing(bad)}",
            fix="rename these files",
        )


def candidates(name: str, known: Sequence[str]) -> list[str]:
    """The known names that a name could mean."""
    own = set(spellings(name))
    return [other for other in known if not own.isdisjoint(spellings(other))]


def with_candidates(name: str, known: Sequence[str]) -> str:
    """A name that matches nothing, for messages; if it could mean several known names, with these."""
    found = candidates(name, known)
    return f"{name} (could be {' or '.join(found[:3])})" if len(found) > 1 else name


def find(names: Sequence[str], known: Sequence[str], *, by_file: bool = True) -> list[int | None]:
    """For each name the position of the known name that means the same image; `None` if there is none.

    One way to write all names goes first: if all of them, written as they stand (then: without one image
    ending, without folder, without both), are different known names, this is the match. Otherwise each name
    is matched on its own, in the same order. A name that could mean several known names matches none.

    Args:
        names: Ids, file names or paths.
        known: Likewise.
        by_file: Whether names may match although they are in different folders.
    """
    levels = len(Spellings._fields) if by_file else PATHS
    asked, given = [spellings(name) for name in names], [spellings(name) for name in known]
    tables = [_unique([name[level] for name in given]) for level in range(levels)]
    order = sorted(
        ((i, j) for i in range(levels) for j in range(levels)),
        key=lambda pair: (max(pair), sum(pair), pair[1]),
    )
    for i, j in order:
        found = _all([name[i] for name in asked], tables[j])
        if found is not None:
            return [*found]
    return [_first(name, tables, order) for name in asked]


def _unique(keys: Sequence[str]) -> dict[str, int | None]:
    """Position of each key; `None` if several have it."""
    table: dict[str, int | None] = {}
    for at, key in enumerate(keys):
        table[key] = None if key in table else at
    return table


def _all(keys: Sequence[str], table: dict[str, int | None]) -> list[int] | None:
    """Positions of all keys, which must be different ones; else `None`."""
    found: list[int] = []
    for key in keys:
        at = table.get(key)
        if at is None:
            return None
        found.append(at)
    return found if len(set(found)) == len(found) else None


def _first(
    name: Spellings, tables: Sequence[dict[str, int | None]], order: Sequence[tuple[int, int]]
) -> int | None:
    for i, j in order:
        if name[i] in tables[j]:
            return tables[j][name[i]]
    return None
