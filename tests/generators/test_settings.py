"""Settings of every design: built from plain values, within bounds, and for the module that takes them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import build, build_option, part_of, plain, registered
from fingerprints.generators.settings import DiffAugment, PlantedSettings

DESIGNS = ("gan", "stylegan", "vae", "diffusion")
every_design = pytest.mark.parametrize("design", DESIGNS)


def test_four_designs_are_registered_without_torch() -> None:
    assert tuple(registered("generator")) == DESIGNS
    script = "import sys, fingerprints.generators.settings; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


@every_design
def test_plain_values_become_settings_and_back(design: str) -> None:
    given = {"name": design, "lr": 0.5, "batch_size": 3, "augment": {"cutout": 0.2, "enabled": True}}
    found = build_option("generator", given)
    assert (found.name, found.lr, found.batch_size) == (design, 0.5, 3)
    assert found.augment == DiffAugment(cutout=0.2)
    assert build_option("generator", plain(found)) == found
    assert build_option("generator", {"name": design}) == type(found)()


@every_design
def test_module_of_a_design_takes_its_settings(design: str) -> None:
    settings = build_option("generator", {"name": design, "batch_size": 2})
    module = part_of(settings)(size=16, settings=settings, name="x")
    assert module.settings is settings
    assert (module.size, module.curve) == (16, [])


@every_design
def test_size_is_checked_as_the_design_has_it(design: str) -> None:
    settings = build_option("generator", {"name": design})
    check_size = part_of(settings).check_size
    check_size(64, settings)
    with pytest.raises(FingerprintsError, match="18 x 18"):
        check_size(18, settings)
    if design == "diffusion":
        check_size(48, settings)
    else:
        with pytest.raises(FingerprintsError, match="48 x 48"):
            check_size(48, settings)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": "stylgan"}, "did you mean|generator=stylegan"),
        ({"name": "vae", "beta1": 1.0}, "no configuration key 'generator.beta1'"),
        ({"name": "gan", "augment": {"flip": True}}, "no configuration key 'generator.augment.flip'"),
        ({"name": "gan", "batch_size": 1}, "generator.batch_size=1 is out of range"),
        ({"name": "gan", "lr": 0}, "generator.lr=0.* is out of range"),
        ({"name": "gan", "beta2": 1.0}, "generator.beta2=1.0 is out of range"),
        ({"name": "vae", "augment": {"translation": 0.6}}, "generator.augment.translation=0.6"),
        ({"name": "diffusion", "channels": [8, 0]}, "generator.channels=0 is out of range"),
        ({"name": "diffusion", "max_steps": 0}, "generator.max_steps=0 is out of range"),
    ],
)
def test_mistakes_are_named(values: dict[str, Any], said: str) -> None:
    with pytest.raises(FingerprintsError, match=said):
        build_option("generator", values)


def test_kinds_of_planted_copies_that_do_not_exist_are_refused() -> None:
    assert build(PlantedSettings, {"kinds": ["blend"]}).kinds == ("blend",)
    with pytest.raises(FingerprintsError, match="mirror is not one of exact, noise, shift, rotation"):
        build(PlantedSettings, {"kinds": ["noise", "mirror"]}, where="planted")
