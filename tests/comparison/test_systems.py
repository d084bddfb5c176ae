from __future__ import annotations

import json

from fingerprints.comparison.paired import compare
from fingerprints.comparison.report import comparison_page
from fingerprints.comparison.systems import finished
from fingerprints.comparison.tables import shown_metrics, wide_table
from fingerprints.reporting.comparison_page import render_markdown
from fingerprints.runs.folder import find_runs
from tests.comparison.conftest import figure


def test_runs_that_are_not_finished_are_named_with_the_reason(workshop):
    truth = workshop.truth()
    workshop.run("runs/good", truth)
    workshop.run("runs/bad", truth, state="failed")
    workshop.run("runs/odd", truth, test={}, task="subset").joinpath("metrics.json").write_text(
        '{"task": "x"}'
    )
    records, others = finished(find_runs(["runs/*"], within=workshop.folder))
    assert [record.name for record in records] == ["good"]
    assert [(job.name, why) for job, why in others] == [
        ("bad", "out of memory"),
        ("odd", "finished, but its metrics.json holds no figures of a task"),
    ]


def test_a_run_given_twice_counts_once(workshop, wrong):
    truth = workshop.truth()
    copied = {"trainer": {"max_epochs": 8, "devices": 1}}
    workshop.run("runs/a", wrong(truth, 0.2), **copied)
    workshop.run("runs/b", wrong(truth, 0.2), **{"trainer": {"max_epochs": 8, "devices": 2}})
    workshop.run("runs/c", wrong(truth, 0.2), seed=1, **copied)  # another seed with the same figures
    workshop.run("runs/d", wrong(truth, 0.3), **copied)  # another result with the same seed
    workshop.run("runs/e", wrong(truth, 0.2), shuffle=True, **copied)
    workshop.run("runs/f", wrong(truth, 0.2), data="data", fingerprint="other data", **copied)
    records, others = finished(find_runs(["runs/*"], within=workshop.folder))
    assert [record.name for record in records] == ["a", "c", "d", "e", "f"]
    assert [(job.name, why) for job, why in others] == [
        ("b", "the same run as a: settings, seed, data and figures are equal")
    ]


def test_epochs_are_those_of_a_training(workshop):
    truth = workshop.truth()
    for name, budget in (("a", {"images_encoded": 7}), ("b", {"images_encoded": 0}), ("c", None)):
        folder = workshop.run(f"runs/{name}", truth, experiment=name, trainer={"max_epochs": 8})
        document = json.loads((folder / "metrics.json").read_text())
        extra = {} if budget is None else {"encoder_budget": budget}
        (folder / "metrics.json").write_text(json.dumps(document | extra))
    data = workshop.only_set()
    assert {system.name: system.epochs for system in data.systems} == {"a": 8, "b": None, "c": 8}
    assert wide_table([data]).set_index("system")["epochs"].dropna().to_dict() == {"a": 8, "c": 8}
    page = render_markdown(
        comparison_page([data], [compare(data, seed=0, permutations=9)], [], patterns=["x"])
    )
    assert page.count("8 epochs") == 2


def test_a_system_is_an_experiment_with_what_its_runs_differ_in_but_seed_and_fold(workshop):
    truth = workshop.truth()
    resnet = {"name": "resnet50", "weights": "default", "input_size": 224}
    for seed in (0, 1):
        workshop.run(f"runs/a{seed}", truth, seed=seed, trainer={"devices": seed + 1})
        workshop.run(f"runs/b{seed}", truth, seed=seed, encoder=resnet)
    workshop.run("runs/c", truth, encoder={**resnet, "input_size": 96})
    workshop.run("runs/d", truth, encoder={**resnet, "weights": "none"})
    workshop.run("runs/e", truth, experiment="other", trainer={"devices": 8})
    workshop.run("runs/f", truth, shuffle=True)
    data = workshop.only_set()
    assert {
        system.name: [run.name for run in system.records]
        for system in data.systems
        if system.kind == "system"
    } == {
        "siamese_subtask2 encoder=siamese_cnn": ["a0", "a1"],
        "siamese_subtask2 encoder=resnet50 weights=default input_size=224": ["b0", "b1"],
        "siamese_subtask2 encoder=resnet50 weights=default input_size=96": ["c"],
        "other": ["e"],
    }
    kinds = {run.name: system.kind for system in data.systems for run in system.records}
    assert (kinds["d"], kinds["f"], kinds["a0"]) == ("random_weights", "control", "system")
    assert data.systems[0].seeds == [0, 1]


def test_the_name_of_a_part_stands_for_its_settings(workshop):
    truth = workshop.truth()
    workshop.run("runs/a", truth, decision={"name": "svm", "kernel": "linear", "c": 1.0})
    workshop.run("runs/b", truth, decision={"name": "kmeans", "restarts": 10})
    data = workshop.only_set()
    assert [system.name for system in data.systems] == [
        "siamese_subtask2 decision=svm",
        "siamese_subtask2 decision=kmeans",
    ]


def test_other_tasks_and_other_data_are_other_tables(workshop):
    truth = workshop.truth()
    workshop.truth(name="other")
    workshop.truth(name="copy")
    workshop.truth(name="usage", task="usage")
    workshop.run("runs/a", truth, fingerprint="aaaa")
    workshop.run("runs/b", truth, fingerprint="bbbb", data="other")
    workshop.run("runs/c", truth, fingerprint="aaaa", data="copy", experiment="other")
    workshop.run("runs/d", ["used"] * 60, fingerprint="aaaa", data="usage", task="usage")
    workshop.run("runs/e", truth, fingerprint="split of seed 1", seed=1)
    found = [sorted(run.name for run in data.records) for data in workshop.sets()]
    assert sorted(found) == [["a", "c", "e"], ["b"], ["d"]]


def test_data_that_changed_under_their_folder_are_other_data(workshop):
    truth = workshop.truth()
    workshop.run("runs/before", truth, fingerprint="old")
    workshop.run("runs/after", truth, fingerprint="new")
    first, second = workshop.sets()
    assert [run.name for run in (*first.records, *second.records)] == ["after", "before"]
    assert "changed between runs" in first.notes[0]


def test_runs_with_and_without_a_reference_are_two_systems_on_the_same_data(workshop):
    truth = workshop.truth()
    workshop.run("runs/without", truth, fingerprint="aaaa")
    workshop.run("runs/with", truth, fingerprint="bbbb", reference="elsewhere")
    data = workshop.only_set()
    assert data.notes == ()
    assert {system.name: len(system.records) for system in data.systems} == {
        "siamese_subtask2": 1,
        "siamese_subtask2 reference=elsewhere": 1,
    }


def test_runs_whose_layouts_rank_otherwise_are_in_one_table_that_says_so(workshop):
    truth = workshop.truth(task="usage")
    figures = {"kappa": figure(0.2), "f1_used": figure(0.7)}
    workshop.run("runs/a", truth, task="usage", fingerprint="aaaa", test=figures)
    workshop.run("runs/b", truth, task="usage", fingerprint="aaaa", test=figures, seed=1)
    assert (workshop.only_set().task.official, workshop.only_set().notes) == ("kappa", ())
    workshop.run("runs/c", truth, task="usage", fingerprint="aaaa", test=figures, official="f1_used")
    data = workshop.only_set()
    assert data.task.official == "f1_used"
    assert data.notes == ("The layouts of these runs rank by kappa or f1_used: here it is f1_used.",)
    assert shown_metrics(data)[:2] == ["f1_used", "kappa"]
    (system,) = data.systems
    assert [record.name for record in system.records] == ["a", "c", "b"]  # by seed
