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
    assert not any("patients" in note for note in answers.notes)


def test_unknown_patients_are_noted(files):
    alone = read_submission(task_name="usage", **files("a,1\nb,0\n", "a,1\nb,0\n"))
    assert any("no groups (patients) were given" in note for note in alone.notes)
    generated = read_submission(task_name="subset", **files("a,t1\nb,t2\n", "a,t1\nb,t2\n"))
    assert not any("patients" in note for note in generated.notes)


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


LABELS = ["t1", "t2", "t3"] * 4
BODY = "".join(f"{number:05d},{label}\n" for number, label in enumerate(LABELS))


@pytest.mark.parametrize("of_run", ["", "image_path,predicted_class\n", "id,label\n"])
@pytest.mark.parametrize("of_truth", ["", "image_path,predicted_class\n", "Bild,Klasse\n"])
def test_a_header_in_either_file_is_no_image(files, of_run, of_truth):
    answers = read_submission(task_name="subset", **files(of_run + BODY, of_truth + BODY))
    assert len(answers.truth) == len(LABELS)
    assert answers.classes == ("t1", "t2", "t3")
    assert len(answers.notes) == bool(of_run) + bool(of_truth)
    assert all("was read as a header" in note for note in answers.notes)


@pytest.mark.parametrize("task", ["usage", "subset", "model"])
def test_a_header_is_found_in_all_tasks(files, task):
    body = "".join(f"{name},{number % 2}\n" for number, name in enumerate("abcd"))
    answers = read_submission(task_name=task, **files("scan,answer\n" + body, "scan,answer\n" + body))
    assert len(answers.truth) == 4


@pytest.mark.parametrize("first", ["id", "NA", "file", "img_7"])
def test_the_first_image_of_both_files_is_an_image(files, first):
    text = f"{first},t9\n" + BODY if first == "img_7" else f"{first},t1\n" + BODY
    answers = read_submission(task_name="subset", **files(text, text))
    assert len(answers.truth) == len(LABELS) + 1


def test_a_label_that_one_image_has_is_known_from_the_other_file(files):
    answers = read_submission(
        task_name="subset", **files("a,lung\nb,lung\nc,bone\n", "a,lung\nb,bone\nc,bone\n")
    )
    assert answers.groups.tolist() == ["a", "b", "c"]


def test_no_image_is_a_missing_value(files):
    truth = "id,label\nr1,0\nr2,1\nnan,0\nNA,1\n"
    run = "id,label,score\nNA,1,.8\nr1,0,.1\nnull.png,1,.9\nnan,0,.2\n"
    answers = read_submission(task_name="usage", **files(run, truth.replace("r2", "null")))
    np.testing.assert_allclose(answers.scores, [0.1, 0.9, 0.2, 0.8])


def test_images_with_two_endings_keep_their_scores(files):
    run = "id,label,score\na.png,1,.9\na,0,.1\n"
    for truth in ("a,0\na.png,1\n", "a.png,0\na.png.png,1\n"):
        answers = read_submission(task_name="usage", **files(run, truth))
        assert answers.predicted.tolist() == answers.truth.tolist() == ["not_used", "used"]
        np.testing.assert_allclose(answers.scores, [0.1, 0.9])


def test_images_of_two_folders_are_named_where_an_id_means_both(files):
    truth = "p1/a.png,0\np2/a.png,1\n"
    answers = read_submission(task_name="usage", **files("p2/a,1\np1/a,0\n", truth))
    assert answers.predicted.tolist() == ["not_used", "used"]
    with pytest.raises(FingerprintsError, match=r"a \(could be p1/a.png or p2/a.png\)"):
        read_submission(task_name="usage", **files("a,1\n", truth))


def test_an_empty_group_is_noted(files):
    answers = read_submission(
        task_name="usage", **files("a,1\nb,0\nc,0\n", "a,1\nb,0\nc,1\n", "a,\nb,p \nc,p\n")
    )
    assert len(set(answers.groups)) == 2
    assert answers.notes == ("1 image(s) have an empty group in groups.csv: each is a group of its own",)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_tables_of_spreadsheets_are_read(files, separator):
    def table(text):
        return text.replace(",", separator).replace("\n", "\r\n")

    given = files(
        table("id,label,score\na,1,0.5\nb,0,0.1\n"), table("\ufeffid,label\na,1\nb,0\n"), table("a,p\nb,q\n")
    )
    answers = read_submission(task_name="usage", **given)
    np.testing.assert_allclose(answers.scores, [0.5, 0.1])
    assert answers.groups.tolist() == ["p", "q"]
