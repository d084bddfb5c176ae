"""Which settings make which control."""

from __future__ import annotations

from pathlib import Path

import pytest

from fingerprints.config.simulation import SimulateSettings
from fingerprints.generators.settings import GANSettings
from fingerprints.simulation.controls import control_of


@pytest.mark.parametrize(
    ("subsets", "seeds", "name"),
    [
        ("disjoint", "own", None),
        ("same", "own", "same_images"),
        ("disjoint", "shared", "same_start"),
        ("same", "shared", "same_generator"),
    ],
)
def test_controls_have_a_name_and_say_what_they_mean(subsets, seeds, name):
    found = control_of(
        SimulateSettings(
            task="subset", out=Path("out"), generator=GANSettings(), subsets=subsets, seeds=seeds
        )
    )
    assert (None if found is None else found.name) == name
    assert found is None or len(found.means) > 50
