"""The three tasks and how their labels are written."""

from __future__ import annotations

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import TASKS, Task, get_task


def test_units_and_metrics_are_those_of_the_challenge() -> None:
    facts = {name: (task.name, task.unit, task.official) for name, task in TASKS.items()}
    assert facts == {
        "usage": ("usage", "real", "kappa"),
        "subset": ("subset", "generated", "accuracy"),
        "model": ("model", "generated", "ari"),
    }
    assert TASKS["usage"].classes == ("not_used", "used")
    assert TASKS["usage"].positive == "used"


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_summaries_name_the_official_metric_first_and_what_a_search_maximises(task: Task) -> None:
    assert task.headline[0] == task.official
    assert task.objective in task.headline


def test_an_edition_may_rank_by_another_metric() -> None:
    usage = get_task("usage", official="f1_used")
    assert (usage.official, usage.headline) == ("f1_used", ("f1_used", "kappa", "auc", "accuracy"))
    assert (usage.name, usage.classes, usage.objective) == ("usage", TASKS["usage"].classes, "auc")
    assert get_task("usage", official=None) is get_task("usage").ranked_by(None) is TASKS["usage"]
    assert get_task("subset", official="f1").headline == ("f1", "accuracy")
    for name, metric in (("usage", "ari"), ("subset", "f1_used")):
        with pytest.raises(FingerprintsError, match=f"'{name}' cannot be ranked by '{metric}'"):
            get_task(name, official=metric)


@pytest.mark.parametrize(("written", "label"), [("1", "used"), ("0", "not_used")])
def test_usage_labels_are_written_as_digits(written: str, label: str) -> None:
    usage = get_task("usage")
    assert usage.to_run(label) == written
    assert usage.from_run(written) == usage.from_run(f" {written} ") == usage.from_run(label) == label


def test_other_labels_are_written_as_they_are() -> None:
    for name in ("subset", "model"):
        assert get_task(name).to_run("t1") == get_task(name).from_run(" t1 ") == "t1"
    assert get_task("usage").from_run("2") == "2"


def test_unknown_task_names_the_nearest() -> None:
    with pytest.raises(
        FingerprintsError, match="no task 'subsets'; the tasks are usage, subset, model"
    ) as error:
        get_task("subsets")
    assert error.value.fix == "task=subset"
    with pytest.raises(FingerprintsError, match="choose one"):
        get_task("xyz")
