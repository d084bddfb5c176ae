"""Planted copies are found where the nearest image by pixels loses them."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, rotate
from sklearn.metrics import pairwise_distances, roc_auc_score

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.scores import copies
from fingerprints.decisions.scores.alignment import moved
from fingerprints.decisions.scores.copies import copy_level, find_copies
from tests.decisions.parts import about_real, fitted, images, settings

SIDE = 64


def textures(count: int, seed: int) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(count, SIDE, SIDE)), (0, 2, 2))
    return (0.5 + noise / (6 * noise.std())).clip(0, 1).astype(np.float32)


def jpeg(image: np.ndarray, quality: int = 40) -> np.ndarray:
    held = BytesIO()
    Image.fromarray((image.clip(0, 1) * 255).astype(np.uint8)).save(held, "JPEG", quality=quality)
    return np.asarray(Image.open(held), dtype=np.float32) / 255


CHANGES = {
    "shift": lambda image: moved(image, 3, -3),
    "mirror": lambda image: image[:, ::-1],
    "small turn": lambda image: rotate(image, 4.0, reshape=False, order=1, mode="nearest"),
    "turn": lambda image: np.rot90(image, 3),
    "contrast": lambda image: 0.6 * (image - 0.5) + 0.35,
    "jpeg": jpeg,
    "all": lambda image: jpeg(0.8 * moved(np.rot90(image[:, ::-1], 2), -2, 3)),
}
REAL = textures(28, seed=0)  # the first 14 are copied, each change twice
CHANGED = [change(REAL[at]) for at, change in enumerate(2 * list(CHANGES.values()))]
MADE = np.concatenate([textures(30, seed=1), CHANGED]).astype(np.float32)


def flat(some: np.ndarray) -> np.ndarray:
    return some.reshape(len(some), -1)


def test_changed_copies_are_found_where_pixels_lose_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "CELLS", 11 * len(MADE))  # blocks of 11 do not matter
    labels = [USED] * 14 + [NOT_USED] * 14
    own = about_real(images(flat(REAL), labels), images(flat(MADE)))
    decided = fitted("copies", own, (NOT_USED, USED)).predict(own)
    found = decided.scores
    assert decided.labels.tolist() == labels
    assert roc_auc_score(np.array(labels) == USED, found) == 1.0
    assert np.all(found[:14] > found[14:].max() + 0.2)  # recall 1 without a false alarm
    pixels = pairwise_distances(flat(REAL), flat(MADE)).min(axis=1)
    assert roc_auc_score(np.array(labels) == USED, -pixels) < 0.9


def test_the_copy_and_its_change_are_named() -> None:
    found = find_copies(flat(REAL[:7]), flat(MADE), settings("copies"))
    np.testing.assert_array_equal(found.nearest, 30 + np.arange(7))
    words = dict(zip(CHANGES, (found.change(row) for row in range(7)), strict=True))
    assert words["shift"] == "shifted down by 3 and left by 3 pixels"
    assert words["mirror"] == "mirrored left-right"
    assert words["small turn"] in ("turned left by 5 degrees", "turned left by 2.5 degrees")
    assert words["turn"] == "turned right by 90 degrees"
    assert words["contrast"] == words["jpeg"] == "not moved"
    assert (
        words["all"]
        == "mirrored left-right, then turned by 180 degrees, then shifted up by 2 and right by 3 pixels"
    )
    for row, image in enumerate(REAL[:7]):
        inside = [some[8:-8, 8:-8].ravel() for some in (found.aligned(image, row), CHANGED[row])]
        assert np.corrcoef(inside)[0, 1] > 0.9, list(CHANGES)[row]
    plain = find_copies(flat(REAL[:7]), flat(MADE), settings("copies", mirrored=False))
    assert plain.similarity[1] < 0.6 < found.similarity[1]


def test_the_level_of_copies_is_what_other_patients_do_not_reach() -> None:
    patients = np.repeat([f"p{i}" for i in range(14)], 2)
    slices = REAL.copy()
    slices[1::2] = 0.9 * slices[::2] + 0.05  # two nearly equal slices of each patient
    own = settings("copies")
    level = copy_level(flat(slices), patients, own)
    apart = [
        max(find_copies(flat(slices[at : at + 1]), flat(slices[patients != patients[at]]), own).similarity)
        for at in (0, 5, 9)
    ]
    assert max(apart) < level < 0.7
    assert find_copies(flat(slices), flat(slices[::2]), own).similarity.min() > 0.99
    with pytest.raises(FingerprintsError, match="another group"):
        copy_level(flat(slices), np.full(28, "p0"), own)


def test_refusals() -> None:
    nobody = about_real(images(flat(REAL[:2])), images(flat(REAL)[:0]))
    with pytest.raises(FingerprintsError, match="no generated images"):
        fitted("copies", nobody, (NOT_USED, USED), cut="half").scores(nobody)
    with pytest.raises(FingerprintsError, match="too small"):
        find_copies(flat(REAL[:2, :8, :8]), flat(MADE[:2, :8, :8]), settings("copies", slack=2))
