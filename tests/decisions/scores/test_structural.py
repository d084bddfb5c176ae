"""Structural similarity of all pairs, against scikit-image's of one pair."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from fingerprints.decisions.scores import structural
from fingerprints.decisions.scores.structural import structural_similarities


def pictures(n: int, side: int, *, seed: int = 0) -> np.ndarray:
    """Smooth images with black and white areas, where variances nearly vanish."""
    rng = np.random.default_rng(seed)
    wave = np.linspace(0, 6, side)
    found = [np.sin(wave + a)[:, None] + np.cos(wave * b)[None] + 0.1 for a, b in rng.random((n, 2))]
    return np.clip(np.array(found), 0, 1).astype(np.float32).reshape(n, -1)


@pytest.mark.parametrize(("side", "window"), [(20, 7), (7, 7), (6, 5), (3, 3)])
def test_each_pair_is_that_of_scikit_image(side, window, monkeypatch) -> None:
    monkeypatch.setattr(structural, "PIXELS", 3 * side**2)  # blocks do not matter
    left, right = pictures(4, side), pictures(8, side, seed=1)
    expected = [
        [
            structural_similarity(
                a.reshape(side, side).astype(float),
                b.reshape(side, side).astype(float),
                data_range=1.0,
                win_size=window,
            )
            for b in right
        ]
        for a in left
    ]
    np.testing.assert_allclose(structural_similarities(left, right), expected, atol=2e-5)


def test_among_the_same_images_half_of_the_pairs_is_enough(monkeypatch) -> None:
    monkeypatch.setattr(structural, "PIXELS", 3 * 10**2)
    images = pictures(8, 10)
    both = structural_similarities(images, images)
    found = structural_similarities(images, images, same=True)
    np.testing.assert_allclose(found, both, atol=1e-6)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_allclose(np.diag(found), 1, atol=1e-5)
