"""Weighted sums, against loops."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.registry import restore_decision
from tests.decisions.parts import about_real, fitted, images, settings
from tests.decisions.scores.test_distance import part

CLASSES = (NOT_USED, USED)


def spread(features: np.ndarray) -> list[float]:
    found = [np.mean([(x - np.mean(column)) ** 2 for x in column]) for column in features.T.astype(float)]
    return [float(value) / float(sum(found)) for value in found]


@pytest.mark.parametrize("weights", ["equal", "variance"])
def test_it_is_the_weighted_sum(weights) -> None:
    training, own = part(1), part(2)
    known = training.queries.embeddings * np.arange(1, 9, dtype=np.float32)
    training = about_real(images(known, training.queries.labels), training.references)
    given = [1 / 8] * 8 if weights == "equal" else spread(known)
    expected = [
        sum(w * float(x) for w, x in zip(given, image, strict=True)) for image in own.queries.embeddings
    ]
    found = fitted("feature_sum", training, CLASSES, weights=weights)
    np.testing.assert_allclose(found.scores(own), expected, rtol=1e-5)
    np.testing.assert_array_equal(restore_decision(found.state()).scores(own), found.scores(own))


def test_generated_images_change_nothing_and_the_mean_is_a_cut() -> None:
    own = part(2)
    decision = fitted("feature_sum", own, CLASSES, cut="mean")
    without = about_real(own.queries, images(np.empty((0, 8), np.float32)))
    found = decision.predict(without)
    np.testing.assert_array_equal(found.scores, decision.predict(own).scores)
    mean = np.mean(found.scores)
    assert found.labels.tolist() == np.where(found.scores >= mean, USED, NOT_USED).tolist()
    assert not settings("feature_sum").uses_references


def test_constant_features_give_numbers() -> None:
    flat = about_real(images(np.ones((4, 3), np.float32), [USED, NOT_USED] * 2), images(np.ones((2, 3))))
    np.testing.assert_allclose(fitted("feature_sum", flat, CLASSES, weights="variance").scores(flat), 1)
