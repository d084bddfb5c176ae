"""A run file together with its truth file: the arguments of `estimate_metrics`, read from files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import Task, get_task
from fingerprints.data.groups import read_groups
from fingerprints.data.runfiles import image_id, match_labels, read_labels


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
    """

    task: Task
    classes: tuple[str, ...]
    truth: NDArray[np.str_]
    predicted: NDArray[np.str_]
    scores: NDArray[np.float64] | None
    groups: NDArray[np.str_]


def read_submission(*, task_name: str, predictions: Path, truth: Path, groups: Path | None) -> Submission:
    """Read a run file and match it to the truth, image by image.

    Raises:
        FingerprintsError: If a file is bad, ids do not match one to one, a label is unknown, or an
            image has no group.
    """
    task = get_task(task_name)
    true = read_labels(truth, task, kind="truth file")
    ids = list(true)
    answers = read_labels(predictions, task, kind="run file")
    predicted = match_labels(answers, ids, path=predictions, kind="run file")
    classes = task.classes or tuple(sorted(set(true.values())))
    strange = sorted(set(predicted) - set(classes))
    if strange and not task.clusters:
        raise FingerprintsError(
            f"The run file has label(s) that are not in the truth: {', '.join(strange)}.",
            where=predictions,
            fix=f"use the labels {', '.join(task.to_run(c) for c in classes)}",
        )
    of_image: list[str | None] = list(ids)
    if groups is not None:
        of_image, _ = read_groups(groups, ids)
        missing = [i for i, group in zip(ids, of_image, strict=True) if group is None]
        if missing:
            raise FingerprintsError(
                f"{len(missing)} image(s) have no group, for example {missing[0]}.",
                where=groups,
                fix="give a row for every image: file,group",
            )
    return Submission(
        task=task,
        classes=classes,
        truth=np.array(list(true.values())),
        predicted=np.array(predicted),
        scores=_scores(predictions, ids, task, classes),
        groups=np.array(of_image, dtype=str),
    )


def _scores(path: Path, ids: list[str], task: Task, classes: tuple[str, ...]) -> NDArray[np.float64] | None:
    """Score columns of a run file that has them under their names."""
    table = pd.read_csv(path, dtype=str, header=None, nrows=1)
    wanted = ["score"] if task.positive is not None else [f"score_{name}" for name in classes]
    if not set(wanted) <= set(table.iloc[0].astype(str).str.strip()):
        return None
    table = pd.read_csv(path, skipinitialspace=True, dtype={0: str})
    table.index = pd.Index([image_id(str(i)) for i in table.iloc[:, 0]])
    try:
        scores = table.loc[ids, wanted].to_numpy(dtype=np.float64)
    except ValueError as error:
        raise FingerprintsError(
            f"A score is not a number: {error}", where=path, fix=f"write numbers in {', '.join(wanted)}"
        ) from error
    return scores[:, 0] if task.positive is not None else scores
