from __future__ import annotations

import pytest

from fingerprints.config.published import TABLE, find_published, read_published
from fingerprints.config.schema import conf_dir, options
from tests.compose import settings

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
    assert found["test"] == {
        "accuracy": 0.5236,
        "precision_weighted": 0.5981,
        "f1_weighted": 0.5326,
        "specificity_weighted": 0.8798,
    }
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
    whens = [(entry["experiment"], sorted(entry["when"].items())) for entry in ENTRIES]
    assert len(set(map(str, whens))) == len(whens)
    assert all(entry["source"] and (entry.get("test") or entry.get("validation")) for entry in ENTRIES)


def test_figures_of_the_2024_test_part_are_those_printed():
    printed = {  # hierarchical, k-means
        ("densenet121", "none"): (0.9965, 0.9347),
        ("lbp", "none"): (0.3293, 0.5036),
        ("mobilenet_v2", "none"): (0.9971, 0.9008),
        ("vgg16", "pca"): (0.5527, 0.6540),
        ("resnet50", "none"): (0.7229, 0.6454),
    }
    found = {
        (
            entry["when"]["encoder.name"],
            entry["when"]["reduction.name"],
            entry["when"]["decision.name"],
        ): entry
        for entry in ENTRIES
        if entry["experiment"] == "features_models" and "test" in entry
    }
    for (encoder, reduction), figures in printed.items():
        for decision, figure in zip(("hierarchical", "kmeans"), figures, strict=True):
            assert found.pop((encoder, reduction, decision))["test"] == {"ari": figure}
    assert not found


def test_a_figure_of_an_embedding_that_is_not_here_stands_beside_no_other():
    shown = [entry for entry in ENTRIES if entry["experiment"] == "tsne_models"]
    assert [entry["when"]["encoder.name"] for entry in shown] == ["painters"]


@pytest.mark.parametrize(("targets", "figures"), [("origin", {"f1_used": 0.638}), ("labels", {})])
def test_a_value_may_be_a_list(targets, figures):
    words = ["filter=binarize", f"training.targets=[{targets}]", "data.root=none"]
    assert settings("experiment=filters_usage", *words).published.test == figures


@pytest.mark.parametrize(
    ("words", "figure"),
    [
        (["experiment=regions_usage"], 0.50225),
        (["experiment=regions_usage", "region=outer", "encoder=densenet121"], 0.527),
        (["experiment=regions_usage", "region=lung", "decision.k=4"], None),
        (["experiment=regions_usage", "decision.cut=out_of_fold"], None),
        (["experiment=autoencoder_usage"], 0.2357),
        (["experiment=autoencoder_usage", "decision=error_map"], 0.6275),
        (["experiment=autoencoder_usage", "training.own_part=true"], None),
    ],
)
def test_systems_of_two_generators_show_their_mean(words, figure, tmp_path):
    assert settings(*words, f"data.root={tmp_path}").published.test.get("f1_used") == figure


def test_a_mean_over_generators_is_their_mean():
    several = [entry for entry in ENTRIES if "generators" in entry]
    assert len(several) >= 8
    for entry in several:
        for metric, mean in entry["test"].items():
            own = [found["test"][metric] for found in entry["generators"].values()]
            assert mean == pytest.approx(sum(own) / len(own), abs=2e-4), entry["source"]
