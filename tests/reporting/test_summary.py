from __future__ import annotations

from pathlib import Path

import pytest

from fingerprints.reporting import summary


def figure(value, low=None, high=None, chance=None):
    out = {"value": value, "low": low, "high": high, "p": None}
    return out if chance is None else {**out, "chance": chance}


@pytest.fixture
def document():
    return {
        "task": "subset",
        "test": {"accuracy": figure(0.5, 0.4, 0.6, 0.2), "f1": figure(0.45, 0.35, 0.55, 0.19)},
        "validation": {"accuracy": figure(0.55), "f1": figure(None), "pair_accuracy": figure(0.7)},
        "baselines": {
            "majority": {"accuracy": figure(0.2)},
            "histogram_generated": {"accuracy": figure(0.3, 0.2, 0.4)},
            "file": {"accuracy": figure(0.21, 0.1, 0.3)},
        },
        "encoder_budget": {"images_encoded": 1200},
        "verdict": {"headline": "Clear signal."},
    }


def test_main_figure_with_interval_and_chance_and_baselines_beside_it(document):
    assert summary.document_lines(document, Path("OUT")) == [
        "test: accuracy 0.500 [0.400, 0.600] (chance 0.200)  f1 0.450 [0.350, 0.550]",
        "  baselines, accuracy: blind histogram_generated 0.300 [0.200, 0.400], file 0.210 [0.100, 0.300]; "
        "trivial majority 0.200",
        "validation: accuracy 0.550; encoder budget: 1,200 images encoded in training",
        "Clear signal.",
        "report: OUT/report.html",
    ]
    other = {**document, "test": {"accuracy": {"value": 0.25, "low": None, "high": None, "p": None}}}
    assert summary.brief({"theirs": other, "ours": document}) == (
        "test accuracy theirs 0.250, ours 0.500 [0.400, 0.600]; chance 0.200; "
        "best blind baseline 0.300 [0.200, 0.400] (histogram_generated)"
    )


def test_without_truth_validation_is_what_there_is(document):
    document |= {"test": {}, "baselines": {}}
    lines = summary.document_lines(document, Path("OUT"))
    assert lines[0] == "validation: accuracy 0.550; encoder budget: 1,200 images encoded in training"
    document["validation"]["accuracy"]["chosen_on"] = ["threshold"]
    lines = summary.document_lines(document, Path("OUT"))
    assert lines[0].startswith("validation: accuracy 0.550; threshold chosen on these same images; encoder")
    assert summary.brief({"ours": document}) == "validation accuracy ours 0.550"
    assert summary.brief({"ours": {**document, "validation": {}}}) == "validation accuracy ours not known"


@pytest.mark.parametrize("task", ["subset", "usage", "usage_2024"])
def test_every_run_is_said_in_six_lines(task, detected, subset_root, usage_root):
    root = {
        "subset": subset_root,
        "usage": usage_root,
        "usage_2024": lambda: usage_root(generators=("a", "b", "c")),
    }[task]()
    found = detected(root, task)[-1]
    lines = summary.document_lines(found, Path("OUT"))
    assert len(lines) <= 6
    official = found["official"]
    assert official == {"subset": "accuracy", "usage": "kappa", "usage_2024": "f1_used"}[task]
    assert lines[0].startswith("test")
    assert f"{official} " in lines[0]
    assert "(chance " in lines[0]
    assert any("baselines, " in line and "file" in line for line in lines)
    if task == "usage_2024":
        assert "mean of 3 generators" in lines[0]
        assert lines[1].count("[") <= 3
        assert all(name in lines[1] for name in ("a ", "b ", "c "))
    assert "best blind baseline" in summary.brief({"ours": found})
