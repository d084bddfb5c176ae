"""A run file together with its truth file: the arguments of `estimate_metrics`, read from files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.tasks import Task, get_task
from fingerprints.data.groups import read_groups
from fingerprints.data.names import candidates
from fingerprints.data.runfiles import LabelTable, is_header, labels_in, read_rows_of_labels


@dataclass(frozen=True)
class Submission:
    """A run file matched to the truth, image by image.

    Attributes:
        task: The task.
        classes: Labels, sorted.
        truth: `(n,)`.
        predicted: `(n,)`.
        scores: `(n,)`, `(n, C)`, or `None` if the run file has labels only.
        groups: `(n,)`; each image is its own group if none are given.
        notes: How the files were read: headers, and images whose group is not known, or that none is.
    """

    task: Task
    classes: tuple[str, ...]
    truth: NDArray[np.str_]
    predicted: NDArray[np.str_]
    scores: NDArray[np.float64] | None
    groups: NDArray[np.str_]
    notes: tuple[str, ...] = ()


def read_submission(*, task_name: str, predictions: Path, truth: Path, groups: Path | None) -> Submission:
    """Read a run file and match it to the truth, image by image.

    Raises:
        FingerprintsError: If a file is bad, ids do not match one to one, a label is unknown, or an
            image has no group.
    """
    task = get_task(task_name)
    true, answers = _tables(task, predictions=predictions, truth=truth)
    ids = list(true.ids)
    rows = answers.rows_of(ids, other=true)
    predicted = [answers.labels[row] for row in rows]
    notes = [table.header_note() for table in (true, answers) if table.header]
    classes = task.classes or tuple(sorted(set(true.labels)))
    strange = sorted(set(predicted) - set(classes))
    if strange and not task.clusters:
        raise FingerprintsError(
            f"The run file has label(s) that are not in the truth: {', '.join(strange)}.",
            where=predictions,
            fix=f"use the labels {', '.join(task.to_run(c) for c in classes)}",
        )
    of_image: list[str | None] = list(ids)
    if groups is None and task.unit == "real":
        notes.append(
            "no groups (patients) were given: if a patient has several images, intervals are too narrow and "
            "p-values too low (give groups=CSV)"
        )
    if groups is not None:
        found = read_groups(groups, ids)
        of_image, lacking = found.groups, found.lacking(ids)
        notes += found.notes()
        if lacking:
            raise FingerprintsError(
                f"{len(lacking)} image(s) have no group:\n{listing(lacking)}",
                where=groups,
                fix="give a row for every image: file,group; leave the group empty if it is not known",
            )
    return Submission(
        task=task,
        classes=classes,
        truth=np.array(true.labels),
        predicted=np.array(predicted),
        scores=_scores(answers, rows, task, classes),
        groups=np.array(of_image, dtype=str),
        notes=tuple(notes),
    )


def _tables(task: Task, *, predictions: Path, truth: Path) -> tuple[LabelTable, LabelTable]:
    """The truth file and the run file. Each helps to recognise the header of the other one."""
    true = read_rows_of_labels(truth, kind="truth file")
    answers = read_rows_of_labels(predictions, kind="run file")
    first = true[0].cells[:1]
    # If both files begin with the same cell, it is the first image or the name of the column.
    images = [row.cells[0] for row in answers if row.cells]
    alike = bool(first) and answers[0].cells[:1] == first
    known = None if alike and not candidates(first[0], images[1:]) else images
    labels = {row.cells[1] for row in answers[1:] if len(row.cells) > 1}
    header = is_header(true, task, images=known, elsewhere=labels if known is None else ())
    of_truth = labels_in(true, task, path=truth, kind="truth file", header=header)
    header = is_header(
        answers, task, images=of_truth.ids, classes=None if task.clusters else set(of_truth.labels)
    )
    return of_truth, labels_in(answers, task, path=predictions, kind="run file", header=header)


def _scores(
    answers: LabelTable, rows: list[int], task: Task, classes: tuple[str, ...]
) -> NDArray[np.float64] | None:
    """Score columns of a run file that has them under their names, in the order of the rows."""
    numbers = answers.numbers(["score"] if task.positive is not None else [f"score_{c}" for c in classes])
    if numbers is None:
        return None
    return numbers[rows, 0] if task.positive is not None else numbers[rows]
