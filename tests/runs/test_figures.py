"""Figures of a document by generator and over them, and what a search maximises."""

from __future__ import annotations

from typing import Any

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import TASKS
from fingerprints.runs.figures import MEAN, by_generator, objective, overall
from fingerprints.runs.figures import figure as figure_of
from tests.runs.conftest import document, figure

ONE: dict[str, Any] = {"auc": figure(0.5), "kappa": figure(None, reason="one class only")}


def test_one_generator_has_no_name() -> None:
    assert by_generator(ONE) == {"": ONE}
    assert overall(ONE) is ONE
    assert figure_of(ONE, "auc") is ONE["auc"]
    assert figure_of(ONE, "f1") is None


def test_several_have_their_recorded_mean() -> None:
    section = {"a": ONE, "b": ONE, MEAN: {"auc": figure(0.6)}}
    assert by_generator(section) is section
    assert overall(section) == {"auc": figure(0.6)}
    assert figure_of(section, "auc") == figure(0.6)


def test_a_mean_that_was_not_recorded_is_computed_if_every_generator_has_the_figure() -> None:
    section = {"a": {"f1": figure(0.2), "auc": figure(0.5)}, "b": {"f1": figure(0.4), "auc": figure(None)}}
    found = figure_of(section, "f1")
    assert found is not None
    assert (found["value"], found["low"]) == (pytest.approx(0.3), None)
    assert overall(section) == {}
    assert figure_of(section, "auc") == figure(None)


def test_an_empty_section_has_nothing() -> None:
    assert by_generator({}) == overall({}) == {}
    assert figure_of({}, "auc") is None


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_every_task_says_what_a_search_maximises(task: Any) -> None:
    found = {"task": task.name, "validation": {task.objective: figure(0.7)}, "test": {}}
    assert objective(found) == 0.7


class TestObjective:
    def test_a_figure_by_name(self) -> None:
        assert objective(document("subset", 0.5), "test.f1") == 0.5

    def test_validation_is_the_default(self) -> None:
        assert objective(document("subset", 0.5)) == pytest.approx(0.55)
        usage = document("usage", 0.5)
        usage["validation"]["auc"] = figure(0.9)
        assert objective(usage) == 0.9

    def test_mean_over_generators(self) -> None:
        several = document("usage", 0.5, generators=("a", "b"))
        assert objective(several, "test.kappa") == pytest.approx(0.55)
        several["test"]["mean"] = {"kappa": figure(0.1)}  # as recorded, where it was
        assert objective(several, "test.kappa") == 0.1
        several["validation"]["a"]["pair_accuracy"] = figure(0.25)
        assert objective(several, "validation.pair_accuracy") == 0.25

    @pytest.mark.parametrize("metric", ["validation.acuracy", "accuracy", "baselines.accuracy", "test"])
    def test_unknown_figures_name_those_there_are(self, metric: str) -> None:
        with pytest.raises(FingerprintsError, match="not among") as caught:
            objective(document("subset", 0.5), metric)
        assert caught.value.fix == "one of validation.accuracy, validation.f1, test.accuracy, test.f1"

    @pytest.mark.parametrize("generators", [(), ("a", "b")])
    def test_a_figure_without_a_value_says_why(self, generators: tuple[str, ...]) -> None:
        found = document("usage", 0.5, generators=generators)
        level = found["validation"].get("a", found["validation"])
        level["auc"] = figure(None, reason="one class only")
        with pytest.raises(FingerprintsError, match="one class only"):
            objective(found, "validation.auc")

    def test_nothing_held_out(self) -> None:
        with pytest.raises(FingerprintsError) as caught:
            objective({"task": "subset", "validation": {}, "test": {}})
        assert "data.validation" in str(caught.value)
