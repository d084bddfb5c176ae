from __future__ import annotations

import pytest

from fingerprints.config.published import TABLE, find_published, read_published
from fingerprints.config.schema import conf_dir, options

ENTRIES = read_published(conf_dir() / TABLE)


def config(**changes):
    made = {
        "name": "features_subtask2",
        "encoder": {"name": "resnet50", "weights": "default"},
        "decision": {"name": "svm", "fit_on": "real", "kernel": "linear"},
    }
    for key, value in changes.items():
        group, name = key.split("__")
        made[group] = {**made[group], name: value}
    return made


def test_a_configuration_finds_what_its_source_prints():
    found = find_published(config(), ENTRIES)
    assert found["test"] == {"accuracy": 0.5236, "precision": 0.5981, "f1": 0.5326, "specificity": 0.8798}
    assert found["validation"] == {"accuracy": 0.5259}
    clusters = find_published(config(decision__name="kmeans"), ENTRIES)
    assert clusters["validation"] == {"accuracy_unmatched": 0.1970}
    assert clusters["test"] == {}


@pytest.mark.parametrize(
    "change",
    [
        {"encoder__weights": "none"},
        {"decision__fit_on": "generated"},
        {"decision__kernel": "rbf"},
        {"encoder__name": "efficientnet_lite0"},
    ],
)
def test_another_system_finds_nothing(change):
    assert find_published(config(), ENTRIES) is not None
    assert find_published(config(**change), ENTRIES) is None


def test_entries_name_experiments_that_there_are_and_no_two_are_the_same():
    assert {entry["experiment"] for entry in ENTRIES} <= set(options("experiment"))
    whens = [(entry["experiment"], *sorted(entry["when"].items())) for entry in ENTRIES]
    assert len(set(whens)) == len(whens)
    assert all(entry["source"] and (entry.get("test") or entry.get("validation")) for entry in ENTRIES)
