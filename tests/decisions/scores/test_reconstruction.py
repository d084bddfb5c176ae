"""Errors of an autoencoder against class means, by loops."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Part
from tests.decisions.parts import about_real, fitted, images

CLASSES = (NOT_USED, USED)
NOTHING = images(np.empty((0, 81), np.float32))


def part(seed: int, *, side: int = 9, number: int = 12) -> Part:
    """Error maps `(side, side)`; those of used images are smaller on the left."""
    rng = np.random.default_rng(seed)
    maps = rng.gamma(2.0, 0.01, size=(number, side, side))
    maps[::2, :, : side // 2] *= 0.4
    labels = ([USED, NOT_USED] * number)[:number]
    return about_real(images(maps.reshape(number, -1).astype(np.float32), labels), NOTHING)


def mean_map(own: Part, label: str) -> np.ndarray:
    chosen = [
        image for image, name in zip(own.real.embeddings, own.real.labels, strict=True) if name == label
    ]
    return sum(image.astype(float) for image in chosen) / len(chosen)


def naive_ssim(left: np.ndarray, right: np.ndarray, *, extent: float, window: int) -> float:
    """Mean over all whole windows; sample variances (Wang et al. 2004, formula 13)."""
    side, values = len(left), []
    one, two = (0.01 * extent) ** 2, (0.03 * extent) ** 2
    for y in range(side - window + 1):
        for x in range(side - window + 1):
            a, b = (image[y : y + window, x : x + window].ravel() for image in (left, right))
            covariance = np.cov(a, b)
            values.append(
                (2 * a.mean() * b.mean() + one)
                * (2 * covariance[0, 1] + two)
                / ((a.mean() ** 2 + b.mean() ** 2 + one) * (covariance[0, 0] + covariance[1, 1] + two))
            )
    return float(np.mean(values))


def test_mean_error_is_nearest_to_that_of_its_class() -> None:
    training, own = part(1), part(2)
    found = fitted("mean_error", training, CLASSES).predict(own)
    means = {label: mean_map(training, label).mean() for label in CLASSES}
    for image, label, score in zip(own.real.embeddings, found.labels, found.scores, strict=True):
        away = {name: abs(float(image.astype(float).mean()) - mean) for name, mean in means.items()}
        assert score == pytest.approx(away[NOT_USED] - away[USED], abs=1e-7)
        assert label == min(away, key=away.get)
    assert (found.labels == own.real.labels).mean() > 0.8


@pytest.mark.parametrize(("side", "window"), [(9, 7), (6, 5), (3, 3)])
def test_error_maps_are_compared_by_structural_similarity(side: int, window: int) -> None:
    training, own = part(1, side=side), part(2, side=side)
    found = fitted("error_map", training, CLASSES).predict(own)
    means = {label: mean_map(training, label).reshape(side, side) for label in CLASSES}
    both = np.concatenate(list(means.values()))
    extent = float(both.max() - both.min())
    for image, label, score in zip(own.real.embeddings, found.labels, found.scores, strict=True):
        square = image.astype(float).reshape(side, side)
        likeness = {
            name: naive_ssim(square, mean, extent=extent, window=window) for name, mean in means.items()
        }
        assert score == pytest.approx(likeness[USED] - likeness[NOT_USED], abs=1e-4)
        assert label == max(likeness, key=likeness.get)


def test_maps_without_any_error_are_a_tie() -> None:
    flat = about_real(images(np.zeros((4, 81), np.float32), [USED, NOT_USED] * 2), NOTHING)
    for name in ("mean_error", "error_map"):
        np.testing.assert_array_equal(fitted(name, flat, CLASSES).scores(flat), np.zeros(4))


def test_no_generated_image_enters() -> None:
    own = part(1)
    more = about_real(own.real, images(np.ones((5, 81), np.float32)))
    for name in ("mean_error", "error_map"):
        np.testing.assert_array_equal(
            fitted(name, more, CLASSES).scores(more), fitted(name, own, CLASSES).scores(own)
        )


def test_a_class_without_images_is_refused() -> None:
    own = part(1)
    alone = about_real(images(own.real.embeddings, [USED] * len(own.real)), NOTHING)
    with pytest.raises(FingerprintsError, match="no training images labelled not_used"):
        fitted("error_map", alone, CLASSES)
