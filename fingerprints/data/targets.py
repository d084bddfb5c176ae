"""What a classifier learns: which images, and under which labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fingerprints.core.tasks import USED, FitOn, Target
from fingerprints.data.index import Index


@dataclass(frozen=True)
class Lesson:
    """Images with the labels that a classifier learns.

    Attributes:
        train: Rows to train on; `label` is what is learnt.
        held: Rows held out, with labels of the same kind.
        classes: The labels of `train`, in order.
    """

    train: pd.DataFrame
    held: pd.DataFrame
    classes: tuple[str, ...]


def lesson(target: Target, index: Index, *, train: pd.DataFrame, held: pd.DataFrame, fit_on: FitOn) -> Lesson:
    """The images and labels of a target.

    Args:
        target: `labels`: the images' own labels. `origin`: used real images against generated ones.
            `generators`: generated images of all generators of the data, by generator; with one generator,
            real images against generated ones.
        index: The data set.
        train: Training rows of one generator.
        held: Rows of the same generator that are held out.
        fit_on: For `labels`: the domain or domains whose labels are learnt.
    """
    if target == "labels":
        found, unseen = (labelled_images(rows, fit_on) for rows in (train, held))
    elif target == "origin":
        found, unseen = (
            _origin(rows[_generated(rows) | (rows["label"] == USED)], real=USED) for rows in (train, held)
        )
    elif len(index.generators) == 1:
        found, unseen = (_origin(rows, real="real") for rows in (train, held))
    else:
        others = index.select(domain="generated", split="train").drop(index=held.index, errors="ignore")
        found, unseen = (rows.assign(label=rows["generator"]) for rows in (others, held[_generated(held)]))
    there = set(found["label"])
    order = index.classes if target == "labels" else sorted(there)
    return Lesson(found, unseen, tuple(name for name in order if name in there))


def labelled_images(rows: pd.DataFrame, fit_on: FitOn) -> pd.DataFrame:
    """The rows of the domain or domains that have labels of their own."""
    known = rows[rows["label"] != ""]
    return known if fit_on == "both" else known[known["domain"] == fit_on]


def _origin(rows: pd.DataFrame, *, real: str) -> pd.DataFrame:
    """The rows, labelled `generated`, or `real` as it is given."""
    return rows.assign(label=np.where(_generated(rows), "generated", real))


def _generated(rows: pd.DataFrame) -> pd.Series:
    return rows["domain"] == "generated"
