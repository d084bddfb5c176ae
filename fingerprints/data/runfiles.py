"""Run files and truth files: `<image id>,<label>`, as the challenge exchanges them."""

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
    """The id that a file name or id stands for: no folder, no image extension."""
    name = text.strip().replace("\\", "/").rsplit("/", 1)[-1]
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in IMAGE_SUFFIXES else name


def read_labels(path: Path, task: Task, *, kind: str) -> dict[str, str]:
    """Ids and labels of a run file or truth file, in file order.

    Two columns, comma-separated; a header is recognised by its first field (`id`, `image`, ...);
    further columns (scores) are allowed only under a header. Labels come back in the task's own
    words (`1` -> `used`).

    Args:
        path: The file.
        task: Whose labels it holds.
        kind: `truth file` or `run file`, for messages.

    Raises:
        FingerprintsError: If the file is missing or empty, a line is empty or has not two fields,
            an id is repeated, or a label is not one of the task's.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise FingerprintsError(
            f"The {kind} cannot be read: {error.strerror}.", where=path, fix=f"give an existing {kind}"
        ) from error
    except UnicodeDecodeError as error:
        raise FingerprintsError(
            f"The {kind} is not a text file.", where=path, fix="lines of <image id>,<label>"
        ) from error
    rows = list(csv.reader(io.StringIO("\n".join(lines))))
    header = bool(rows) and bool(rows[0]) and rows[0][0].strip().lower() in _HEADER_IDS
    width = len(rows[0]) if header else 2
    if header and width < 2:
        raise FingerprintsError(
            f"The {kind} has one column.", where=f"{path}, line 1", fix="lines of <image id>,<label>"
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
            fix="one line <image id>,<label> per image",
        )
    if not labels:
        raise FingerprintsError(
            f"The {kind} is empty.", where=path, fix="one line <image id>,<label> per image"
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
            parts.append(f"{len(unknown)} id(s) are of no image:\n{listing(unknown, 5)}")
        raise FingerprintsError(
            f"The {kind} does not fit the images: " + "\n  ".join(parts),
            where=path,
            fix="exactly one line per image; ids are file names, with or without extension",
        )
    return [labels[i] for i in ids]


def write_run_file(path: Path, ids: Sequence[str], labels: Sequence[str], task: Task) -> None:
    """Write `<image id>,<label>` lines, no header, as the challenge takes them."""
    repeated = [i for i, count in Counter(ids).items() if count > 1]
    if repeated:
        raise FingerprintsError(
            f"Ids are repeated:\n{listing(repeated)}", where=path, fix="unique file names"
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
            fix="out=FILE that can be written",
        ) from error
