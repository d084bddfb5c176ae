"""Settings of the designs: built from plain values, and the module that each is trained in."""

from __future__ import annotations

from typing import Any

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import build_option, part_of, plain, registered
from fingerprints.generators.settings import DiffAugmentSettings

every_design = pytest.mark.parametrize("design", registered("generator"))


def settings(design: str, **values: Any) -> Any:
    return build_option("generator", {"name": design, **values})


def test_setting_of_another_design_is_unknown() -> None:
    with pytest.raises(FingerprintsError, match=r"no configuration key 'generator\.beta1'"):
        settings("vae", beta1=1.0)


@every_design
def test_plain_values_become_settings_and_back(design: str) -> None:
    found = settings(design, lr=0.5, batch_size=3, augment={"cutout": 0.2, "enabled": True})
    assert (found.name, found.lr, found.batch_size) == (design, 0.5, 3)
    assert found.augment == DiffAugmentSettings(cutout=0.2)
    assert build_option("generator", plain(found)) == found


@every_design
def test_facts_are_all_but_name_and_length(design: str) -> None:
    found = settings(design, max_steps=7)
    assert found.facts() == settings(design).facts()
    assert {"name": design, "max_steps": 7, **found.facts()} == plain(found)


def test_lists_become_tuples() -> None:
    assert settings("diffusion", channels=[8, 16]).channels == (8, 16)


@pytest.mark.parametrize(
    ("design", "on"), [("gan", True), ("stylegan", True), ("vae", False), ("diffusion", False)]
)
def test_only_a_gan_is_augmented_by_default(design: str, on: bool) -> None:
    assert settings(design).augment.enabled is on


@every_design
def test_module_of_a_design_takes_its_settings(design: str) -> None:
    own = settings(design, batch_size=2)
    module = part_of(own)(size=16, settings=own, name="x")
    assert module.settings is own
    assert module.size == 16
    assert module.curve == []


@every_design
def test_size_is_checked_as_the_design_has_it(design: str) -> None:
    own = settings(design)
    module = part_of(own)
    module.check_size(64, own)
    with pytest.raises(FingerprintsError, match="18 x 18"):
        module.check_size(18, own)
    if design == "diffusion":
        module.check_size(48, own)
    else:
        with pytest.raises(FingerprintsError, match="48 x 48"):
            module.check_size(48, own)
