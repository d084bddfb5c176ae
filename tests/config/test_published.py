from __future__ import annotations

import copy

import pytest

from fingerprints.config.published import (
    TABLE,
    find_caveats,
    find_published,
    has_random_weights,
    read_published,
)
from fingerprints.config.roots import PrintedFigures, PublishedSettings
from fingerprints.config.schema import caveats, conf_dir, options
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import build, plain
from fingerprints.data.embedded import FACTS, embedded_benchmark
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


def printed(config):
    return find_published(config, ENTRIES, caveats=find_caveats(config, {}))


def test_a_configuration_finds_what_its_source_prints():
    found = printed(config())
    assert found["test"] == {
        "accuracy": 0.5236,
        "precision_weighted": 0.5981,
        "f1_weighted": 0.5326,
        "specificity_weighted": 0.8798,
    }
    assert found["validation"] == {"accuracy": 0.5259}
    clusters = printed(config(decision__name="kmeans", decision__cluster_on="real"))
    assert clusters["training"] == {"accuracy_unmatched": 0.1970}
    assert "test" not in clusters


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
    assert printed(config()) is not None
    assert printed(config(**change)) is None


def test_values_of_the_table_are_settings():
    for entry in ENTRIES:
        values = {key: value for key, value in entry.items() if key not in ("experiment", "when")}
        made = build(PublishedSettings, values)
        assert build(PublishedSettings, plain(made)) == made
        places = [made, *made.generators.values(), *made.runs.values()]
        assert any(place != PrintedFigures() for place in places)


@pytest.mark.parametrize(
    ("stage", "value"),
    [
        ("filter", {"name": "binarize"}),
        ("region", {"name": "lung"}),
        ("reduction", {"name": "pca"}),
        ("data", {"shuffle_labels": True}),
        ("data", {"leave_out": "t1"}),
    ],
)
def test_a_changed_stage_or_changed_labels_find_nothing(stage, value):
    assert printed(config() | {stage: value}) is None
    usual = {"filter": "none", "region": "full", "reduction": "none"}
    same = {"name": usual[stage]} if stage in usual else {"shuffle_labels": False, "leave_out": None}
    assert printed(config() | {stage: same}) is not None


def test_a_simulated_benchmark_finds_nothing(tmp_path):
    assert printed(config() | {"data": {"root": str(tmp_path)}}) is not None
    (tmp_path / FACTS).write_text("{}")
    assert printed(config() | {"data": {"root": str(tmp_path)}}) is None


def test_one_random_encoder_of_several_is_enough():
    several = [{"name": "dinov2", "weights": "default"}, {"name": "resnet50", "weights": "none"}]
    assert has_random_weights({"name": "concatenated", "encoders": several})
    assert not has_random_weights({"name": "concatenated", "encoders": several[:1]})
    assert not has_random_weights({"name": "siamese_cnn", "weights": None})


@pytest.mark.parametrize(
    ("experiment", "test", "validation"),
    [
        ("siamese_subtask1", 0.5180, None),
        ("metric_subtask1", 0.5180, None),
        ("siamese_subtask2", 0.9904, 1.0),
        ("metric_subtask2", 0.9904, 1.0),
    ],
)
def test_siamese_experiments_have_their_figures_at_full_length_only(experiment, test, validation, tmp_path):
    words = [f"experiment={experiment}", f"data.root={tmp_path}"]
    found = settings(*words).published
    assert found.test["accuracy"] == test
    assert found.validation.get("pair_accuracy") == validation
    assert "accuracy" not in found.validation
    shorter = ["pairing.pairs_per_epoch=50"] if experiment.startswith("siamese") else []
    for change in ("trainer.max_epochs=8", "encoder.weights=FILE", *shorter):
        assert settings(*words, change).published == PublishedSettings(), change


FULL = "siamese_subtask1"
TRAINED = {
    "name": FULL,
    "task": "usage",
    "data": {"name": "imageclef2025_usage", "folds": 5, "fold": None},
    "encoder": {"name": "siamese_cnn", "weights": None},
    "pairing": {"name": "random", "pairs_per_epoch": None},
    "training": {"name": "pairs"},
    "decision": {"name": "distance"},
    "trainer": {"max_epochs": 30},
}
SHORT = "shortened training"


