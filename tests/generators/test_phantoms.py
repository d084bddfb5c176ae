from __future__ import annotations

import numpy as np
import pytest

from fingerprints.data.groups import thumbnails
from fingerprints.errors import FingerprintsError
from fingerprints.generators.phantoms import make_phantoms


@pytest.fixture(scope="module")
def thorax():
    return make_phantoms(patients=16, slices_per_patient=6, size=64, seed=3)


def test_slices_of_a_patient_are_neighbours_and_named(thorax):
    assert thorax.images.shape == (96, 64, 64)
    assert thorax.images.dtype == np.uint8
    assert thorax.patients[5:7] == ["patient_0000", "patient_0001"]
    assert len(set(thorax.patients)) == 16


def test_the_same_seed_draws_the_same_and_another_one_others(thorax):
    again = make_phantoms(patients=2, slices_per_patient=6, size=64, seed=3)
    assert np.array_equal(again.images, thorax.images[:12])  # and the first patients of more are the same
    other = make_phantoms(patients=2, slices_per_patient=6, size=64, seed=4)
    assert not any(np.array_equal(a, b) for a in again.images for b in other.images)


def test_anatomy_varies_by_patient_more_than_by_slice(thorax):
    vectors = thumbnails(thorax.images)
    alike = vectors @ vectors.T
    patients = np.array(thorax.patients)
    i, j = np.triu_indices(len(patients), 1)
    same = patients[i] == patients[j]
    within, between = alike[i, j][same], alike[i, j][~same]
    assert np.median(within) > np.median(between) + 0.2
    assert np.mean(within > 0.95) < 0.3  # slices of a patient are no copies
    assert np.mean(between > 0.95) < 0.01  # and patients are not one patient


def test_slices_look_like_a_thorax_in_the_lung_window(thorax):
    middle = thorax.images.reshape(16, 6, 64, 64)[:, 2].astype(float)
    lungs = np.minimum(middle[:, 28:40, 12:20].mean((1, 2)), middle[:, 28:40, 44:52].mean((1, 2)))
    spine = middle[:, 46:58, 30:34].mean((1, 2))
    corners = middle[:, :2, :2].mean((1, 2))
    assert np.mean(lungs < 120) > 0.8  # the others are diseased
    assert np.all(spine > 190)
    assert np.median(corners) < 80


def test_no_slice_is_empty_or_drawn_twice(thorax):
    flat = thorax.images.reshape(len(thorax.images), -1)
    assert len(np.unique(flat, axis=0)) == len(flat)
    assert np.all(flat.std(axis=1) > 20)


def test_disease_is_absent_in_some_patients_and_severe_in_others():
    # Share of the lung that is neither as dark as lung nor as bright as soft tissue.
    images = make_phantoms(patients=40, slices_per_patient=3, size=32, seed=0).images.reshape(40, -1)
    hazy = np.mean((images > 130) & (images < 190), axis=1)
    assert hazy.max() > 1.5 * np.median(hazy)


def test_the_anatomy_is_the_same_at_every_size():
    small = make_phantoms(patients=3, slices_per_patient=2, size=32, seed=1).images
    large = make_phantoms(patients=3, slices_per_patient=2, size=128, seed=1).images
    reduced = large.reshape(6, 32, 4, 32, 4).mean(axis=(2, 4))
    alike = np.corrcoef(small.reshape(6, -1), reduced.reshape(6, -1))[:6, 6:]
    assert np.all(np.diag(alike) > 0.95)
    assert np.array_equal(alike.argmax(axis=1), np.arange(6))


@pytest.mark.parametrize(("key", "value"), [("patients", 0), ("slices_per_patient", 0), ("size", 8)])
def test_what_cannot_be_drawn_is_named(key, value):
    with pytest.raises(FingerprintsError, match=f"{key}={value}"):
        make_phantoms(**{"patients": 1, "slices_per_patient": 1, "size": 32, key: value})


def test_progress_counts_slices():
    said = []
    make_phantoms(patients=3, slices_per_patient=2, size=16, progress=lambda *words: said.append(words[1:]))
    assert said == [(2, 6), (4, 6), (6, 6)]
