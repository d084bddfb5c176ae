from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.evidence.submission import read_submission


@pytest.fixture
def files(tmp_path):
    def make(predictions: str, truth: str, groups: str | None = None):
        (tmp_path / "run.csv").write_text(predictions)
        (tmp_path / "truth.csv").write_text(truth)
        if groups is not None:
            (tmp_path / "groups.csv").write_text(groups)
        return {
            "predictions": tmp_path / "run.csv",
            "truth": tmp_path / "truth.csv",
            "groups": None if groups is None else tmp_path / "groups.csv",
        }

    return make


def test_labels_are_matched_by_id_whatever_the_order(files):
    answers = read_submission(task_name="usage", **files("b.png,0\na,1\n", "id,label\na,1\nb,1\n"))
    assert answers.truth.tolist() == ["used", "used"]
    assert answers.predicted.tolist() == ["used", "not_used"]
    assert answers.scores is None
    assert answers.groups.tolist() == ["a", "b"]


def test_score_columns_come_in_the_order_of_the_classes(files):
    table = "id,label,score_t2,score_t1\nb,t2,0.9,0.1\na,t1,0.2,0.8\n"
    answers = read_submission(task_name="subset", **files(table, "a,t1\nb,t2\n"))
    assert answers.classes == ("t1", "t2")
    np.testing.assert_allclose(answers.scores, [[0.8, 0.2], [0.1, 0.9]])


def test_usage_scores_are_one_column(files):
    answers = read_submission(task_name="usage", **files("id,label,score\n1,1,2.5\n02,0,-1\n", "02,0\n1,1\n"))
    np.testing.assert_allclose(answers.scores, [-1, 2.5])


def test_groups_are_matched(files):
    answers = read_submission(
        task_name="usage", **files("a,1\nb,0\n", "a,1\nb,0\n", "file,g\na.png,p\nb.png,p\n")
    )
    assert answers.groups.tolist() == ["p", "p"]


@pytest.mark.parametrize(
    ("predictions", "truth", "groups", "said"),
    [
        ("a,1\n", "a,1\nb,0\n", None, "b"),
        ("a,1\nb,0\nc,0\n", "a,1\nb,0\n", None, "c"),
        ("a,1\na,0\nb,1\n", "a,1\nb,0\n", None, "repeated"),
        ("a,2\nb,0\n", "a,1\nb,0\n", None, "not one of"),
        ("a,1\nb,0\n", "a,1\nb,0\n", "file,g\na,p\n", "no group"),
        ("id,label,score\na,1,x\nb,0,1\n", "a,1\nb,0\n", None, "not a number"),
    ],
)
def test_what_does_not_fit_is_named(files, predictions, truth, groups, said):
    with pytest.raises(FingerprintsError, match=said):
        read_submission(task_name="usage", **files(predictions, truth, groups))


def test_a_subset_that_the_truth_lacks_is_refused(files):
    with pytest.raises(FingerprintsError, match="t9"):
        read_submission(task_name="subset", **files("a,t9\nb,t1\n", "a,t1\nb,t2\n"))
