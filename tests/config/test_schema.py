"""Roots, groups and options, composed by Hydra and checked."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from fingerprints.config.overrides import EXTRAS, check_overrides
from fingerprints.config.schema import (
    ROOT_GROUPS,
    STAGES,
    build_root,
    conf_dir,
    option_class,
    options,
    written,
)
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import build, plain, registered
from tests.compose import composed, settings

SUBTASK2 = ("experiment=siamese_subtask2", "data.root=DIR")


@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_composes_and_is_valid(experiment):
    found = settings(f"experiment={experiment}", "data.root=DIR")
    assert found.name == experiment
    assert found.trainer.max_epochs == {"classifier_models": 200, "autoencoder_usage": 200}.get(
        experiment, 30
    )
    assert found.data.sources


@pytest.mark.parametrize(
    "words",
    [
        "experiment=vcmi_usage encoder=resnet50 decision.metric=mse decision.rule=retrieval",
        "experiment=vcmi_usage encoder.side=256",
        "experiment=similarity_usage filter=noise filter.domain=real filter.kind=salt_pepper",
        "experiment=similarity_usage encoder=pixels decision.metric=ssim",
        "experiment=multiformer_usage encoder.encoders=[blip] reduction=autoencoder decision.cut=mean",
    ],
)
def test_other_settings_that_the_files_of_experiments_name_compose(words):
    given = [*words.split(), "data.root=DIR"]
    check_overrides(given, "train")
    settings(*given)


@pytest.mark.parametrize("group", [*STAGES, "generator"])
def test_every_option_has_a_class_and_every_name_is_an_option(group):
    assert set(registered(group)) <= set(options(group))
    for option in options(group):
        assert option_class(group, option) is not None, option


def test_a_file_says_more_than_its_class():
    for group in STAGES:
        for path in (conf_dir() / group).glob("*.yaml"):
            values = {key: value for key, value in written(group, path.stem).items() if key != "defaults"}
            assert values, path


@pytest.mark.parametrize("group", ["data", "trainer", "callbacks", "logger", "filter", "region"])
def test_every_option_of_a_group_composes(group):
    assert options(group)
    for option in options(group):
        sources = ["data.sources=[]"] if option == "generic" else []
        found = settings("experiment=siamese_subtask2", f"{group}={option}", "data.root=DIR", *sources)
        asked = written(group, option).keys() - {"defaults"}
        assert plain(getattr(found, group)).keys() >= asked, option


@pytest.mark.parametrize("group", ["encoder", "decision", "reduction", "training", "pairing"])
def test_every_option_of_a_stage_composes(group):
    assert options(group)
    for option in options(group):
        found = settings("experiment=siamese_subtask2", f"{group}={option}", "data.root=DIR")
        assert isinstance(getattr(found, group), option_class(group, option)), option


def sweep_options():
    """Each option of `sweep`, skipped where its extra is not installed."""
    marked = []
    for option in options("sweep"):
        module, extra = EXTRAS.get(f"sweep={option}", ("", ""))
        there = not module or importlib.util.find_spec(f"hydra_plugins.{module}") is not None
        skip = pytest.mark.skipif(not there, reason=f"needs the extra {extra}")
        marked.append(pytest.param(option, marks=skip))
    return marked


@pytest.mark.parametrize("option", sweep_options())
def test_every_sweep_composes_and_changes_no_job(option):
    words = ("experiment=siamese_subtask2", "data.root=DIR", "trainer.devices=2")
    cfg = composed(*words, f"sweep={option}", hydra=True)
    assert cfg.hydra.mode.name == "MULTIRUN"
    params = dict(cfg.hydra.sweeper.params or {})
    assert bool(params) == (option not in ("side_by_side", "slurm"))
    check_overrides([f"{key}={value}" for key, value in params.items()], "train")
    assert composed(*words, f"sweep={option}") == composed(*words)


def test_sweeps_can_be_combined():
    cfg = composed("experiment=siamese_subtask2", "sweep=[seeds,folds]", "data.folds=3", hydra=True)
    assert cfg.hydra.sweeper.params == {"seed": "range(5)", "data.fold": "range(3)"}


def test_slurm_has_a_task_for_each_device():
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    words = ("experiment=siamese_subtask2", "sweep=slurm", "trainer.devices=4", "trainer.num_nodes=2")
    launcher = composed(*words, hydra=True).hydra.launcher
    assert (launcher.nodes, launcher.tasks_per_node, launcher.gpus_per_node) == (2, 4, 4)


def test_jobs_of_several_experiments_share_a_folder():
    for experiment in ("siamese_subtask1", "metric_subtask2"):
        folders = composed(f"experiment={experiment}", "paths.outputs=O", hydra=True).hydra
        assert Path(folders.run.dir).parent == Path("O", experiment)
        assert Path(folders.sweep.dir).parent == Path("O/sweeps")
        given = composed(f"experiment={experiment}", "run_dir=OUT", hydra=True).hydra
        assert (given.run.dir, given.sweep.dir) == ("OUT", "OUT")


def test_a_search_does_not_look_at_the_test_part():
    assert settings(*SUBTASK2, "objective=validation.f1").objective == "validation.f1"
    with pytest.raises(FingerprintsError, match=r"test\.accuracy") as caught:
        settings(*SUBTASK2, "objective=test.accuracy")
    assert caught.value.where == "objective"


def test_without_a_run_dir_none_is_recorded():
    assert settings(*SUBTASK2).run_dir is None


def test_experiments_are_deltas_that_win_over_root_values():
    cfg = composed("experiment=metric_subtask2", "data.root=DIR")
    assert cfg.pairing.name == "all"
    assert cfg.encoder.batch_norm is True
    assert cfg.training.optimiser.schedule == "cosine"
    assert composed(
        "experiment=metric_subtask2", "training.optimiser.schedule=constant"
    ).training.optimiser.lr == (cfg.training.optimiser.lr)


def test_published_protocol_is_what_the_sources_say():
    for experiment in ("siamese_subtask1", "siamese_subtask2"):
        cfg = composed(f"experiment={experiment}", "data.root=DIR")
        assert list(cfg.encoder.channels) == [16, 32, 64, 128]
        assert cfg.encoder.embedding == 256
        assert cfg.encoder.final_relu
        assert not cfg.encoder.batch_norm
        assert cfg.pairing == {"name": "random", "batch_size": 32, "pairs_per_epoch": None}
        assert cfg.training.optimiser == {
            "name": "adam",
            "lr": 1e-4,
            "weight_decay": 0.0,
            "schedule": "constant",
            "warmup": 0.0,
        }
        assert cfg.training.margin == 1.0
        assert set(cfg.training.augment.values()) == {False, None}


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("data.size=-3", "data.size"),
        ("data.size=0", "data.size"),
        ("trainer.max_epochs=0", "trainer.max_epochs"),
        ("seed=-1", "seed"),
        ("training.optimiser.lr=0", "training.optimiser.lr"),
        ("training.optimiser.lr=nan", "training.optimiser.lr"),
        ("data.validation=0.9", "data.validation"),
        ("pairing.batch_size=1", "pairing.batch_size"),
        ("data.on_bad_image=ignore", "data.on_bad_image"),
        ("trainer.precision=8", "trainer.precision"),
        ("data.fold=-1", "data.fold"),
    ],
)
def test_values_out_of_range_are_refused(override, key):
    cfg = composed(*SUBTASK2)
    name, _, value = override.partition("=")
    OmegaConf.update(cfg, name, yaml.safe_load(value) if value != "nan" else float("nan"))
    with pytest.raises(FingerprintsError) as caught:
        build_root(cfg, "train")
    assert caught.value.where == key
    assert caught.value.fix


def test_zero_is_a_seed():
    assert settings(*SUBTASK2, "seed=0").seed == 0


def test_missing_values_are_named():
    with pytest.raises(
        FingerprintsError, match=r"data\.root, data\.sources; layout 'generic' has no"
    ) as caught:
        settings("experiment=siamese_subtask2", "data=generic")
    assert caught.value.fix == "give data.root=DIR"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["experiment=similarity_usage", "decision.cut=halff"],
            "decision.cut=halff is not one of out_of_fold",
        ),
        (
            ["experiment=siamese_subtask2", "data=generic", "data.validation=7"],
            "data.validation=7.* out of range",
        ),
    ],
)
def test_a_wrong_value_is_told_before_a_missing_one(words, said):
    with pytest.raises(FingerprintsError, match=said):
        settings(*words)


def test_without_a_root_the_embedded_benchmark_of_the_layout_is_taken(embedded):
    for experiment, name in (("siamese_subtask2", "subset"), ("metric_subtask1", "usage")):
        data = settings(f"experiment={experiment}").data
        assert (data.root, data.size) == (embedded / name, 48)


def test_a_size_that_is_given_and_a_root_that_is_given_win(embedded):
    for words, root, size in (
        (["data.size=32"], embedded / "subset", 32),
        (["data.root=DIR"], Path("DIR"), 256),
        (["data.root=DIR", "data.size=32"], Path("DIR"), 32),
    ):
        data = settings("experiment=siamese_subtask2", *words).data
        assert (data.root, data.size) == (root, size)


def test_a_test_part_of_your_own_is_not_joined_to_the_embedded_training_part(embedded):
    with pytest.raises(FingerprintsError, match="no training part of your own") as caught:
        settings("experiment=siamese_subtask2", "data.test_root=DIR")
    assert caught.value.where == "data.test_root=DIR"


@pytest.mark.parametrize("layout", ["imageclef2023_usage", "imageclef2024_usage", "imageclef2024_model"])
def test_a_layout_without_an_embedded_benchmark_needs_a_root(embedded, layout):
    with pytest.raises(FingerprintsError, match=rf"missing: data\.root; layout '{layout}' has no") as caught:
        settings("experiment=siamese_subtask1", f"data={layout}")
    assert caught.value.fix == "give data.root=DIR"


@pytest.mark.parametrize("experiment", options("experiment"))
def test_settings_round_trip_through_a_file(experiment, tmp_path):
    found = settings(f"experiment={experiment}", "data.root=DIR", "run_dir=OUT")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(plain(found)))
    assert build(type(found), yaml.safe_load((tmp_path / "config.yaml").read_text())) == found


def test_a_reference_of_the_data_is_the_one_a_decision_takes_first():
    words = ["experiment=window_em_usage", "data.root=D"]
    assert settings(*words).decision.reference == "auto"
    assert settings(*words, "data.reference=R").decision.reference == "given"
    assert settings(*words, "data.reference=R", "decision.reference=none", "decision.cut=half").decision == (
        settings(*words, "decision.reference=none", "decision.cut=half").decision
    )
    source = "data.sources=[{pattern: r/*, domain: real, part: reference}]"
    assert settings(*words, source).decision.reference == "given"


def test_the_official_metric_is_that_of_the_edition():
    found = {layout: written("data", layout).get("official") for layout in options("data")}
    assert {layout for layout, metric in found.items() if metric is not None} == {
        "imageclef2023_usage",
        "imageclef2024_usage",
    }
    assert settings("experiment=similarity_usage", "data.root=D").data.official == "f1_used"
    assert settings("experiment=window_em_usage", "data.root=D").data.official is None


def test_what_a_decision_learns_from_is_written_down():
    assert settings("experiment=features_subtask2", "data.root=D").decision.fit_on == "real"
    assert (
        settings("experiment=features_models", "decision=svm", "data.root=D").decision.fit_on == "generated"
    )


def test_roots_without_groups_see_no_group():
    words = ("run=OUT", "images=DIR", "generator=model_1")
    assert settings(*words, root="predict").generator == "model_1"
    assert "generator" in ROOT_GROUPS["simulate"]
