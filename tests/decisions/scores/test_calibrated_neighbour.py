"""The nearest generated image against the nearest real one, against loops."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.scores import calibrated_neighbour
from tests.decisions.parts import about_real, fitted, images

CLASSES = (NOT_USED, USED)


def scores(own, **options) -> np.ndarray:
    return fitted("calibrated_neighbour", own, CLASSES, cut="half", **options).scores(own)


@pytest.mark.parametrize("by", ["difference", "ratio"])
@pytest.mark.parametrize("grouped", [True, False])
def test_scores_are_those_of_the_loops(by: str, grouped: bool, monkeypatch) -> None:
    monkeypatch.setattr(calibrated_neighbour, "BLOCK", 4)
    rng = np.random.default_rng(0)
    real, made = rng.random((10, 5)).astype(np.float32), rng.random((7, 5)).astype(np.float32)
    groups = [*"aaabbcdddd"] if grouped else None
    expected = []
    for i, x in enumerate(real):
        near = min(np.linalg.norm(x - g) for g in made)
        others = [j for j in range(10) if (groups[j] != groups[i] if grouped else j != i)]
        other = min(np.linalg.norm(x - real[j]) for j in others)
        expected.append(other - near if by == "difference" else np.log(other / near))
    own = about_real(images(real, groups=groups), images(made))
    np.testing.assert_allclose(scores(own, by=by), expected, rtol=1e-4, atol=1e-5)


def test_a_copy_is_first_and_slices_of_the_same_patient_say_nothing() -> None:
    rng = np.random.default_rng(1)
    real = rng.random((6, 5)).astype(np.float32)
    real[1] = real[0] + 1e-3  # the next slice of the same patient
    own = about_real(images(real, groups=[*"aabbcc"]), images(np.vstack([real[:1], rng.random((3, 5))])))
    for by in ("difference", "ratio"):
        assert set(np.argsort(-scores(own, by=by))[:2]) == {0, 1}


def test_one_patient_alone_is_refused() -> None:
    points = np.random.default_rng(2).random((4, 5)).astype(np.float32)
    with pytest.raises(FingerprintsError, match="only one"):
        scores(about_real(images(points, groups=[*"aaaa"]), images(points)))
