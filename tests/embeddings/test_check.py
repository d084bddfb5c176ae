"""Features that are refused by the names of their images, and networks that give all the same a warning."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.embeddings.check import check_features, warn_of_collapse


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_names_the_images_that_are_no_numbers(value: float) -> None:
    features = np.random.default_rng(0).normal(size=(5, 3, 2)).astype(np.float32)
    features[3, 1, 0] = value
    with pytest.raises(FingerprintsError, match=r"1 of 5(.|\n)*d\.png") as error:
        check_features(features, ["a.png", "b.png", "c.png", "d.png", "e.png"])
    assert "a.png" not in str(error.value)
    assert "trainer.precision=32-true" in str(error.value.fix)


def test_positions_stand_in_for_names() -> None:
    with pytest.raises(FingerprintsError, match="number 1"):
        check_features(np.array([[1.0, 2.0], [np.nan, 1.0]]))


def test_opposite_infinities_do_not_hide_each_other() -> None:
    with pytest.raises(FingerprintsError, match="number 0"):
        check_features(np.array([[np.inf, -np.inf], [0.0, 1.0]]))


def test_large_sound_features_pass() -> None:
    huge = float(np.finfo(np.float64).max)
    check_features(np.array([[huge, huge], [0.0, 1.0]]))  # their sum is infinite, they are not


def test_constants_are_refused_only_if_nothing_varies() -> None:
    features = np.ones((4, 3))
    with pytest.raises(FingerprintsError, match="All 4 images have the same features"):
        check_features(features)
    features[2, 1] = 1.5
    check_features(features)
    check_features(np.ones((1, 3)))
    check_features(np.ones((0, 3)))


def test_a_network_that_gives_most_images_the_same_is_named_and_others_are_not(caplog) -> None:
    rng = np.random.default_rng(0)
    well = rng.normal(size=(9, 4)).astype(np.float32)
    warn_of_collapse(well, title="own training")
    assert not caplog.records
    collapsed = np.where(np.arange(9)[:, None] < 6, well[0], well)
    warn_of_collapse(collapsed + rng.normal(size=(9, 4)) * 1e-5, title="own training")
    (record,) = caplog.records
    assert "own training: the embeddings have collapsed (6 of 9" in record.getMessage()
