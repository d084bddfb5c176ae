"""The designs by name: their settings from plain values, and what is said of those that there are not."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, fields
from typing import Any

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.generators.designs import DESIGNS, check_size, make_settings, module_of
from fingerprints.generators.diff_augment import DiffAugment

every_design = pytest.mark.parametrize("design", DESIGNS)


@pytest.mark.parametrize(
    ("design", "fix"),
    [("gann", "generator=gan"), ("stylgan", "generator=stylegan"), ("zzz", "choose one of them")],
)
def test_unknown_design_is_named_with_those_that_there_are_and_the_nearest(design: str, fix: str) -> None:
    with pytest.raises(FingerprintsError, match=f"no generator '{design}'") as error:
        make_settings(design, {})
    assert "gan, stylegan, vae, diffusion" in error.value.what
    assert error.value.where == f"generator={design}"
    assert error.value.fix == fix


@every_design
def test_unknown_settings_are_named_with_those_that_there_are(design: str) -> None:
    with pytest.raises(FingerprintsError, match=rf"'{design}' has no setting depth, heads\.") as error:
        make_settings(design, {"lr": 0.1, "heads": 2, "depth": 3})
    assert error.value.where == f"generator={design}"
    for name in (field.name for field in fields(DESIGNS[design][0])):
        assert name in str(error.value.fix)


def test_setting_of_another_design_is_unknown() -> None:
    with pytest.raises(FingerprintsError, match="'vae' has no setting beta1"):
        make_settings("vae", {"beta1": 1.0})


def test_unknown_settings_of_the_augmentation_are_named() -> None:
    with pytest.raises(FingerprintsError, match=r"has no setting augment\.flip\.") as error:
        make_settings("gan", {"augment": {"cutout": 0.1, "flip": True}})
    assert "augment.brightness" in str(error.value.fix)


@every_design
def test_plain_values_become_settings(design: str) -> None:
    found = make_settings(design, {"lr": 0.5, "batch_size": 3, "augment": {"cutout": 0.2, "enabled": True}})
    assert type(found) is DESIGNS[design][0]
    assert (found.design, found.lr, found.batch_size) == (design, 0.5, 3)
    assert found.augment == DiffAugment(cutout=0.2)
    assert make_settings(design, {}) == DESIGNS[design][0]()
    assert make_settings(design, asdict(found)) == found
    with pytest.raises(FrozenInstanceError):
        found.lr = 0.1


@pytest.mark.parametrize("channels", [[8, 16], (8, 16)])
def test_lists_become_tuples(channels: Any) -> None:
    found = make_settings("diffusion", {"channels": channels})
    assert found.channels == (8, 16)
    assert hash(found) == hash(make_settings("diffusion", {"channels": (8, 16)}))


def test_given_values_are_left_alone() -> None:
    values = {"channels": [8, 16], "augment": {"cutout": 0.2}}
    make_settings("diffusion", values)
    assert values == {"channels": [8, 16], "augment": {"cutout": 0.2}}


@every_design
def test_module_of_a_design_takes_its_settings(design: str) -> None:
    settings = make_settings(design, {"batch_size": 2})
    module = module_of(settings)(size=16, settings=settings, name="x")
    assert module.settings is settings
    assert module.size == 16
    assert module.curve == []


@every_design
def test_size_is_checked_as_the_design_has_it(design: str) -> None:
    settings = make_settings(design, {})
    check_size(64, settings)
    with pytest.raises(FingerprintsError, match="18 x 18"):
        check_size(18, settings)
    if design == "diffusion":
        check_size(48, settings)
    else:
        with pytest.raises(FingerprintsError, match="48 x 48"):
            check_size(48, settings)
