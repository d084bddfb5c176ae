"""Run files and truth files with lines `<image id>,<label>`, the format of the challenge."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.files import write_atomically
from fingerprints.core.tasks import Task
from fingerprints.data.names import find, with_candidates
from fingerprints.data.settings import IdForm
from fingerprints.data.tables import Row, first_is_header, is_number, read_rows

FORM = "<image id>,<label>"


@dataclass(frozen=True)
class LabelTable:
    """The rows of a run file or truth file.

    Attributes:
        path: The file.
        kind: `truth file` or `run file`.
        ids: Ids as the file writes them, `(n,)`.
        labels: Labels as the task names them, `(n,)`.
        header: Names of the columns; empty without a header.
        rows: All rows without the header, `(n,)`.
    """

    path: Path
    kind: str
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[Row, ...]

    def rows_of(self, ids: Sequence[str], *, other: LabelTable | None = None) -> list[int]:
        """The row of each id, `(len(ids),)`.

        Args:
            ids: Ids of the images, each once.
            other: The table that the ids are from, for messages.

        Raises:
            FingerprintsError: If ids and rows do not match one to one.
        """
        found = find(self.ids, ids)
        row_of: dict[int, int] = {}
        repeated = []
        for row, at in enumerate(found):
            if at is not None and row_of.setdefault(at, row) != row:
                first = self.rows[row_of[at]].line
                repeated.append(
                    f"lines {first} and {self.rows[row].line}: "
                    f"'{self.ids[row_of[at]]}' and '{self.ids[row]}' are the image '{ids[at]}'"
                )
        missing = [ids[at] for at in range(len(ids)) if at not in row_of]
        unknown = [self.ids[row] for row, at in enumerate(found) if at is None]
        parts = []
        if repeated:
            parts.append(f"{len(repeated)} image(s) are repeated:\n{listing(repeated, 5)}")
        if missing:
            parts.append(f"{len(missing)} image(s) have no line:\n{listing(missing, 5)}")
        if unknown:
            shown = [*(with_candidates(name, ids) for name in unknown[:5]), *unknown[5:]]
            parts.append(f"{len(unknown)} id(s) match no image:\n{listing(shown, 5)}")
        if parts:
            parts += [table.header_note() for table in (self, other) if table is not None and table.header]
            if not self.header and found[0] is None:
                parts.append(f"line {self.rows[0].line} was read as an image, not as a header")
            raise FingerprintsError(
                f"The {self.kind} does not fit the images: " + "\n  ".join(parts),
                where=self.path,
                fix="write exactly one line per image; ids are file names, with or without extension",
            )
        return [row_of[at] for at in range(len(ids))]

    def labels_of(self, ids: Sequence[str], *, other: LabelTable | None = None) -> list[str]:
        """The label of each id.

        Raises:
            FingerprintsError: As `rows_of`.
        """
        return [self.labels[row] for row in self.rows_of(ids, other=other)]

    def numbers(self, columns: Sequence[str]) -> NDArray[np.float64] | None:
        """Further columns as numbers, `(n, len(columns))`; `None` if the header does not name all of them.

        Raises:
            FingerprintsError: If a column has two places, or a cell is not a finite number.
        """
        if not set(columns) <= set(self.header):
            return None
        twice = [name for name in columns if self.header.count(name) > 1]
        if twice:
            raise FingerprintsError(
                f"The {self.kind} has two columns '{twice[0]}'.", where=self.path, fix="remove one of them"
            )
        places = [self.header.index(name) for name in columns]
        bad = [
            f"line {row.line}: '{row.cells[place]}'"
            for row in self.rows
            for place in places
            if not is_number(row.cells[place])
        ]
        if bad:
            raise FingerprintsError(
                f"{len(bad)} score(s) are not a number:\n{listing(bad)}",
                where=self.path,
                fix=f"write finite numbers with a decimal point in {', '.join(columns)}",
            )
        return np.array([[float(row.cells[place]) for place in places] for row in self.rows])

    def header_note(self) -> str:
        """How the first line was read."""
        return f"line 1 of {self.path.name} ({','.join(self.header)}) was read as a header"


def read_rows_of_labels(path: Path, *, kind: str) -> list[Row]:
    """The rows of a run file or truth file, header included.

    Raises:
        FingerprintsError: As `tables.read_rows`.
    """
    return read_rows(path, kind=kind, form=FORM)


def read_labels(
    path: Path,
    task: Task,
    *,
    kind: str,
    images: Sequence[str] | None = None,
    classes: Collection[str] | None = None,
    header: bool | None = None,
) -> LabelTable:
    """Ids and labels of a run file or truth file, in file order.

    The file has two columns; further columns (scores) are allowed only with a header. Labels are returned as
    the task names them (`1` -> `used`).

    Args:
        path: The file.
        task: The task that the labels belong to.
        kind: `truth file` or `run file`, for messages.
        images: Ids of the images, which help to recognise a header (`tables.first_is_header`).
        classes: Valid labels, likewise; by default those of the task.
        header: Whether the first line is a header; `None`: find out.

    Raises:
        FingerprintsError: If the file is missing or empty, a line is empty or has the wrong number of
            fields, an id is repeated, or a label is not a label of the task.
    """
    rows = read_rows_of_labels(path, kind=kind)
    if header is None:
        header = is_header(rows, task, images=images, classes=classes)
    return labels_in(rows, task, path=path, kind=kind, header=header)


def is_header(
    rows: Sequence[Row],
    task: Task,
    *,
    images: Sequence[str] | None,
    classes: Collection[str] | None = None,
    elsewhere: Collection[str] = (),
) -> bool:
    """Whether the first row of a run file or truth file is a header; arguments as `read_labels`."""
    valid = classes or task.classes
    is_value = None if valid is None else lambda text: task.from_run(text) in valid
    return first_is_header(rows, names=images, is_value=is_value, elsewhere=elsewhere)


def labels_in(rows: Sequence[Row], task: Task, *, path: Path, kind: str, header: bool) -> LabelTable:
    """Check the rows of a run file or truth file.

    Raises:
        FingerprintsError: As `read_labels`.
    """
    width = len(rows[0].cells) if header else 2
    seen: set[str] = set()
    labels: list[str] = []
    problems: list[str] = []
    body = tuple(rows[header:])
    for number, cells in body:
        if not cells or len(cells) != width:
            problems.append(f"line {number}: {'empty' if not cells else f'{len(cells)} fields, not {width}'}")
            continue
        key, label = cells[0], task.from_run(cells[1])
        if not key or not label:
            problems.append(f"line {number}: empty field")
        elif key in seen:
            problems.append(f"line {number}: id '{key}' is repeated")
        elif task.classes is not None and label not in task.classes:
            valid = ", ".join(task.to_run(c) for c in task.classes)
            problems.append(f"line {number}: label '{cells[1]}' is not one of {valid}")
        seen.add(key)
        labels.append(label)
    fix = f"write one line {FORM} per image"
    if problems:
        if not header and len(rows[0].cells) > 2:
            fix += ", or name the further columns in a first line: id,label,score"
            if not rows[0].cells[0]:
                fix += "; leave out row numbers, which are the first column here (pandas: index=False)"
        raise FingerprintsError(
            f"The {kind} has {len(problems)} bad line(s):\n{listing(problems)}", where=path, fix=fix
        )
    if not body:
        raise FingerprintsError(f"The {kind} is empty: it has only a header.", where=path, fix=fix)
    ids = tuple(row.cells[0] for row in body)
    return LabelTable(path, kind, ids, tuple(labels), rows[0].cells if header else (), body)


def spelled(ids: Sequence[str], paths: Sequence[str], *, form: IdForm) -> list[str]:
    """The images as a run file names them: by id, by file name, or by path."""
    if form == "id":
        return list(ids)
    return list(paths) if form == "path" else [path.rsplit("/", 1)[-1] for path in paths]


def write_run_file(
    path: Path, ids: Sequence[str], labels: Sequence[str], task: Task, *, header: Sequence[str] = ()
) -> None:
    """Write `<image id>,<label>` lines, in the format of the challenge; without a header by default."""
    repeated = [i for i, count in Counter(ids).items() if count > 1]
    if repeated:
        raise FingerprintsError(
            f"Ids are repeated:\n{listing(repeated)}", where=path, fix="use unique file names"
        )
    text = io.StringIO(newline="")
    rows = [(i, task.to_run(label)) for i, label in zip(ids, labels, strict=True)]
    csv.writer(text, lineterminator="\n").writerows([header, *rows] if header else rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.getvalue().encode())
    except OSError as error:
        raise FingerprintsError(
            f"The run file cannot be written: {error.strerror}.",
            where=path,
            fix="give a file that can be written: out=FILE",
        ) from error
