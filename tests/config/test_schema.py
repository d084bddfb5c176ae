from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from fingerprints.config import schema as config
from fingerprints.config.simulation import MODEL_GENERATORS
from fingerprints.core.errors import FingerprintsError


@pytest.fixture(scope="module")
def composed():
    config.register()

    def make(*overrides: str, root: str = "train", hydra: bool = False):
        with initialize_config_dir(version_base="1.3", config_dir=str(config.conf_dir())):
            return compose(root, overrides=list(overrides), return_hydra_config=hydra)

    return make


@pytest.fixture(scope="module")
def valid_config(composed):
    return composed("experiment=siamese_subtask2", "data.root=DIR", "run_dir=OUT")


@pytest.mark.parametrize("experiment", config.options("experiment"))
def test_every_experiment_composes_and_is_valid(composed, experiment):
    plain = config.validate(composed(f"experiment={experiment}", "data.root=DIR", "run_dir=OUT"))
    assert plain["name"] == experiment
    assert plain["task"] in ("usage", "subset", "model")
    assert plain["trainer"]["max_epochs"] == {"classifier_models": 200}.get(experiment, 30)
    assert plain["data"]["sources"]


@pytest.mark.parametrize(
    "group", ["encoder", "filter", "region", "training", "pairing", "reduction", "decision"]
)
def test_every_option_of_a_stage_has_a_schema_that_it_fits(group):
    for option in config.options(group):
        written = OmegaConf.load(config.conf_dir() / group / f"{option}.yaml")
        schema, own = written.pop("defaults")
        assert own == "_self_"
        merged = OmegaConf.merge(OmegaConf.structured(config.GROUP_SCHEMAS[group][schema]), written)
        assert not OmegaConf.missing_keys(merged), option


@pytest.mark.parametrize("group", ["data", "trainer"])
def test_every_option_of_every_group_composes(composed, group):
    for option in config.options(group):
        sources = ["data.sources=[]"] if option == "generic" else []
        cfg = composed(
            "experiment=siamese_subtask2", f"{group}={option}", "data.root=DIR", *sources, "run_dir=O"
        )
        config.validate(cfg)


def sweep_options():
    """Each option of `sweep`, skipped where its extra is not installed."""
    marked = []
    for option in config.options("sweep"):
        module, extra = config.EXTRAS.get(f"sweep={option}", ("", ""))
        there = not module or importlib.util.find_spec(f"hydra_plugins.{module}") is not None
        skip = pytest.mark.skipif(not there, reason=f"needs the extra {extra}")
        marked.append(pytest.param(option, marks=skip))
    return marked


@pytest.mark.parametrize("option", sweep_options())
def test_every_sweep_composes_and_changes_no_job(composed, option):
    words = ("experiment=siamese_subtask2", "data.root=DIR", "trainer.devices=2")
    cfg = composed(*words, f"sweep={option}", hydra=True)
    assert cfg.hydra.mode.name == "MULTIRUN"
    params = dict(cfg.hydra.sweeper.params or {})
    assert bool(params) == (option not in ("side_by_side", "slurm"))
    config.check_overrides([f"{key}={value}" for key, value in params.items()], "train")
    assert composed(*words, f"sweep={option}") == composed(*words)


def test_sweeps_can_be_combined(composed):
    cfg = composed("experiment=siamese_subtask2", "sweep=[seeds,folds]", "data.folds=3", hydra=True)
    assert cfg.hydra.sweeper.params == {"seed": "range(5)", "data.fold": "range(3)"}


def test_slurm_has_a_task_for_each_device(composed):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    words = ("experiment=siamese_subtask2", "sweep=slurm", "trainer.devices=4", "trainer.num_nodes=2")
    launcher = composed(*words, hydra=True).hydra.launcher
    assert (launcher.nodes, launcher.tasks_per_node, launcher.gpus_per_node) == (2, 4, 4)


def test_jobs_of_several_experiments_share_a_folder(composed):
    for experiment in ("siamese_subtask1", "metric_subtask2"):
        folders = composed(f"experiment={experiment}", "paths.outputs=O", hydra=True).hydra
        assert Path(folders.run.dir).parent == Path("O", experiment)
        assert Path(folders.sweep.dir).parent == Path("O/sweeps")
        given = composed(f"experiment={experiment}", "run_dir=OUT", hydra=True).hydra
        assert (given.run.dir, given.sweep.dir) == ("OUT", "OUT")


