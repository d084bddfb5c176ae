from __future__ import annotations

import pytest

from fingerprints.comparison import tables
from tests.comparison.conftest import figure


def names(sets):
    return [sorted(run.name for run in data.records) for data in sets]


def test_benchmarks_that_differ_in_their_seed_alone_are_one_data_set(workshop):
    for place, plan in enumerate(
        [{"seed": 0}, {"seed": 1}, {"seed": 2, "steps": 9}, {"seed": 3, "images": "x"}]
    ):
        truth = workshop.truth(name=f"b{place}")
        workshop.plan(f"b{place}", **plan)
        baselines = {"file": {"accuracy": figure(0.4 + 0.1 * place)}}
        workshop.run(f"runs/{place}", truth, data=f"b{place}", baselines=baselines)
    workshop.truth(name="other")
    workshop.run("runs/other", truth, data="other")
    sets = workshop.sets()
    assert names(sets) == [["0", "1"], ["2"], ["3"], ["other"]]
    assert [len(data.benchmarks) for data in sets] == [2, 1, 1, 1]
    (system,) = sets[0].systems
    assert [record.name for record in system.records] == ["0", "1"]
    assert "2 simulated benchmarks of one plan" in sets[0].notes[0]
    (file,) = tables.baselines(sets[0])
    assert file.cells["accuracy"].value == pytest.approx(0.45)
    assert names(workshop.sets(generators="fixed")) == [["0"], ["1"], ["2"], ["3"], ["other"]]


def test_versions_of_one_benchmark_are_no_sample(workshop):
    for place in range(2):
        truth = workshop.truth(name=f"b{place}")
        workshop.plan(f"b{place}", seed=0)
        workshop.run(f"runs/{place}", truth, data=f"b{place}")
    (workshop.folder / "b1" / "benchmark.json").write_text("{")
    assert names(workshop.sets()) == [["0"], ["1"]]
    workshop.plan("b1", seed=0)
    assert names(workshop.sets()) == [["0"], ["1"]]
