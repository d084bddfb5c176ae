"""What is refused before any image is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fingerprints.config.simulation import ScaleSettings, SimulateSettings, UsageScale
from fingerprints.core.errors import FingerprintsError
from fingerprints.generators.fit import Training
from fingerprints.generators.settings import DiffusionSettings, GANSettings, PlantedSettings, VAESettings
from fingerprints.simulation.checks import check_reuse, check_settings, check_trainings, check_words

SUBSET = SimulateSettings(task="subset", out=Path("out"), generator=GANSettings())
TWO = (GANSettings(), VAESettings())


@pytest.mark.parametrize("task", ["subset", "usage", "model", "shadow"])
def test_defaults_pass(task):
    check_settings(replace(SUBSET, task=task))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (replace(SUBSET, size=48), "48 x 48"),
        (replace(SUBSET, generator=DiffusionSettings(patch=3)), "with blocks of 3 pixels"),
        (replace(SUBSET, generators=TWO), "task=subset needs exactly one generator; 2 are given"),
        (
            replace(SUBSET, task="shadow", generators=TWO),
            "task=shadow needs exactly one generator; 2 are given",
        ),
        (replace(SUBSET, planted=PlantedSettings(kinds=())), "No kind of planted copy"),
    ],
)
def test_contradictions_are_said(settings, said):
    with pytest.raises(FingerprintsError, match=said):
        check_settings(settings)


@pytest.mark.parametrize("task", ["usage", "model"])
def test_some_tasks_take_several_generators(task):
    check_settings(replace(SUBSET, task=task, generators=TWO))


@pytest.mark.parametrize("words", [{"subsets": "same"}, {"seeds": "shared"}])
@pytest.mark.parametrize("task", ["usage", "model", "shadow"])
def test_only_subset_has_controls(task, words):
    check_settings(replace(SUBSET, **words))
    with pytest.raises(FingerprintsError, match=f"task={task} has no subsets"):
        check_settings(replace(SUBSET, task=task, **words))


@pytest.mark.parametrize("absent", ["test_members", "test_nonmembers", "test_generated"])
def test_a_test_part_is_whole_or_absent(absent):
    usage = replace(SUBSET, task="usage")
    with pytest.raises(FingerprintsError, match="The test part would have"):
        check_settings(replace(usage, scale=ScaleSettings(usage=UsageScale(**{absent: 0}))))
    none = UsageScale(test_members=0, test_nonmembers=0, test_generated=0)
    check_settings(replace(usage, scale=ScaleSettings(usage=none)))


def test_settings_of_the_one_generator_are_refused_beside_others():
    check_words(SUBSET, ["generator=gan", "generator.lr=1"])
    check_words(replace(SUBSET, generators=TWO), ["generators=[gan,vae]"])
    with pytest.raises(FingerprintsError, match=r"generator\.lr=1 is for one .*; this benchmark has 2"):
        check_words(replace(SUBSET, generators=TWO), ["size=16", "generator.lr=1"])
    with pytest.raises(FingerprintsError, match="has a list of them"):
        check_words(replace(SUBSET, generators=TWO[:1]), ["generator=gan", "generators=[gan]"])


def test_a_folder_to_take_generators_from_exists_or_is_the_output(tmp_path):
    for reuse in (None, tmp_path, Path("out"), Path("out").absolute()):
        check_reuse(replace(SUBSET, reuse=reuse))
    with pytest.raises(FingerprintsError, match="does not exist") as caught:
        check_reuse(replace(SUBSET, reuse=Path("nowhere")))
    assert caught.value.where == "reuse=nowhere"


def test_the_advised_batch_suits_every_generator():
    trainings = [
        Training(np.zeros((count, 16, 16), np.uint8), GANSettings(batch_size=8), 1, 0, f"g{count}")
        for count in (9, 7, 5)
    ]
    check_trainings(trainings[:1], processes=1, listed=False)
    with pytest.raises(FingerprintsError, match="'g5' would be trained on 5") as caught:
        check_trainings(trainings, processes=1, listed=False)
    assert caught.value.fix == "use more images, or a smaller batch: generator.batch_size=5"
    with pytest.raises(FingerprintsError) as caught:
        check_trainings(trainings, processes=4, listed=True)
    assert "batch_size=4, in the list of generators: 'generators=[" in caught.value.fix
    assert "generator.batch_size" not in caught.value.fix  # it would be refused
    one = [replace(trainings[0], images=trainings[0].images[:1])]
    with pytest.raises(FingerprintsError) as caught:
        check_trainings(one, processes=1, listed=False)
    assert caught.value.fix == "use more images"
