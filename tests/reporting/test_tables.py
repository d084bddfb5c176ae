"""Predictions as a table, labels as run files spell them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fingerprints.core.tasks import TASKS
from fingerprints.detector.detector import Predictions
from fingerprints.reporting.tables import predictions_table, score_names


def predictions(ids: list[str], labels: list[str], scores: np.ndarray | None) -> Predictions:
    return Predictions(rows=pd.DataFrame({"id": ids}), labels=np.array(labels), scores=scores)


def test_usage_has_one_score_and_digits_for_labels() -> None:
    parts = [
        predictions(["a", "b"], ["used", "not_used"], np.array([0.9, 0.1])),
        predictions(["c"], ["used"], np.array([0.7])),
    ]
    table = predictions_table(TASKS["usage"], ("not_used", "used"), parts)
    assert list(table) == ["id", "label", "score"]
    assert table.to_numpy().tolist() == [["a", "1", 0.9], ["b", "0", 0.1], ["c", "1", 0.7]]
    assert list(table.index) == [0, 1, 2]


def test_classes_have_a_score_each_and_one_more_is_none() -> None:
    scores = np.arange(6.0).reshape(2, 3)
    assert score_names(("t1", "t2"), scores) == ("t1", "t2", "none")
    assert score_names(("t1", "t2", "t3"), scores) == ("t1", "t2", "t3")
    table = predictions_table(
        TASKS["subset"], ("t1", "t2"), [predictions(["a", "b"], ["t1", "none"], scores)]
    )
    assert list(table) == ["id", "label", "score_t1", "score_t2", "score_none"]
    assert table["score_none"].tolist() == [2.0, 5.0]


def test_clusters_have_no_scores() -> None:
    table = predictions_table(TASKS["model"], (), [predictions(["a"], ["3"], None)])
    assert table.to_dict("records") == [{"id": "a", "label": "3"}]
