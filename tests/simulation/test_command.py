"""One simulation from settings to summary, without the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fingerprints.config.launch import Place
from fingerprints.config.simulation import PhantomsSettings, ScaleSettings, ShadowScale, SimulateSettings
from fingerprints.core.errors import FingerprintsError
from fingerprints.generators.settings import VAESettings
from fingerprints.simulation.command import simulate


@pytest.fixture
def settings(tmp_path):
    return SimulateSettings(
        task="shadow",
        out=tmp_path / "out",
        size=16,
        scale=ScaleSettings(max_steps=1, shadow=ShadowScale(candidates=12, generators=2, generated=5)),
        generator=VAESettings(width=2, widest=8, latent=4, batch_size=4),
        phantoms=PhantomsSettings(slices_per_patient=4),
        accelerator="cpu",
    )


def test_the_benchmark_is_made_and_summarised(settings, tmp_path, capsys):
    simulate(settings, Place(tmp_path))
    assert "benchmark: shadow, 22 images of 16 x 16" in capsys.readouterr().out
    assert json.loads((tmp_path / "out/benchmark.json").read_text())["images"]["origin"] == "phantoms"


def test_a_job_of_a_sweep_has_a_folder_of_its_own_and_the_dial(settings, tmp_path, capsys):
    words = ("seed=0", "scale.max_steps=1", "task=shadow", "only=3")
    place = Place(tmp_path / "job", overrides=words, job=0, varying=("scale.max_steps", "seed", "only"))
    simulate(settings, place)
    assert (tmp_path / "out/max_steps-1_seed-0/benchmark.json").is_file()
    assert (tmp_path / "out/dial.csv").is_file()
    assert "dial: " in capsys.readouterr().out


def test_one_of_several_jobs_says_that_others_are_left(settings, tmp_path, capsys):
    simulate(replace(settings, only=1), Place(tmp_path))
    assert "the job that finishes last writes the benchmark" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_mistakes_are_found_before_images_are_read(settings, tmp_path):
    for wrong in (
        replace(settings, reuse=Path("nowhere")),
        replace(settings, size=48),
        replace(settings, generators=(VAESettings(), VAESettings())),
    ):
        with pytest.raises(FingerprintsError) as caught:
            simulate(replace(wrong, images=Path("missing")), Place(tmp_path))
        assert "missing" not in str(caught.value)
