"""Predictions as a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fingerprints.core.tasks import NONE, Task
from fingerprints.detector.detection import Predictions


def score_names(classes: Sequence[str], scores: NDArray[np.floating]) -> tuple[str, ...]:
    """Names of the columns of scores `(n, C)`; a column after the last class means "none of these"."""
    return (*classes, NONE)[: scores.shape[1]]


def predictions_table(task: Task, classes: Sequence[str], parts: Sequence[Predictions]) -> pd.DataFrame:
    """Columns `id`, `label` (as run files spell it), and `score`, or `score_<class>` for each class."""
    frames = []
    for part in parts:
        columns: dict[str, object] = {
            "id": part.rows["id"].to_numpy(),
            "label": [task.to_run(str(label)) for label in part.labels],
        }
        if part.scores is not None and part.scores.ndim == 1:
            columns["score"] = part.scores
        elif part.scores is not None:
            names = score_names(classes, part.scores)
            columns |= {f"score_{name}": part.scores[:, i] for i, name in enumerate(names)}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)