@pytest.mark.parametrize(
    ("word", "extra"),
    [
        ("sweep=optuna", "sweep"),
        ("sweep=[seeds,side_by_side]", "sweep"),
        ("hydra/launcher=joblib", "sweep"),
        ("sweep=slurm", "slurm"),
        ("hydra/launcher=submitit_local", "slurm"),
    ],
)
def test_an_extra_that_is_not_installed_is_named(word, extra, monkeypatch):
    monkeypatch.setattr(config, "find_spec", lambda name: None)
    with pytest.raises(FingerprintsError, match="not installed") as caught:
        config.check_overrides(["seed=1", word], "train")
    assert f"fingerprints[{extra}]" in caught.value.fix

    def no_package_above(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(config, "find_spec", no_package_above)
    with pytest.raises(FingerprintsError, match="not installed"):
        config.check_overrides([word], "train")
    config.check_overrides(["sweep=seeds", "sweep=[seeds,folds]", "hydra/launcher=basic"], "train")


@pytest.mark.parametrize(
    ("word", "fix"),
    [("sweep=seeds,folds", "sweep=[seeds,folds]"), ("sweep=[seeds,fold]", "sweep=folds")],
)
def test_a_wrong_combination_of_sweeps_is_put_right(word, fix):
    with pytest.raises(FingerprintsError) as caught:
        config.check_overrides([word], "train")
    assert fix in caught.value.fix


def test_a_search_does_not_look_at_the_test_part(composed):
    words = ("experiment=siamese_subtask2", "data.root=DIR")
    assert config.validate(composed(*words, "objective=validation.f1"))["objective"] == "validation.f1"
    with pytest.raises(FingerprintsError, match=r"test\.accuracy") as caught:
        config.validate(composed(*words, "objective=test.accuracy"))
    assert caught.value.where == "objective"


def test_without_a_run_dir_none_is_recorded(composed):
    assert config.validate(composed("experiment=siamese_subtask2", "data.root=DIR"))["run_dir"] is None


def test_experiments_are_deltas_that_win_over_root_values(composed):
    cfg = composed("experiment=metric_subtask2", "data.root=DIR")
    assert cfg.pairing.name == "all"
    assert cfg.encoder.batch_norm is True
    assert cfg.training.optimiser.schedule == "cosine"
    assert composed(
        "experiment=metric_subtask2", "training.optimiser.schedule=constant"
    ).training.optimiser.lr == (cfg.training.optimiser.lr)


def test_published_protocol_is_what_the_sources_say(composed):
    for experiment in ("siamese_subtask1", "siamese_subtask2"):
        cfg = composed(f"experiment={experiment}", "data.root=DIR")
        assert list(cfg.encoder.channels) == [16, 32, 64, 128]
        assert cfg.encoder.embedding == 256
        assert cfg.encoder.final_relu
        assert not cfg.encoder.batch_norm
        assert cfg.pairing == {"name": "random", "batch_size": 32}
        assert cfg.training.optimiser == {
            "name": "adam",
            "lr": 1e-4,
            "weight_decay": 0.0,
            "schedule": "constant",
            "warmup": 0.0,
        }
        assert cfg.training.margin == 1.0
        assert set(cfg.training.augment.values()) == {False}


def test_limits_and_choices_are_of_keys_that_exist():
    known = {key for root in config.ROOTS for key in config.valid_keys(root)}
    assert set(config.BOUNDS) | set(config.CHOICES) <= known


@pytest.mark.parametrize(
    ("word", "nearest"),
    [
        ("data.siez=3", "data.size"),
        ("+data.rot=x", "data.root"),
        ("traner=cpu", "trainer"),
        ("training.optimizer.lr=1", "training.optimiser.lr"),
        ("max_epochs=3", "trainer.max_epochs"),
        ("experiment=siamese_subtsk2", "siamese_subtask2"),
        ("pairing=al", "pairing=all"),
        ("sweep=seed", "sweep=seeds"),
        ("data.flod=1", "data.fold"),
    ],
)
def test_misspelt_words_name_the_nearest(word, nearest):
    with pytest.raises(FingerprintsError) as caught:
        config.check_overrides([word], "train")
    assert nearest in str(caught.value)


def test_valid_words_pass():
    config.check_overrides(
        [
            "experiment=siamese_subtask2",
            "data.root=/a=b",
            "--multirun",
            "-m",
            "seed=1,2",
            "pairing=all,random",
            "experiment=glob(*)",
            "hydra.sweep.dir=x",
            "hydra/launcher=basic",
            "hydra.sweep.subdir=${name}/${seed}",
            "hydra.sweeper.params.seed=range(3)",
            "data.root=B/${task}",
            "sweep=seeds",
            "sweep=null",
            "sweep=[seeds,folds]",
            "~callbacks",
            "published.test.mine=1",
        ],
        "train",
    )


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
def test_values_out_of_range_are_refused(valid_config, override, key):
    cfg = valid_config.copy()
    name, _, value = override.partition("=")
    OmegaConf.update(cfg, name, yaml.safe_load(value) if value != "nan" else float("nan"))
    with pytest.raises(FingerprintsError) as caught:
        config.validate(cfg)
    assert caught.value.where == key
    assert caught.value.fix


def test_zero_is_a_seed(composed):
    assert (
        config.validate(composed("experiment=siamese_subtask2", "data.root=D", "run_dir=O", "seed=0"))["seed"]
        == 0
    )


def test_missing_values_are_named(composed):
    with pytest.raises(
        FingerprintsError, match=r"data\.root, data\.sources; layout 'generic' has no"
    ) as caught:
        config.validate(composed("experiment=siamese_subtask2", "data=generic", "run_dir=OUT"))
    assert caught.value.fix == "give data.root=DIR"


def test_without_a_root_the_embedded_benchmark_of_the_layout_is_taken(composed, embedded):
    for experiment, name in (("siamese_subtask2", "subset"), ("metric_subtask1", "usage")):
        data = config.validate(composed(f"experiment={experiment}"))["data"]
        assert (data["root"], data["size"]) == (str(embedded / name), 48)


def test_a_size_that_is_given_and_a_root_that_is_given_win(composed, embedded):
    for words, root, size in (
        (["data.size=32"], str(embedded / "subset"), 32),
        (["data.root=DIR"], "DIR", 256),
        (["data.root=DIR", "data.size=32"], "DIR", 32),
        (["data.root=null"], str(embedded / "subset"), 48),
    ):
        data = config.validate(composed("experiment=siamese_subtask2", *words))["data"]
        assert (data["root"], data["size"]) == (root, size)


@pytest.mark.parametrize("layout", ["imageclef2023_usage", "imageclef2024_usage", "imageclef2024_model"])
def test_a_layout_without_an_embedded_benchmark_needs_a_root(composed, embedded, layout):
    with pytest.raises(FingerprintsError, match=rf"missing: data\.root; layout '{layout}' has no") as caught:
        config.validate(composed("experiment=siamese_subtask1", f"data={layout}"))
    assert caught.value.fix == "give data.root=DIR"


def test_resolved_configuration_round_trips(composed, tmp_path):
    plain = config.validate(composed("experiment=metric_subtask1", "data.root=DIR", "run_dir=OUT"))
    OmegaConf.save(OmegaConf.create(plain), tmp_path / "config.yaml")
    assert OmegaConf.to_container(OmegaConf.load(tmp_path / "config.yaml")) == plain


def test_schema_and_settings_agree():
    """The schema imports nothing heavy, so it repeats the settings it feeds: names and defaults."""
    from dataclasses import MISSING as NO_DEFAULT
    from dataclasses import fields

    from fingerprints.data.index import DataSettings
    from fingerprints.training.augment import Augmentation
    from fingerprints.training.hardware import TrainerSettings
    from fingerprints.training.optimise import OptimiserSettings
    from fingerprints.training.siamese import SiameseSettings

    own = {"seed", "accumulate", "optimiser", "augment", "name", "root", "sources", "groups", "test_classes"}
    for schema, settings in (
        (config.DataConfig, DataSettings),
        (config.TrainerConfig, TrainerSettings),
        (config.OptimiserConfig, OptimiserSettings),
        (config.AugmentConfig, Augmentation),
        (config.PairTrainingConfig, SiameseSettings),
    ):
        here = {f.name: f.default for f in fields(schema) if f.name not in own}
        there = {f.name: f.default for f in fields(settings) if f.name not in own}
        assert here.keys() == there.keys()
        for name, default in there.items():
            assert default is NO_DEFAULT or default == here[name], name


class TestSimulate:
    """The root of `simulate`."""

    @pytest.fixture
    def valid(self, composed):
        def make(*words, task="usage"):
            return config.validate(composed(f"task={task}", "out=O", *words, root="simulate"))

        return make

    @pytest.mark.parametrize("name", config.options("generator"))
    def test_every_generator_composes_alone_and_in_a_list(self, valid, name):
        (alone,) = valid(f"generator={name}")["generators"]
        assert alone["name"] == name
        assert valid(f"generators=[{name}]")["generators"] == [alone]
        other = valid(f"generator={name}", "generator.batch_size=6", "generator.max_steps=7")
        assert other["generators"] == [{**alone, "batch_size": 6, "max_steps": 7}]

    def test_the_list_takes_names_and_what_differs_from_them(self, valid):
        gan, vae = valid("generators=[gan,{name: vae, lr: 1e-4, augment: {cutout: 0.5}}]")["generators"]
        (plain_gan,), (plain_vae,) = (valid(f"generator={name}")["generators"] for name in ("gan", "vae"))
        assert gan == plain_gan
        assert vae == {**plain_vae, "lr": 1e-4, "augment": {**plain_vae["augment"], "cutout": 0.5}}

    @pytest.mark.parametrize(("task", "names"), [("model", MODEL_GENERATORS), ("usage", ("gan",))])
    def test_without_a_list_model_has_one_of_its_own_and_other_tasks_the_one(self, valid, task, names):
        assert [entry["name"] for entry in valid(task=task)["generators"]] == list(names)

    @pytest.mark.parametrize(
        ("generators", "said"),
        [
            ("[gna,vae]", ["no generator 'gna'", "diffusion, gan, stylegan, vae", "generator=gan"]),
            ("[{lr: 1}]", ["no generator 'None'", "diffusion, gan, stylegan, vae"]),
            ("[{name: gan, widht: 2}]", ["cannot take widht", "width"]),
            ("[{name: gan, augment: {cutuot: 1}}]", ["cannot take augment.cutuot"]),
            ("[{name: gan, lr: high}]", ["cannot take lr"]),
            ("[{name: gan, sampling_steps: 5}]", ["'gan' cannot take sampling_steps"]),
            ("[vae,{name: gan, lr: 0}]", ["generators.1.lr=0", "greater than 0"]),
            ("[{name: gan, augment: {translation: 0.7}}]", ["generators.0.augment.translation=0.7"]),
            ("[{name: gan, max_steps: 0}]", ["generators.0.max_steps=0"]),
        ],
    )
    def test_mistakes_in_the_list_are_said_in_plain_words(self, valid, generators, said):
        with pytest.raises(FingerprintsError) as caught:
            valid(f"generators={generators}")
        for words in said:
            assert words in str(caught.value)

    @pytest.mark.parametrize("option", config.options("dial"))
    def test_every_dial_composes_and_is_a_sweep_of_keys_that_exist(self, composed, option):
        words = ("task=usage", "out=O", f"dial={option}")
        params = dict(composed(*words, root="simulate", hydra=True).hydra.sweeper.params)
        assert composed(*words, root="simulate", hydra=True).hydra.mode.name == "MULTIRUN"
        config.check_overrides([f"{key}={value}" for key, value in params.items()], "simulate")
        first = [f"{key}={str(value).split(',')[0]}" for key, value in params.items()]
        config.validate(composed(*words, *first, root="simulate"))

    def test_dials_can_be_combined(self, composed):
        cfg = composed("task=usage", "out=O", "dial=[training,augmentation]", root="simulate", hydra=True)
        assert cfg.hydra.sweeper.params["generator.augment.enabled"] == "true,false"
        assert "scale.max_steps" in cfg.hydra.sweeper.params
        with pytest.raises(FingerprintsError) as caught:
            config.check_overrides(["dial=training,planted"], "simulate")
        assert "'dial=[training,planted]'" in caught.value.fix

    @pytest.mark.parametrize(
        ("word", "nearest"),
        [
            ("dial=plantde", "dial=planted"),
            ("dial=[training,plantde]", "dial=planted"),
            ("diel=planted", "dial"),
        ],
    )
    def test_misspelt_dials_name_the_nearest(self, word, nearest):
        with pytest.raises(FingerprintsError) as caught:
            config.check_overrides([word], "simulate")
        assert nearest in str(caught.value)
