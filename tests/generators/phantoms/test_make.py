"""Virtual patients: what depends on what, and whether the slices look like a thorax."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import block_reduce

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.groups import thumbnails
from fingerprints.generators.phantoms.make import Phantoms, make_phantoms

PATIENTS, SLICES = 10, 8


@pytest.fixture(scope="module")
def phantoms() -> Phantoms:
    return make_phantoms(patients=PATIENTS, slices_per_patient=SLICES)


def test_shapes_types_and_names(phantoms: Phantoms) -> None:
    assert phantoms.images.shape == (PATIENTS * SLICES, 64, 64)
    assert phantoms.images.dtype == np.uint8
    assert phantoms.patients == [f"patient_{i // SLICES:04d}" for i in range(PATIENTS * SLICES)]


def test_the_same_seed_makes_the_same_and_more_patients_begin_alike(phantoms: Phantoms) -> None:
    fewer = make_phantoms(patients=3, slices_per_patient=SLICES)
    np.testing.assert_array_equal(fewer.images, phantoms.images[: 3 * SLICES])
    assert fewer.patients == phantoms.patients[: 3 * SLICES]


def test_another_seed_makes_other_patients(phantoms: Phantoms) -> None:
    other = make_phantoms(patients=3, slices_per_patient=SLICES, seed=1).images
    ours = phantoms.images[: len(other)]
    assert (np.abs(other.astype(int) - ours).mean(axis=(1, 2)) > 5).all()


def test_patients_differ_more_than_slices_of_one(phantoms: Phantoms) -> None:
    vectors = thumbnails(phantoms.images)
    alike = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    patients = np.array(phantoms.patients)
    same = (patients[:, None] == patients)[np.triu_indices(len(vectors), 1)]
    within, between = alike[same], alike[~same]
    # Real lung CT slices (SARS-CoV-2 CT-scan set): 0.65 within, 0.58 between, 1 % of these above 0.86.
    assert np.median(within) > np.median(between) + 0.1
    assert 0.55 < np.median(within) < 0.85
    assert np.quantile(between, 0.99) < 0.92
    assert (within > 0.95).mean() < 0.1


def test_no_image_is_constant_or_twice_there(phantoms: Phantoms) -> None:
    flat = phantoms.images.reshape(len(phantoms.images), -1)
    assert (flat.std(axis=1) > 30).all()
    assert len(np.unique(flat, axis=0)) == len(flat)


def test_lungs_are_dark_the_body_bright_and_air_darkest(phantoms: Phantoms) -> None:
    middle_slices = phantoms.images[SLICES // 2 :: SLICES]
    typical = np.median(middle_slices, axis=0)
    assert max(np.median(typical[24:36, 10:18]), np.median(typical[24:36, 46:54])) < 100
    assert np.median(typical[44:50, 29:35]) > 180
    corners = phantoms.images[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert 50 < np.median(corners) < 75
    # Like real ones, an image is dark or bright, seldom between.
    assert ((phantoms.images > 120) & (phantoms.images < 190)).mean() < 0.2


@pytest.mark.parametrize(("patients", "size", "blocks"), [(3, 128, 2), (1, 256, 4)])
def test_another_size_shows_the_same_anatomy(
    phantoms: Phantoms, patients: int, size: int, blocks: int
) -> None:
    large = make_phantoms(patients=patients, slices_per_patient=SLICES, size=size)
    reduced = block_reduce(large.images.astype(np.float32), (1, blocks, blocks), np.mean)
    for small, again in zip(phantoms.images, reduced, strict=False):
        assert np.corrcoef(small.ravel(), again.ravel())[0, 1] > 0.97


@pytest.mark.parametrize("size", [16, 33, 512])
def test_any_size_from_the_smallest(size: int) -> None:
    images = make_phantoms(patients=1, slices_per_patient=1, size=size).images
    assert images.shape == (1, size, size)
    assert images.std() > 30


def test_progress_is_told_after_each_patient() -> None:
    told: list[tuple[str, int, int]] = []
    make_phantoms(patients=2, slices_per_patient=3, size=16, progress=lambda *step: told.append(step))
    assert told == [("phantoms", 3, 6), ("phantoms", 6, 6)]


@pytest.mark.parametrize(
    ("key", "value"), [("patients", 0), ("slices_per_patient", 0), ("size", 15), ("seed", -1)]
)
def test_numbers_too_small_are_named(key: str, value: int) -> None:
    with pytest.raises(FingerprintsError, match=f"{key} >= .*, not {value}") as error:
        make_phantoms(**{"patients": 1, "slices_per_patient": 1, key: value})
    assert error.value.where == key
    assert error.value.fix is not None
    assert error.value.fix.startswith(f"{key}=")
