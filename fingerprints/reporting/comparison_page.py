"""The page of a comparison, as self-contained HTML and as Markdown.

Both have the same content: sections of facts, tables of text and notes. It looks like a run's report.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.files import write_atomically
from fingerprints.reporting import drawing


@dataclass(frozen=True)
class ShownCell:
    """Content of a cell: the figure, additional lines in small letters, and marks that must not be missed."""

    text: str
    small: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShownTable:
    """A table of text.

    Attributes:
        caption: Its content in a few words.
        columns: Titles; the first is the title of the row names.
        rows: One cell per column; the first is the name of the row.
        notes: Sentences below it.
        numeric: Whether all columns but the first are figures, which are aligned to the right.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[ShownCell, ...], ...]
    notes: tuple[str, ...] = ()
    numeric: bool = True


@dataclass(frozen=True)
class Section:
    """One data set.

    Attributes:
        title: Heading.
        facts: Facts of the data, name and value.
        tables: Tables in the order shown.
        figure: The plot of the systems, or `None`.
        alt: Alternative text of the plot.
        notes: Sentences below the facts.
    """

    title: str
    facts: dict[str, str]
    tables: tuple[ShownTable, ...]
    figure: Figure | None = None
    alt: str = ""
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class ComparisonPage:
    """Content of a comparison: its title, what was read, a section per data set, and the runs left out."""

    title: str
    lead: str
    sections: tuple[Section, ...]
    left_out: ShownTable | None = None


def render_html(page: ComparisonPage) -> str:
    """The page as HTML text; equal content gives equal text."""
    pictures = [None if part.figure is None else _picture(part.figure) for part in page.sections]
    template = environment().get_template("comparison.html.j2")
    return template.render(page=page, sections=list(zip(page.sections, pictures, strict=True)), look=look())


def render_markdown(page: ComparisonPage) -> str:
    """The page as Markdown text, without the plots."""
    blocks = [f"# {page.title}", page.lead]
    for part in page.sections:
        blocks.append(f"## {part.title}")
        if part.facts:
            blocks.append("\n".join(f"- {name}: {value}" for name, value in part.facts.items()))
        if part.notes:
            blocks.append("\n".join(f"- {note}" for note in part.notes))
        for table in part.tables:
            blocks += _markdown(table, level=3)
    if page.left_out is not None:
        blocks += _markdown(page.left_out, level=2)
    return "\n\n".join(blocks) + "\n"


def write_page(path: Path, text: str) -> None:
    """Write a page to `path` atomically: the file appears only when it is complete.

    Raises:
        FingerprintsError: If the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())
    except OSError as error:
        raise FingerprintsError(
            f"The comparison could not be written: {error.strerror or error}.",
            where=path,
            fix="use out=DIR with a folder that is writable and has free space",
        ) from error


def _markdown(table: ShownTable, *, level: int) -> list[str]:
    aligned = ["---", *(["---:" if table.numeric else "---"] * (len(table.columns) - 1))]
    rows = [
        list(table.columns),
        aligned,
        *([_joined(cell) for cell in row] for row in table.rows),
    ]
    lines = ["| " + " | ".join(_escaped(text) for text in row) + " |" for row in rows]
    notes = ["\n".join(f"- {note}" for note in table.notes)] if table.notes else []
    return [f"{'#' * level} {table.caption}", "\n".join(lines), *notes]


def _joined(cell: ShownCell) -> str:
    """A cell on one line: `0.349 ± 0.003, 0.347 to 0.351, printed 0.9904`."""
    first, *rest = cell.small or ("",)
    return ", ".join([f"{cell.text} {first}".strip(), *rest, *cell.marks])


def _escaped(text: str) -> str:
    return re.sub(r"([|*_<])", r"\\\1", " ".join(text.split()))


def _picture(figure: Figure) -> tuple[str, int, int]:
    """A figure as a `data:` address with its size in CSS pixels."""
    width, height = (round(float(side) * drawing.DPI) for side in figure.get_size_inches())
    data = base64.b64encode(drawing.png_bytes(figure)).decode()
    return f"data:image/png;base64,{data}", width, height


@cache
def environment() -> Environment:
    """Templates of this room; whatever they show is escaped."""
    return Environment(
        loader=PackageLoader("fingerprints.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@cache
def look() -> str:
    """The style sheet of a run's report, so that both pages look the same."""
    return source("report.html.j2").split("<style>", 1)[1].split("</style>", 1)[0]


def source(name: str) -> str:
    """A file of this room as text."""
    loader = environment().loader
    assert loader is not None
    return loader.get_source(environment(), name)[0]


def column(values: Sequence[str]) -> tuple[ShownCell, ...]:
    """Cells of a row without lines in small letters."""
    return tuple(ShownCell(value) for value in values)
