"""The words about new images: how many of each label, and whether the run can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from fingerprints.decisions.contract import ScoredReference
from fingerprints.detector.detection import Predictions
from fingerprints.evidence.verdict import Level
from fingerprints.reporting import predicted
from fingerprints.runs.folder import RunRecord


def record(level: str = "clear", *, used: int = 50, total: int = 100, **metrics: Any) -> RunRecord:
    """A finished run that called `used` of `total` images used."""
    patients = [{"called": used, "images": total - 1}, {"called": 0, "images": 1}]
    content = {
        "verdict": {"level": level, "headline": "What was found.", "notes": []},
        "patients": {"patients": {"patients": patients}},
        "run": {"groups_given": True},
    }
    return RunRecord(Path("run"), "run", "finished", {"task": "usage"}, content | metrics)


def labelled(used: int, total: int, *, groups: list[str] | None = None, beside: int = 0) -> Predictions:
    """`total` images with falling scores, the first `used` of them called used; a reference below them."""
    rows = pd.DataFrame({"id": [str(k) for k in range(total)]})
    if groups is not None:
        rows["group"] = groups
    labels = np.array(["used"] * used + ["not_used"] * (total - used))
    reference = ScoredReference(
        np.full(beside, -1000.0), np.array([f"r{k}" for k in range(beside)], dtype=str)
    )
    return Predictions(rows, labels, -np.arange(total, dtype=float), reference=reference)


def test_images_of_each_label_and_the_verdict():
    assert predicted.summary_lines(record(), labelled(1, 4)) == [
        "labels: used 1 (25.0%), not_used 3 (75.0%)",
        "verdict of the run: What was found. (clear)",
    ]
    assert (
        predicted.summary_lines(record(), labelled(0, 4))[0] == "labels: used 0 (0.0%), not_used 4 (100.0%)"
    )
    model = RunRecord(Path("run"), "run", "finished", {"task": "model"}, {})
    many = Predictions(pd.DataFrame(), np.array([f"m{k:02d}" for k in range(14)]), None)
    first, second = predicted.summary_lines(model, many)
    assert first.startswith("labels: m00 1 (7.1%), ")
    assert first.endswith("m11 1 (7.1%), 2 more")
    assert "stopped before" in second
    assert predicted.doubts(model, many, generator="") == [predicted.DOUBTS["unscored"]]


def test_every_verdict_but_a_clear_one_is_a_doubt():
    assert set(predicted.DOUBTS) == set(get_args(Level)) - {"clear"}
    for level in get_args(Level):
        found = predicted.doubts(record(level), labelled(50, 100), generator="")
        assert found == ([predicted.DOUBTS[level]] if level != "clear" else [])


@pytest.mark.parametrize(
    ("used", "total", "far"),
    [(1250, 1359, True), (50, 1359, True), (760, 1359, False), (9, 10, False), (0, 30, True)],
)
def test_another_share_of_used_images_is_a_doubt(used, total, far):
    (*doubt,) = predicted.doubts(record(), labelled(used, total), generator="")
    assert len(doubt) == far
    if far:
        assert doubt[0].startswith(
            f"{used / total:.1%} of these images are called used, but 50.0% of the 100"
        )
    assert predicted.doubts(record(patients={}), labelled(used, total), generator="") == []
    assert predicted.doubts(record(), labelled(used, total), generator="another") == []


class TestPatients:
    GROUPS = ("a", "a", "b", "c", "d", "e", "f")

    def lines(self, beside: int, **metrics: Any) -> str:
        predictions = labelled(3, 7, groups=list(self.GROUPS), beside=beside)
        found = predicted.patients_of(predictions)
        assert found is not None
        return "\n".join(predicted.patient_lines(record(**metrics), predictions, found))

    def test_who_stands_out(self):
        shown = self.lines(199)
        assert "patients: 6, of whom 2 have an image called used; 6 stand out (q at most 0.05)" in shown
        assert "  a: 2 images, 2 called used, highest score 0.000, p 0.005, q 0.005" in shown
        assert "... and 1 more" in shown
        assert "of 199 reference patients" in shown
        assert "here they have 1 (median), in the reference 1" in shown
        assert "clusters" not in shown
        assert "are clusters of near-duplicates" in self.lines(199, run={})

    def test_why_nobody_can(self):
        assert "nobody can stand out, because 7 reference patients are too few" in self.lines(7)
        assert "no p: the run's decision has no reference images" in self.lines(0)
        older = labelled(1, 2, groups=["a", "b"])
        older = Predictions(older.rows, older.labels, older.scores, reference=ScoredReference(np.zeros(3)))
        found = predicted.patients_of(older)
        assert found is not None
        assert "did not record the patients" in predicted.patient_lines(record(), older, found)[-1]

    def test_a_table_has_all_of_them(self):
        found = predicted.patients_of(labelled(3, 7, groups=list(self.GROUPS), beside=9))
        assert found is not None
        table = predicted.patients_table(found)
        assert list(table) == ["patient", "images", "called_used", "highest_score", "p", "q"]
        assert table["patient"].tolist() == ["a", "b", "c", "d", "e", "f"]
        assert table["called_used"].tolist() == [2, 1, 0, 0, 0, 0]
        assert table["p"].tolist() == [0.1] * 6

    def test_without_groups_there_are_none(self):
        assert predicted.patients_of(labelled(1, 2)) is None