@pytest.mark.parametrize(
    ("changes", "label", "why"),
    [
        ({}, None, "as the experiment has it"),
        ({"trainer.max_epochs": 60, "data.folds": 9}, None, "longer"),
        ({"trainer.max_epochs": 8}, SHORT, "trainer.max_epochs is 8 and not 30"),
        ({"name": "autoencoder_usage", "training.name": "reconstruction"}, SHORT, "30 and not 200"),
        ({"data.folds": 2}, SHORT, "data.folds is 2 and not 5"),
        ({"data.folds": 2, "task": "subset"}, None, "its folds are not trained"),
        ({"data.folds": 2, "task": "subset", "data.fold": 0}, SHORT, "data.folds is 2 and not 5"),
        ({"pairing.pairs_per_epoch": 9}, SHORT, "pairing.pairs_per_epoch is 9 and not all"),
        ({"pairing.name": "all", "pairing.pairs_per_epoch": 9}, None, "no key of that option"),
        ({"trainer.max_epochs": 1, "training.name": "frozen"}, None, "nothing is trained"),
        ({"trainer.max_epochs": 1, "name": "of_somebody_else"}, None, "not known"),
        ({"encoder.weights": "none"}, "random weights", "encoder.weights=none"),
        ({"data.shuffle_labels": True}, "shuffled labels", "chance"),
        ({"data.leave_out": "t1"}, "open set", "subset t1"),
    ],
)
def test_a_run_that_proves_less_than_it_seems_says_so(changes, label, why):
    made = copy.deepcopy(TRAINED)
    for key, value in changes.items():
        *group, name = key.split(".")
        (made[group[0]] if group else made)[name] = value
    found = caveats(made)
    assert [caveat.label for caveat in found] == ([] if label is None else [label]), why
    if label is not None:
        assert why in found[0].reason
        assert find_published(made, [{"experiment": made["name"], "when": {}}], caveats=found) is None


def test_phantoms_and_simulated_benchmarks_are_told_apart(tmp_path):
    phantoms = embedded_benchmark("imageclef2025_usage")
    assert phantoms is not None
    (tmp_path / FACTS).write_text("{}")
    for root, label in ((phantoms.root, "phantoms: not patients"), (tmp_path, "simulated benchmark")):
        assert [caveat.label for caveat in caveats(config(), root=root)] == [label]
    assert caveats({"name": "of an earlier version"}) == []


@pytest.mark.parametrize("change", ["encoder=resnet18", "decision=knn", "pairing=all"])
def test_another_encoder_or_decision_is_not_the_siamese_network(change, tmp_path):
    words = ["experiment=siamese_subtask2", f"data.root={tmp_path}"]
    assert settings(*words, change).published == PublishedSettings()


def test_runs_and_parts_of_subtask_1_are_kept_apart(tmp_path):
    found = settings("experiment=siamese_subtask1", f"data.root={tmp_path}").published
    assert found.test["kappa"] == 0.036
    assert found.runs["run 1492"].test["kappa"] == -0.044
    assert [run.training["kappa"] for run in found.runs.values() if run.training] == [0.35, 0.50]
    assert found.training == {}  # it is not known which run has which


def test_figures_beside_a_generator_are_its_own():
    found = PublishedSettings(test={"f1_used": 0.5}, generators={"m1": PrintedFigures(test={"f1_used": 0.4})})
    assert [found.beside(name).test for name in ("", "mean", "m1", "m2")] == [
        {"f1_used": 0.5},
        {"f1_used": 0.5},
        {"f1_used": 0.4},
        {},
    ]


@pytest.mark.parametrize("word", ["+published.test.mine=0.5", "published.source=mine"])
def test_figures_are_given_in_the_table_only(word, tmp_path):
    with pytest.raises(FingerprintsError) as caught:
        settings("experiment=siamese_subtask2", f"data.root={tmp_path}", word)
    assert caught.value.where == "published"


def test_entries_name_experiments_that_there_are_and_no_two_are_the_same():
    assert {entry["experiment"] for entry in ENTRIES} <= set(options("experiment"))
    whens = [(entry["experiment"], sorted(entry["when"].items())) for entry in ENTRIES]
    assert len(set(map(str, whens))) == len(whens)
    assert all(entry["source"] for entry in ENTRIES)


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


@pytest.mark.parametrize(
    ("words", "figures"),
    [
        (["experiment=vcmi_usage"], [0.801]),
        (["experiment=multiformer_usage"], [0.470, 0.500]),
        (["experiment=multiformer_usage", "reduction=autoencoder"], [0.470, 0.500]),
        (["experiment=multiformer_usage", "filter=none"], []),
    ],
)
def test_figures_of_runs_that_a_source_does_not_describe_stand_beside_no_run_of_ours(words, figures):
    found = settings(*words, "data.root=none").published
    assert found.test == {}
    assert [run.test["f1_used"] for run in found.runs.values()] == figures
