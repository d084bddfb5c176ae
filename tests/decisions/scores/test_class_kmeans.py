"""Nearest centre of the used and of the unused images, against loops."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from tests.decisions.parts import about_real, fitted, images
from tests.decisions.scores.test_distance import part

CLASSES = (NOT_USED, USED)


def test_with_one_centre_it_is_the_nearest_class_mean_by_manhattan_distance() -> None:
    training, own = part(1), part(2)
    found = fitted("class_kmeans", training, CLASSES).predict(own)
    real = training.queries
    means = {label: real.embeddings[real.labels == label].astype(float).mean(axis=0) for label in CLASSES}
    for image, label, score in zip(own.queries.embeddings, found.labels, found.scores, strict=True):
        away = {name: np.abs(image - mean).sum() for name, mean in means.items()}
        assert score == pytest.approx(away[NOT_USED] - away[USED], abs=1e-4)
        assert label == min(away, key=away.get)


def test_with_a_centre_for_each_image_it_knows_the_training_images() -> None:
    own = part(1)
    found = fitted("class_kmeans", own, CLASSES, k=10).predict(own)
    assert found.labels.tolist() == own.queries.labels.tolist()


def test_another_cut_replaces_the_nearest_centre() -> None:
    found = fitted("class_kmeans", part(1), CLASSES, cut="half").predict(part(2))
    assert (found.labels == USED).sum() == len(found.labels) // 2


def test_no_generated_image_enters() -> None:
    own = part(1)
    alone = about_real(own.queries, images(np.empty((0, 8), np.float32)))
    np.testing.assert_array_equal(
        fitted("class_kmeans", alone, CLASSES, k=2).scores(alone),
        fitted("class_kmeans", own, CLASSES, k=2).scores(own),
    )


def test_more_centres_than_images_are_refused() -> None:
    with pytest.raises(FingerprintsError, match="10 training images labelled used, fewer than 11"):
        fitted("class_kmeans", part(1), CLASSES, k=11)
