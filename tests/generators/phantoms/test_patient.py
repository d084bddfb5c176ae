"""A virtual patient: drawn from its random numbers alone, within what anatomy allows."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.generators.phantoms.patient import KERNELS, LUNG_LENGTH, Patient, draw_patient


@pytest.fixture(scope="module")
def drawn() -> list[Patient]:
    return [draw_patient(np.random.default_rng(seed)) for seed in range(60)]


def test_the_same_random_numbers_make_the_same_patient() -> None:
    one, two = (draw_patient(np.random.default_rng(3)) for _ in range(2))
    assert (one.chest, one.dome, one.kernel) == (two.chest, two.dome, two.kernel)
    assert np.array_equal(one.lesions, two.lesions)
    assert np.array_equal(one.coarse, two.coarse)


def test_patients_are_within_bounds(drawn: list[Patient]) -> None:
    for p in drawn:
        assert 0 < p.top < p.bottom < LUNG_LENGTH
        assert 4 <= p.fat <= 38
        assert p.chest[0] > p.chest[1] > 50  # wider than deep
        assert p.heart[0] < p.chest[0]
        assert p.kernel[0] in {kernel[0] for kernel in KERNELS}


def test_some_patients_are_ill_and_most_lie_on_a_table(drawn: list[Patient]) -> None:
    assert 0.4 < np.mean([len(p.lesions) > 0 for p in drawn]) < 0.8
    assert 0.5 < np.mean([p.table > 0 for p in drawn]) < 0.9


def test_lesions_lie_in_the_lungs_mostly_at_the_back_and_low(drawn: list[Patient]) -> None:
    lesions = np.concatenate([p.lesions for p in drawn])
    assert lesions.shape[1] == 5
    assert (np.abs(lesions[:, 0]) < 170).all()
    assert ((lesions[:, 2] > 0) & (lesions[:, 2] < LUNG_LENGTH)).all()
    assert np.median(lesions[:, 1]) > 0
    assert np.median(lesions[:, 2]) > LUNG_LENGTH / 2


def test_vessels_grow_thinner_from_the_hila_outwards(drawn: list[Patient]) -> None:
    starts, ends, radii, air = drawn[0].vessels
    assert starts.shape == ends.shape == (len(radii), 3)
    assert air.dtype == bool
    thick, thin = radii > 2, radii < 0.2
    assert (np.abs(starts[thick, 0]) < 90).all()
    assert np.abs(starts[thin, 0]).mean() > np.abs(starts[thick, 0]).mean()


def test_noise_is_of_unit_variance(drawn: list[Patient]) -> None:
    assert drawn[0].coarse.std() == pytest.approx(1, abs=1e-3)
    assert drawn[0].fine.shape == (24, 48, 48)
