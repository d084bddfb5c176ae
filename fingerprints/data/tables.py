"""The reader of the tables that people write: run files, truth files and group tables."""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.names import candidates, has_image_ending, same_file

DELIMITERS = (",", ";", "\t")


class Row(NamedTuple):
    """One row of a table: the number of its line in the file, from 1, and its cells without outer blanks."""

    line: int
    cells: tuple[str, ...]


def read_rows(path: Path, *, kind: str, form: str, give: str | None = None) -> list[Row]:
    """The rows of a table, header included; a blank line is a row without cells, unless it is at the end.

    Columns are separated by commas, semicolons or tabs. Text is UTF-8 or UTF-16 with a byte order mark. Every
    cell is text: blanks around it are removed, accents are composed (NFC), and no value means "missing".

    Args:
        path: The file.
        kind: What the file is, for messages (`run file`).
        form: How its lines look, for messages (`<image id>,<label>`).
        give: How to name another file, for messages.

    Raises:
        FingerprintsError: If the file does not exist, is not text, is empty, has only one column, or has a
            quote that is not closed.
    """
    rows = _split(_text(path, kind=kind, form=form, give=give), path=path, kind=kind)
    while rows and not any(rows[-1].cells):
        rows.pop()
    if not rows:
        raise FingerprintsError(
            f"The {kind} is empty.", where=path, fix=f"write one line {form} for each image"
        )
    if all(len(row.cells) < 2 for row in rows):
        raise FingerprintsError(
            f"The {kind} has only one column.",
            where=f"{path}, line {rows[0].line}",
            fix=f"write lines {form}; columns are separated by commas, semicolons or tabs",
        )
    return rows


def _text(path: Path, *, kind: str, form: str, give: str | None) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FingerprintsError(
            f"The {kind} does not exist.", where=path, fix=give or f"give an existing {kind}"
        ) from None
    except OSError as error:
        raise FingerprintsError(
            f"The {kind} cannot be read: {error.strerror}.",
            where=path,
            fix=give or f"give an existing {kind}",
        ) from error
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
        if "\0" in text:
            raise ValueError("a text holds no NUL")
    except ValueError as error:
        raise FingerprintsError(
            f"The {kind} is not a text file in UTF-8.",
            where=path,
            fix=f"give a text file of lines {form}; spreadsheet programs call it 'CSV UTF-8'",
        ) from error
    return text


def _split(text: str, *, path: Path, kind: str) -> list[Row]:
    """Rows by the first delimiter that gives all of them the same number of fields, at least 2.

    If none does, by the first one that divides the first row; the caller then names the uneven rows.
    """
    fallback: list[Row] | None = None
    refusal: csv.Error | None = None
    for delimiter in DELIMITERS:
        try:
            rows = _parsed(text, delimiter)
        except csv.Error as error:
            refusal = refusal or error
            continue
        widths = {len(row.cells) for row in rows if any(row.cells)}
        if len(widths) == 1 and min(widths) > 1:
            return rows
        if fallback is None or (len(fallback[0].cells) < 2 <= len(rows[0].cells)):
            fallback = rows
        if not rows:
            break
    # A quote that breaks the usual format must not be hidden by a delimiter that happens not to occur.
    if fallback is None or (refusal is not None and all(len(row.cells) < 2 for row in fallback)):
        raise FingerprintsError(
            f"The {kind} has a quote that is not closed, or text behind a closing quote: {refusal}.",
            where=path,
            fix='put quotes around the whole field, and write a quote inside it twice: "5"" scan.png",1',
        )
    return fallback


def _parsed(text: str, delimiter: str) -> list[Row]:
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    rows: list[Row] = []
    line = 1
    try:
        for cells in reader:
            rows.append(Row(line, tuple(unicodedata.normalize("NFC", cell).strip() for cell in cells)))
            line = reader.line_num + 1
    except csv.Error as error:
        raise csv.Error(f"line {line}: {error}") from error
    return rows


def first_is_header(
    rows: Sequence[Row],
    *,
    names: Sequence[str] | None,
    is_value: Callable[[str], bool] | None = None,
    elsewhere: Collection[str] = (),
) -> bool:
    """Whether the first row names the columns. No list of usual names decides: an image may be called `id`.

    It does if its second cell occurs nowhere else in the column and is unlike the other cells, and its first
    cell names no image (or an image that has another row). If the images are not known, its first cell must
    look like a word, without a digit and an image ending, or a column must have numbers below a word.

    Args:
        rows: The table.
        names: Ids or paths of the images; `None` if they are not known.
        is_value: Whether a text is a valid value of the second column; `None` if any text is.
        elsewhere: Further values of the second column, from other tables.
    """
    first, below = rows[0].cells, [row.cells for row in rows[1:] if len(row.cells) > 1]
    if len(first) < 2 or not first[0] or not first[1] or has_image_ending(first[0]):
        return False
    name, value = first[:2]
    others = {*elsewhere, *(cells[1] for cells in below)}
    if (is_value is not None and is_value(value)) or value in others or is_number(value):
        return False
    if any(is_number(cell) for cell in first[2:]) or _alike(value, others):
        return False
    if names is not None:
        return not candidates(name, names) or any(same_file(name, cells[0]) for cells in below)
    if any(
        _above_numbers(first, below, column) for column in range(1 if is_value is None else 2, len(first))
    ):
        return True
    return not any(character.isdigit() for character in name) and (bool(below) or is_value is not None)


def _above_numbers(first: Sequence[str], below: Sequence[Sequence[str]], column: int) -> bool:
    """Whether a column has a word in the first row and numbers in all others."""
    cells = [row[column] for row in below if len(row) > column]
    return bool(cells) and not is_number(first[column]) and all(map(is_number, cells))


def is_number(text: str) -> bool:
    """Whether a cell is a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _alike(value: str, others: Collection[str]) -> bool:
    """Whether a value differs from another one only by its digits, as `t1` and `t2`."""
    shape = re.sub(r"\d+", "0", value)
    return shape != re.sub(r"\d+", "", value) and any(re.sub(r"\d+", "0", other) == shape for other in others)
