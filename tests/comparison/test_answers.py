"""What is true of a test part, and what runs answered to it."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.comparison.answers import matched_answers, read_answers, read_truth
from fingerprints.core.errors import FingerprintsError
from fingerprints.data.runfiles import write_run_file
from tests.comparison.conftest import CLASSES, figure
from tests.comparison.conftest import _lines as write_rows

SOURCES = [{"pattern": "test/*", "domain": "real", "part": "test", "label": None, "generator": None}]
TWO_GENERATORS = [{**SOURCES[0], "pattern": "test/{generator}/*"}]


def put_images(workshop, *names):
    for name in names:
        path = workshop.folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")  # only its name is read


def run_of(workshop, answers, **options):
    workshop.run("runs/a", answers, **options)
    (run,) = workshop.only_set().records
    return run


def test_truth_is_in_the_order_of_its_file_and_images_are_their_own_groups(workshop):
    labels = workshop.truth(n=6)
    truth = read_truth(run_of(workshop, labels))
    assert truth.ids == ("g0", "g1", "g2", "g3", "g4", "g5")
    assert truth.labels.tolist() == labels
    assert truth.groups.tolist() == list(truth.ids)
    assert set(truth.generators) == {""}
    assert truth.classes == ("t1", "t2", "t3")
    assert truth.grouped_by == "each generated image is a group of its own"


def test_images_of_patients_without_groups_make_intervals_too_narrow(workshop):
    run = run_of(workshop, workshop.truth(n=4, task="usage"), task="usage")
    assert "intervals are too narrow" in read_truth(run).grouped_by


def test_groups_belong_to_files_and_an_image_without_one_is_a_group(workshop):
    labels = workshop.truth(n=4, task="usage")
    put_images(workshop, *(f"test/g{i}.png" for i in range(4)))
    (workshop.folder / "data" / "groups.csv").write_text("file,group\ntest/g0.png,p\ntest/g1.png,p\n")
    truth = read_truth(run_of(workshop, labels, task="usage", sources=SOURCES))
    assert truth.groups.tolist() == ["p", "p", "test/g2.png", "test/g3.png"]
    assert truth.grouped_by == "groups of groups.csv"


def test_which_generator_an_image_belongs_to_is_known_by_its_folder_alone(workshop):
    labels = workshop.truth(n=4, task="usage")
    levels = {name: {"kappa": figure(0.5)} for name in ("m1", "m2", "mean")}
    run = run_of(workshop, labels, task="usage", test=levels, sources=TWO_GENERATORS)
    with pytest.raises(FingerprintsError, match="Images of the test part no longer exist"):
        read_truth(run)
    put_images(workshop, "test/m1/g0.png", "test/m1/g1.png", "test/m2/g2.png", "test/m2/g3.png")
    assert read_truth(run).generators.tolist() == ["m1", "m1", "m2", "m2"]


def test_a_test_part_of_its_own_is_read_where_it_is(workshop):
    labels = workshop.truth(n=4, task="usage")
    run = run_of(workshop, labels, task="usage", sources=SOURCES)
    test_root = workshop.folder / "download"
    put_images(workshop, *(f"../download/deeper/g{i}.png" for i in range(4)))
    truth = workshop.folder / "data" / "test_truth.csv"
    run.config["data"]["test_root"] = "download"  # relative to where the run was started
    assert read_truth(run).groups.tolist() == [f"test/deeper/g{i}.png" for i in range(4)]
    truth.rename(test_root / "test_truth.csv")
    assert read_truth(run).labels.tolist() == labels


def test_a_run_that_names_no_data_has_no_truth(workshop):
    run = run_of(workshop, workshop.truth())
    run.config["data"]["root"] = None
    with pytest.raises(FingerprintsError, match="names no data"):
        read_truth(run)


def test_answers_come_in_the_order_of_the_truth(workshop):
    labels = workshop.truth(n=3, task="usage")
    run = run_of(workshop, labels, task="usage")
    (run.folder / "run.csv").write_text("g2,1\ng0,0\ng1,0\n")
    assert read_answers(run, read_truth(run)).tolist() == ["not_used", "not_used", "used"]
    (run.folder / "run.csv").unlink()
    with pytest.raises(FingerprintsError, match="run file does not exist"):
        read_answers(run, read_truth(run))


def test_a_truth_file_may_name_files_below_a_header(workshop):
    labels = workshop.truth(n=4)
    path = workshop.folder / "data" / "test_truth.csv"
    rows = [f"test/g{number}.png;{label}\n" for number, label in enumerate(labels)]
    path.write_text("".join(["picture;origin\n", *rows]))
    run = run_of(workshop, labels, test={"accuracy": figure(1.0)})
    truth = read_truth(run)  # without images, the run file knows their ids
    assert truth.ids == ("g0", "g1", "g2", "g3")
    assert truth.labels.tolist() == read_answers(run, truth).tolist() == labels
    put_images(workshop, *(f"test/g{i}.png" for i in range(4)))
    run.config["data"]["sources"] = [{**SOURCES[0], "domain": "generated"}]
    assert read_truth(run).ids == truth.ids


def test_awkward_ids_of_own_run_files_are_read_back(workshop):
    ids = ["x.png", "x", "NA", "001", "a,b", 'q"', "id", "u\u0308"]
    labels = [CLASSES[number % 3] for number in range(len(ids))]
    workshop.truth(n=3)
    write_rows(
        workshop.folder / "data" / "test_truth.csv",
        [(f"{i}.png", x) for i, x in zip(ids, labels, strict=True)],
    )
    run = run_of(workshop, labels[:3], test={"accuracy": figure(1.0)})
    write_run_file(run.folder / "run.csv", ids, labels, run.task)
    put_images(workshop, *(f"test/{i}.png" for i in ids))
    for sources in ([], [{**SOURCES[0], "domain": "generated"}]):
        run.config["data"]["sources"] = sources
        truth = read_truth(run)
        assert truth.ids == tuple(ids) or not sources
        assert read_answers(run, truth).tolist() == truth.labels.tolist() == labels


def test_an_empty_group_is_said(workshop):
    run = run_of(workshop, workshop.truth(n=3, task="usage"), task="usage")
    (workshop.folder / "data" / "groups.csv").write_text("g0, p\ng1,\ng2,p \n")
    truth = read_truth(run)
    assert [truth.groups[0] == group for group in truth.groups] == [True, False, True]
    assert truth.grouped_by == (
        "groups of groups.csv; 1 image(s) have an empty group in groups.csv: each is a group of its own"
    )


def test_names_of_clusters_become_names_of_classes(workshop):
    labels = workshop.truth(n=9, task="model")
    names = dict(zip(("t1", "t2", "t3"), ("7", "0", "x"), strict=True))
    run = run_of(workshop, [names[label] for label in labels], task="model", test={"ari": figure(1.0)})
    truth = read_truth(run)
    assert set(read_answers(run, truth)) == {"7", "0", "x"}
    np.testing.assert_array_equal(matched_answers(run, truth), truth.labels)
