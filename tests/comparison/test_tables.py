from __future__ import annotations

import numpy as np
import pytest

from fingerprints.comparison import tables
from fingerprints.data.embedded import FACTS
from tests.comparison.conftest import figure


def test_one_run_keeps_its_interval_and_several_give_mean_and_spread():
    assert tables.cell([figure(0.5, 0.4, 0.6)]) == tables.Cell(0.5, 0.4, 0.6, runs=1)
    values = [0.5, 0.7, 0.9]
    found = tables.cell([figure(v, v - 0.1, v + 0.1) for v in values], printed=0.99)
    assert found.value == pytest.approx(np.mean(values))
    assert found.sd == pytest.approx(np.std(values, ddof=1))
    assert (found.least, found.most, found.runs, found.printed) == (0.5, 0.9, 3, 0.99)
    assert (found.low, found.high) == pytest.approx((0.4, 1.0))
    missing = figure(None, reason="too few")
    assert tables.cell([missing, None]) == tables.Cell(None, reason="too few")
    assert tables.cell([figure(0.5, 0.4, 0.6), missing]).runs == 1


def test_printed_figures_stand_beside_systems_only(workshop):
    truth = workshop.truth()
    published = {"source": "Paper", "test": {"accuracy": 0.99}, "validation": {"accuracy": 0.95}}
    held_out = {"accuracy": figure(0.6)}
    workshop.run("runs/a", truth, published=published, validation=held_out)
    workshop.run("runs/b", truth, published=published, encoder={"name": "resnet18", "weights": "none"})
    workshop.run("runs/c", truth, published=published, shuffle=True)
    data = workshop.only_set()
    printed = {
        system.kind: [tables.system_cell(system, part, "accuracy").printed for part in tables.PARTS]
        for system in data.systems
    }
    assert printed == {"system": [0.99, 0.95], "random_weights": [None, None], "control": [None, None]}
    assert tables.printed_sources(data) == {"Paper": [data.systems[0].name]}


def test_printed_figures_that_a_run_recorded_do_not_stand_beside_a_simulated_benchmark(workshop):
    truth = workshop.truth()
    workshop.run("runs/a", truth, published={"source": "Paper", "test": {"accuracy": 0.99}})
    assert tables.system_cell(workshop.only_set().systems[0], "test", "accuracy").printed == 0.99
    (workshop.folder / "data" / FACTS).write_text("{}")
    data = workshop.only_set()
    assert tables.system_cell(data.systems[0], "test", "accuracy").printed is None
    assert tables.printed_sources(data) == {}


def test_generators_and_their_mean(workshop):
    workshop.truth(task="usage")
    by_generator = {
        name: {"kappa": figure(value)} for name, value in (("m1", 0.1), ("m2", 0.5), ("mean", 0.3))
    }
    workshop.run("runs/a", ["used"] * 60, task="usage", test=by_generator)
    data = workshop.only_set()
    assert tables.generators(data) == ["m1", "m2"]
    assert tables.system_cell(data.systems[0], "test", "kappa").value == 0.3
    table = tables.wide_table([data])
    assert table.loc[0, ["test.kappa", "test.m1.kappa", "test.m2.kappa"]].tolist() == [0.3, 0.1, 0.5]


def test_printed_figures_of_generators_stand_beside_them(workshop):
    workshop.truth(task="usage")
    by_generator = {
        name: {"kappa": figure(value)} for name, value in (("m1", 0.1), ("m2", 0.5), ("mean", 0.3))
    }
    published = {"source": "Paper", "generators": {"m2": {"test": {"kappa": 0.7}}}}
    workshop.run("runs/a", ["used"] * 60, task="usage", test=by_generator, published=published)
    data = workshop.only_set()
    printed = [
        tables.system_cell(data.systems[0], "test", "kappa", generator=name).printed
        for name in (None, "m1", "m2")
    ]
    assert printed == [None, None, 0.7]
    assert tables.printed_sources(data) == {"Paper": [data.systems[0].name]}


def test_baselines_come_once_and_the_best_blind_one_is_named(workshop):
    truth = workshop.truth()
    shuffled = {"file": {"accuracy": figure(0.1)}}
    baselines = {
        "majority": {"accuracy": figure(0.9)},
        "file": {"accuracy": figure(0.4, 0.3, 0.5)},
        "histogram_real": {"accuracy": figure(0.6)},
        "broken": {"accuracy": figure(None)},
    }
    workshop.run("runs/a", truth, shuffle=True, baselines=shuffled)
    workshop.run("runs/b", truth, baselines=baselines)
    found = tables.baselines(workshop.only_set())
    assert [(one.name, one.blind) for one in found][:2] == [("majority", False), ("file", True)]
    assert tables.best_blind(found, "accuracy").name == "histogram_real"
    assert tables.best_blind(found[:1], "accuracy") is None


def test_the_table_has_a_row_for_each_system_best_first(workshop, wrong):
    truth = workshop.truth()
    workshop.run(
        "runs/a", wrong(truth, 0.5), experiment="worse", baselines={"file": {"accuracy": figure(0.4)}}
    )
    for seed in (0, 1):
        workshop.run(
            f"runs/b{seed}",
            wrong(truth, 0.2 + 0.1 * seed),
            experiment="better",
            seed=seed,
        )
    more = {name: figure(0.5) for name in ("accuracy", "accuracy_unmatched", "ari", "nmi")}
    workshop.run("runs/c", truth, experiment="clusters", test=more, seed=5)
    data = workshop.only_set()
    assert tables.shown_metrics(data) == ["accuracy", "f1", "ari", "nmi", "accuracy_unmatched"]
    assert [tables.is_clustering(run) for run in data.records] == [False, False, False, True]
    table = tables.wide_table([data])
    assert table["system"].tolist() == ["better", "worse", "clusters", "file"]
    assert table["test.accuracy"].tolist() == pytest.approx([0.75, 0.5, 0.5, 0.4])
    assert table["test.accuracy_sd"].iloc[0] == pytest.approx(np.std([0.8, 0.7], ddof=1))
    assert table["runs"].iloc[:3].tolist() == [2, 1, 1]
    assert tables.chance(data) == pytest.approx(1 / 3)
