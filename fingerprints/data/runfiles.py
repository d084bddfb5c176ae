"""Run files and truth files with lines `<image id>,<label>`, the format of the challenge."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.files import write_atomically
from fingerprints.core.tasks import Task
from fingerprints.data.layout import IMAGE_SUFFIXES

_HEADER_IDS = {"id", "image", "image_id", "imageid", "file", "filename", "name"}


def image_id(text: str) -> str:
    """The image id of a file name or id: without folder and image extension."""
    name = text.strip().replace("\\", "/").rsplit("/", 1)[-1]
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in IMAGE_SUFFIXES else name


def read_labels(path: Path, task: Task, *, kind: str) -> dict[str, str]:
    """Ids and labels of a run file or truth file, in file order.

    The file has two columns, separated by a comma. A header is recognised by its first field (`id`,
    `image`, ...); further columns (scores) are allowed only with a header. Labels are returned as the
    task names them (`1` -> `used`).

    Args:
        path: The file.
        task: The task that the labels belong to.
        kind: `truth file` or `run file`, for messages.

    Raises:
        FingerprintsError: If the file is missing or empty, a line is empty or has the wrong number of
            fields, an id is repeated, or a label is not a label of the task.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise FingerprintsError(
            f"The {kind} cannot be read: {error.strerror}.", where=path, fix=f"give an existing {kind}"
        ) from error
    except UnicodeDecodeError as error:
        raise FingerprintsError(
            f"The {kind} is not a text file.", where=path, fix="give a text file of lines <image id>,<label>"
        ) from error
    rows = list(csv.reader(io.StringIO("\n".join(lines))))
    header = bool(rows) and bool(rows[0]) and rows[0][0].strip().lower() in _HEADER_IDS
    width = len(rows[0]) if header else 2
    if header and width < 2:
        raise FingerprintsError(
            f"The {kind} has only one column.", where=f"{path}, line 1", fix="write lines <image id>,<label>"
        )
    labels: dict[str, str] = {}
    problems: list[str] = []
    for number, row in enumerate(rows[header:], start=1 + header):
        if not row or len(row) != width:
            problems.append(f"line {number}: {'empty' if not row else f'{len(row)} fields, not {width}'}")
            continue
        key, label = image_id(row[0]), task.from_run(row[1])
        if key in labels:
            problems.append(f"line {number}: id '{key}' is repeated")
        elif not key or not label:
            problems.append(f"line {number}: empty field")
        elif task.classes is not None and label not in task.classes:
            valid = ", ".join(task.to_run(c) for c in task.classes)
            problems.append(f"line {number}: label '{row[1]}' is not one of {valid}")
        labels[key] = label
    if problems:
        raise FingerprintsError(
            f"The {kind} has {len(problems)} bad line(s):\n{listing(problems)}",
            where=path,
            fix="write one line <image id>,<label> per image",
        )
    if not labels:
        raise FingerprintsError(
            f"The {kind} is empty.", where=path, fix="write one line <image id>,<label> per image"
        )
    return labels


def match_labels(labels: Mapping[str, str], ids: Sequence[str], *, path: Path, kind: str) -> list[str]:
    """The label of each id.

    Raises:
        FingerprintsError: If an id has no label, or a label has no id.
    """
    missing = [i for i in ids if i not in labels]
    known = set(ids)
    unknown = [i for i in labels if i not in known]
    if missing or unknown:
        parts = []
        if missing:
            parts.append(f"{len(missing)} image(s) have no line:\n{listing(missing, 5)}")
        if unknown:
            parts.append(f"{len(unknown)} id(s) match no image:\n{listing(unknown, 5)}")
        raise FingerprintsError(
            f"The {kind} does not fit the images: " + "\n  ".join(parts),
            where=path,
            fix="write exactly one line per image; ids are file names, with or without extension",
        )
    return [labels[i] for i in ids]


def write_run_file(path: Path, ids: Sequence[str], labels: Sequence[str], task: Task) -> None:
    """Write `<image id>,<label>` lines without a header, in the format of the challenge."""
    repeated = [i for i, count in Counter(ids).items() if count > 1]
    if repeated:
        raise FingerprintsError(
            f"Ids are repeated:\n{listing(repeated)}", where=path, fix="use unique file names"
        )
    text = io.StringIO(newline="")
    rows = ((i, task.to_run(label)) for i, label in zip(ids, labels, strict=True))
    csv.writer(text, lineterminator="\n").writerows(rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.getvalue().encode())
    except OSError as error:
        raise FingerprintsError(
            f"The run file cannot be written: {error.strerror}.",
            where=path,
            fix="give a file that can be written: out=FILE",
        ) from error
