from __future__ import annotations

import shutil

import numpy as np
import pytest
from scipy.stats import t

from fingerprints.comparison.answers import matched_answers, read_truth
from fingerprints.comparison.paired import compare, find_baseline
from fingerprints.core.errors import FingerprintsError
from tests.comparison.conftest import figure

DRAWS = {"seed": 0, "permutations": 199}


@pytest.fixture
def three(workshop, wrong):
    """Three systems, the best with two seeds, and a control that must not be compared."""
    truth = workshop.truth(n=300)
    workshop.run("runs/a", wrong(truth, 0.5), experiment="poor")
    workshop.run("runs/b", wrong(truth, 0.32, seed=1), experiment="fair")
    for seed in (0, 1):
        answers = wrong(truth, 0.30, seed=2 + seed)
        workshop.run(f"runs/c{seed}", answers, experiment="good", seed=seed)
    workshop.run("runs/d", truth, experiment="good", shuffle=True)
    return workshop


def test_systems_are_compared_with_the_best_for_every_pair_there_is(three):
    data = three.only_set()
    found = compare(data, **DRAWS)
    assert found.reference.name == "good"
    assert [row.system.name for row in found.rows] == ["fair", "poor"]
    fair, poor = (row.paired for row in found.rows)
    assert (fair.difference, poor.difference) == (pytest.approx(-0.02), pytest.approx(-0.2))
    assert poor.high < 0 < fair.high
    assert found.family == 3
    assert poor.p == pytest.approx(1 / 200)
    assert found.rows[1].holm == found.rows[1].benjamini_hochberg == pytest.approx(3 / 200)
    assert "3 comparison(s) (all possible pairs" in found.notes[-1]


def test_there_are_trades_enough_for_the_number_of_comparisons(three):
    data = three.only_set()
    found = compare(data, seed=0, permutations=9)
    assert found.rows[1].paired.p == pytest.approx(1 / 120)
    assert found.rows[1].holm == pytest.approx(0.025)


def test_a_baseline_can_be_named(three):
    sets = three.sets()
    for name in ("poor", "a", str(three.folder / "runs" / "a")):
        (system,) = find_baseline(sets, name)
        assert system.name == "poor"
    found = compare(sets[0], baseline=system, **DRAWS)
    assert (found.reference.name, found.family) == ("poor", 2)
    assert found.rows[0].paired.difference == pytest.approx(0.2)
    with pytest.raises(FingerprintsError, match="no system 'pour'") as error:
        find_baseline(sets, "pour")
    assert error.value.fix == "baseline=poor"


def test_without_data_there_are_no_differences_but_a_note(three):
    data = three.only_set()
    shutil.rmtree(three.folder / "data")
    found = compare(data, **DRAWS)
    assert found.rows == ()
    assert "No paired differences: The truth file does not exist" in found.notes[0]


def test_a_run_about_other_images_is_left_out_by_name(three):
    (three.folder / "runs" / "b" / "run.csv").write_text("g0,t1\n")
    data = three.only_set()
    found = compare(data, **DRAWS)
    assert [row.system.name for row in found.rows] == ["poor"]
    assert "'fair' is in no paired difference" in found.notes[0]


def test_clusters_are_matched_to_classes_before_they_are_compared(workshop, wrong):
    truth = workshop.truth(n=90)
    right = {"accuracy": figure(0.9), "accuracy_unmatched": figure(0.0)}
    named = dict(zip(("t1", "t2", "t3"), ("2", "0", "1"), strict=True))
    answers = wrong(truth, 0.1)
    workshop.run("runs/a", [named[label] for label in answers], experiment="kmeans", test=right)
    workshop.run("runs/b", answers, experiment="svm")
    data = workshop.only_set()
    first, second = data.records
    part = read_truth(first)
    np.testing.assert_array_equal(matched_answers(first, part), matched_answers(second, part))
    (row,) = compare(data, **DRAWS).rows
    assert (row.paired.difference, row.paired.p, row.paired.discordant) == (0, 1, 0)


