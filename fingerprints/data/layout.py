"""Layouts: glob patterns with named fields that turn a folder tree into rows.

A layout is a list of sources. Each source is a pattern relative to a folder, such as
`generated/gen_{label}/*`, and gives the domain and the part of the files that match it.
`{label}` and `{generator}` match a piece of one path component and become columns; `*`
and `?` match within one component, and `**` matches any number of folders. A pattern may
have alternatives, `used/* | real_used/*`, since names differ between copies of the data.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.tasks import Domain
from fingerprints.data.settings import PartName, Source
from fingerprints.data.walk import cannot_be_read, is_dead, is_folder, is_litter

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
FIELDS = ("label", "generator")


class ImageFile(NamedTuple):
    """One file of the data set, before it is opened.

    `name` is the path relative to the data root, POSIX style; below `data.test_root` it is `test/` and the
    path relative to that folder. `size` is in bytes, `mtime_ns` in nanoseconds. The key of the image store
    is computed from path, size and mtime.
    """

    path: str
    name: str
    size: int
    mtime_ns: int
    domain: Domain
    part: PartName
    label: str | None
    generator: str

    @property
    def id(self) -> str:
        """File name without its extension, as in run files."""
        return os.path.splitext(self.name.rsplit("/", 1)[-1])[0]


class LayoutMismatch(FingerprintsError):
    """A folder does not hold what its layout names."""


def scan(root: Path, sources: Sequence[Source], *, below: str = "") -> list[ImageFile]:
    """All image files of a layout, sorted by source and name.

    The test part is optional, but if one of its sources has images, all must have images. A link that leads
    nowhere is listed like an image, so that reading it reports the error.

    Args:
        root: The folder that the patterns start from.
        sources: The sources.
        below: What the names of the files start with, before their path relative to the folder.

    Raises:
        LayoutMismatch: If a source of the training part or of the reference matches nothing, or the test
            part is incomplete.
        FingerprintsError: If the root is not a folder or a folder cannot be read, a matched folder holds no
            image, or several alternatives of a source have different images.
    """
    if not root.is_dir():
        raise FingerprintsError(
            "The data folder does not exist." if not root.exists() else "The data root is not a folder.",
            where=root,
            fix="give the folder that holds the training part: data.root=DIR (docs/data.md, 'Layouts')",
        )
    files: list[ImageFile] = []
    empty_test: list[Source] = []
    found_test = False
    for source in sources:
        try:
            matched = _matched(root, source, below)
        except OSError as error:
            raise cannot_be_read(error, root) from error
        if not matched and source.part != "test":
            raise LayoutMismatch(
                f"No {source.domain} images match '{source.pattern}'.",
                where=root,
                fix="check data.root, or choose the layout of this edition (data=..., see --help); "
                f"the folder holds: {contents(root)}",
            )
        if source.part == "test":
            found_test |= bool(matched)
            if not matched:
                empty_test.append(source)
        files.extend(matched)
    if found_test and empty_test:
        raise LayoutMismatch(
            f"The test part is incomplete: no {empty_test[0].domain} images match '{empty_test[0].pattern}'.",
            where=root,
            fix="add the missing images, or move the test part away to train without it",
        )
    return files


def alternatives(pattern: str) -> list[str]:
    """The alternatives of a pattern, in the order in which they are tried."""
    return [part.strip() for part in pattern.split(" | ")]


def has_images(root: Path, source: Source) -> bool:
    """Whether a source has an image in a folder; stops at the first one."""
    return any(
        next(_match(root, source, pattern, "", []), None) is not None
        for pattern in alternatives(source.pattern)
    )


def contents(root: Path) -> str:
    """What a folder holds, in a few words."""
    names = sorted(entry.name + ("/" if is_folder(entry) else "") for entry in os.scandir(root))
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "nothing"


def _matched(root: Path, source: Source, below: str) -> list[ImageFile]:
    """The files of the first alternative that has any."""
    named = ""
    chosen: list[ImageFile] = []
    empty: list[str] = []
    for pattern in alternatives(source.pattern):
        without: list[str] = []
        found = list(_match(root, source, pattern, below, without))
        if not chosen and (found or not empty):
            chosen, named, empty = found, pattern, without
        elif beyond := sorted({file.path for file in found} - {file.path for file in chosen}):
            raise FingerprintsError(
                f"'{named}' and '{pattern}' both have {source.domain} images, of which one is expected; the "
                f"second has {len(beyond)} that the first lacks:\n{listing(beyond, 5)}",
                where=root,
                fix="move the ones that do not belong away, or name what is meant: data.sources=[...]",
            )
    if empty:
        raise FingerprintsError(
            f"No images in {len(empty)} folder(s) that match '{named}':\n{listing(empty)}",
            where=root,
            fix=f"put images ({', '.join(sorted(IMAGE_SUFFIXES))}) there, or remove the folder",
        )
    return chosen


def _match(root: Path, source: Source, pattern: str, below: str, empty: list[str]) -> Iterator[ImageFile]:
    """The files that one alternative matches; folders that match but hold no image are added to `empty`."""
    *folders, last = pattern.strip("/").split("/")
    if last == "**":
        folders, last = [*folders, "**"], "*"
    compiled = _component(last)
    for folder, inside, fields in _folders(str(root), below, folders, {}):
        if not os.path.isdir(folder):
            empty.append(f"{folder} (a link that leads nowhere)")
            continue
        count = 0
        with os.scandir(folder) as entries:
            names = sorted((e.name, e) for e in entries if not is_litter(e.name))
        for name, entry in names:
            match = compiled.fullmatch(name)
            if match is None or os.path.splitext(name)[1].lower() not in IMAGE_SUFFIXES:
                continue
            dead = is_dead(entry)
            if not dead and not entry.is_file():
                continue
            stat = entry.stat(follow_symlinks=not dead)
            found = {**fields, **match.groupdict()} if compiled.groups else fields
            count += 1
            yield ImageFile(
                path=entry.path,
                name=inside + name,
                size=stat.st_size,
                mtime_ns=stat.st_mtime_ns,
                domain=source.domain,
                part=source.part,
                label=found.get("label", source.label),
                generator=found.get("generator", source.generator) or "",
            )
        if count == 0 and "**" not in folders:
            empty.append(folder)


def _folders(
    folder: str, below: str, components: Sequence[str], fields: dict[str, str], above: tuple[str, ...] = ()
) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Folders that match the components, depth first: path, path relative to the root, fields of the path.

    `above` holds the real paths of the folders that `**` has entered; links back to them are not followed. A
    link that leads nowhere counts as a folder, unless its name is that of an image.
    """
    if not components:
        yield folder, below, fields
        return
    head, *rest = components
    if head == "**":
        yield from _folders(folder, below, rest, fields)
        above = (*above, os.path.realpath(folder))
        for name in _subfolders(folder):
            path = os.path.join(folder, name)
            if os.path.realpath(path) not in above:
                yield from _folders(path, f"{below}{name}/", components, fields, above)
        return
    compiled = _component(head)
    for name in _subfolders(folder, dead=True):
        match = compiled.fullmatch(name)
        if match is not None:
            inner = os.path.join(folder, name)
            rest_of_it = rest if os.path.isdir(inner) else []
            yield from _folders(inner, f"{below}{name}/", rest_of_it, {**fields, **match.groupdict()})


def _subfolders(folder: str, *, dead: bool = False) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(
            e.name
            for e in entries
            if not is_litter(e.name)
            and (
                is_folder(e)
                or (dead and is_dead(e) and os.path.splitext(e.name)[1].lower() not in IMAGE_SUFFIXES)
            )
        )


def _component(text: str) -> re.Pattern[str]:
    """One path component as a regular expression.

    Raises:
        FingerprintsError: If a field is unknown or occurs twice.
    """
    out = ""
    for token in re.split(r"(\{[^}]*\}|\*|\?)", text):
        if token == "*":
            out += "[^/]*"
        elif token == "?":
            out += "[^/]"
        elif token.startswith("{"):
            name = token[1:-1]
            if name not in FIELDS:
                raise FingerprintsError(
                    f"A layout pattern has an unknown field '{token}'.",
                    where=f"data.sources: {text}",
                    fix="use {label} or {generator}",
                )
            if f"(?P<{name}>" in out:
                raise FingerprintsError(
                    f"A layout pattern has the field '{token}' twice in one component.",
                    where=f"data.sources: {text}",
                    fix="write it once and use * in place of the other",
                )
            out += f"(?P<{name}>[^/]+)"
        else:
            out += re.escape(token)
    return re.compile(out)
