from __future__ import annotations

import numpy as np
import pandas as pd

from fingerprints.core.tasks import TASKS
from fingerprints.detector.detection import Predictions
from fingerprints.reporting.tables import predictions_table, score_names


def answers(labels, scores):
    rows = pd.DataFrame({"id": [f"i{n}" for n in range(len(labels))]})
    return Predictions(rows, np.array(labels), scores, clusters=False)


def test_one_score_a_unit_has_one_column_and_labels_of_run_files():
    parts = [answers(["used", "not_used"], np.array([0.5, -1.0])), answers(["used"], np.array([2.0]))]
    table = predictions_table(TASKS["usage"], ("not_used", "used"), parts)
    assert table.to_dict("list") == {
        "id": ["i0", "i1", "i0"],
        "label": ["1", "0", "1"],
        "score": [0.5, -1.0, 2.0],
    }


def test_a_score_a_class_and_one_for_none_of_them():
    table = predictions_table(TASKS["subset"], ("t1", "t2"), [answers(["t2"], np.array([[0.1, 0.7, 0.2]]))])
    assert list(table.columns) == ["id", "label", "score_t1", "score_t2", "score_none"]
    assert score_names(("a", "b"), np.zeros((3, 2))) == ("a", "b")


def test_clusters_have_no_scores():
    assert list(predictions_table(TASKS["model"], (), [answers(["3"], None)]).columns) == ["id", "label"]