def test_generators_are_averaged_and_groups_are_read(workshop, write_image):
    truth = workshop.truth(n=80, task="usage")
    sources = [
        {"pattern": "test/{generator}/*", "domain": "real", "part": "test", "label": None, "generator": None}
    ]
    for i in range(80):
        path = workshop.folder / "data" / "test" / ("m1" if i < 20 else "m2") / f"g{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")  # only its name is read
    lines = ["file,group", *(f"test/{'m1' if i < 20 else 'm2'}/g{i}.png,p{i // 2}" for i in range(80))]
    (workshop.folder / "data" / "groups.csv").write_text("\n".join(lines))
    half = [label if i >= 20 else "used" for i, label in enumerate(truth)]  # kappa 0 on m1, 1 on m2
    levels = {name: {"kappa": figure(value)} for name, value in (("m1", 1.0), ("m2", 1.0), ("mean", 1.0))}
    workshop.run("runs/a", truth, task="usage", experiment="right", test=levels, sources=sources)
    levels = {name: {"kappa": figure(value)} for name, value in (("m1", 0.0), ("m2", 1.0), ("mean", 0.5))}
    workshop.run("runs/b", half, task="usage", experiment="half", test=levels, sources=sources)
    data = workshop.only_set()
    part = read_truth(data.records[0])
    assert (set(part.generators), len(set(part.groups)), part.grouped_by) == (
        {"m1", "m2"},
        40,
        "groups of groups.csv",
    )
    (row,) = compare(data, **DRAWS).rows
    assert row.paired.difference == pytest.approx(-0.5)
    assert row.paired.n_groups == 40


def test_benchmarks_of_one_plan_are_compared_over_their_generators(planned):
    data = planned.only_set()
    (row,) = compare(data, **DRAWS).rows
    apart = np.array([-0.25, 0.05, -0.2, 0.0])
    assert row.paired.difference == pytest.approx(apart.mean())
    alone = np.std(apart, ddof=1) / 2 * t.ppf(0.975, 3)
    fixed = [compare(data, generators="fixed", **DRAWS) for data in planned.sets(generators="fixed")]
    assert len(fixed) == 4
    (patients,) = compare(data, generators="fixed", **DRAWS).rows
    half = [(one.high - one.low) / 2 for one in (row.paired, patients.paired)]
    assert half[0] == pytest.approx(np.hypot(alone, half[1]))
    assert patients.paired.high < 0 < row.paired.high
    assert row.paired.p > 0.05 > patients.paired.p
    notes = compare(data, **DRAWS).notes
    assert "Intervals cover 200 groups and 4 generators" in notes[1]
    assert "Intervals cover 200 groups (" in compare(data, generators="fixed", **DRAWS).notes[1]


def test_a_system_that_lacks_a_benchmark_is_named_and_runs_count_by_benchmark(planned, wrong):
    truth = planned.truth(n=200, name="b0")
    answers = wrong(truth, 0.3, seed=3)
    planned.run("runs/half", answers, experiment="half", data="b0")
    planned.run("runs/good0b", answers, experiment="good", data="b0", seed=1)
    found = compare(planned.only_set(), **DRAWS)
    assert found.notes[0].startswith("'half' is in no paired difference: it has no run on benchmark 2 of 4")
    (row,) = found.rows
    assert row.paired.difference == pytest.approx(np.mean([-0.15, 0.05, -0.2, 0.0]))


def test_generators_of_one_benchmark_are_a_sample_unless_they_are_fixed(workshop):
    truth = workshop.truth(n=80, task="usage")
    sources = [
        {"pattern": "test/{generator}/*", "domain": "real", "part": "test", "label": None, "generator": None}
    ]
    for i in range(80):
        path = workshop.folder / "data" / "test" / f"m{i // 20}" / f"g{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    levels = {f"m{i}": {"kappa": figure(0.5)} for i in range(4)}
    levels["mean"] = {"kappa": figure(0.5)}
    for name, every in (("a", 10), ("b", 7)):
        answers = [label if i % every else "used" for i, label in enumerate(truth)]
        workshop.run(f"runs/{name}", answers, task="usage", experiment=name, test=levels, sources=sources)
    data = workshop.only_set()
    random, fixed = (compare(data, generators=kind, **DRAWS) for kind in ("random", "fixed"))
    assert "80 groups and 4 generators" in random.notes[1]
    assert random.rows[0].paired.high > fixed.rows[0].paired.high
    assert "these generators alone" in fixed.notes[1]
