"""The root of `simulate`."""

from __future__ import annotations

import pytest

from fingerprints.config.overrides import check_overrides
from fingerprints.config.schema import options
from fingerprints.config.simulation import MODEL_GENERATORS
from fingerprints.core.errors import FingerprintsError
from fingerprints.generators.settings import GANSettings, VAESettings
from tests.compose import composed, settings


def simulation(*words: str, task: str = "usage"):
    return settings(f"task={task}", "out=O", *words, root="simulate")


@pytest.mark.parametrize("name", options("generator"))
def test_every_generator_composes_alone_and_in_a_list(name):
    (alone,) = simulation(f"generator={name}").generators
    assert alone.name == name
    assert simulation(f"generators=[{name}]").generators == (alone,)
    other = simulation(f"generator={name}", "generator.batch_size=6", "generator.max_steps=7")
    assert (other.generator.batch_size, other.generators[0].max_steps) == (6, 7)


def test_the_list_takes_names_and_what_differs_from_them():
    gan, vae = simulation("generators=[gan,{name: vae, lr: 1e-4, augment: {cutout: 0.5}}]").generators
    assert gan == GANSettings()
    assert (vae.lr, vae.augment.cutout) == (1e-4, 0.5)
    assert vae.augment.enabled == VAESettings().augment.enabled


@pytest.mark.parametrize(("task", "names"), [("model", MODEL_GENERATORS), ("usage", ("gan",))])
def test_without_a_list_model_has_one_of_its_own_and_other_tasks_the_one(task, names):
    assert tuple(entry.name for entry in simulation(task=task).generators) == tuple(names)


@pytest.mark.parametrize(
    ("generators", "said"),
    [
        ("[gna,vae]", ["no generator 'gna'", "diffusion, gan, stylegan, vae", "generator=gan"]),
        ("[{lr: 1}]", ["no generator 'None'", "diffusion, gan, stylegan, vae"]),
        ("[{name: gan, widht: 2}]", ["cannot take widht", "width"]),
        ("[{name: gan, augment: {cutuot: 1}}]", ["cannot take augment.cutuot"]),
        ("[{name: gan, lr: high}]", ["cannot take lr"]),
        ("[{name: gan, sampling_steps: 5}]", ["'gan' cannot take sampling_steps"]),
        ("[vae,{name: gan, lr: 0}]", ["generator.lr=0", "greater than 0"]),
        ("[{name: gan, augment: {translation: 0.7}}]", ["generator.augment.translation=0.7"]),
        ("[{name: gan, max_steps: 0}]", ["generator.max_steps=0"]),
    ],
)
def test_mistakes_in_the_list_are_said_in_plain_words(generators, said):
    with pytest.raises(FingerprintsError) as caught:
        simulation(f"generators={generators}")
    for words in said:
        assert words in str(caught.value)


@pytest.mark.parametrize("option", options("dial"))
def test_every_dial_composes_and_is_a_sweep_of_keys_that_exist(option):
    words = ("task=usage", "out=O", f"dial={option}")
    found = composed(*words, root="simulate", hydra=True).hydra
    assert found.mode.name == "MULTIRUN"
    params = dict(found.sweeper.params)
    check_overrides([f"{key}={value}" for key, value in params.items()], "simulate")
    simulation(f"dial={option}", *(f"{key}={str(value).split(',')[0]}" for key, value in params.items()))


def test_dials_can_be_combined():
    cfg = composed("task=usage", "out=O", "dial=[training,augmentation]", root="simulate", hydra=True)
    assert cfg.hydra.sweeper.params["generator.augment.enabled"] == "true,false"
    assert "scale.max_steps" in cfg.hydra.sweeper.params
