from __future__ import annotations

import numpy as np
import pytest

from fingerprints.auditing.battery import check_battery, combined, names_of, score
from fingerprints.core.errors import FingerprintsError
from tests.decisions.parts import settings


def slow_combined(scores: np.ndarray) -> np.ndarray:
    detectors, count = scores.shape
    below = [[sum(other < own for other in row) for own in row] for row in scores]
    return np.array(
        [(max(column) + sum(column) / detectors / count) / count for column in zip(*below, strict=True)]
    )


def test_the_highest_rank_counts_and_the_mean_breaks_ties() -> None:
    scores = np.random.default_rng(0).integers(0, 9, (3, 20)).astype(float)  # with ties
    np.testing.assert_allclose(combined(scores), slow_combined(scores))
    # Both are first in one detector; the first image is also second in the other.
    found = combined(np.array([[9.0, 8, 1, 0], [5, 9, 1, 0], [5, 0, 7, 4]]))
    assert found.argmax() == 0
    assert found.max() < 1


def test_a_detector_that_says_nothing_changes_no_order() -> None:
    own = np.random.default_rng(1).normal(size=(1, 30))
    with_constant = combined(np.concatenate([own, np.zeros((1, 30))]))
    assert (np.argsort(with_constant) == np.argsort(own[0])).all()


def test_candidates_and_reference_are_scored_alike() -> None:
    rng = np.random.default_rng(3)
    real, generated = (rng.integers(0, 256, (count, 16, 16), dtype=np.uint8) for count in (7, 9))
    generated[0] = real[4]
    battery = [
        settings("distance", cut="half"),
        settings("similarity_matrix", metric="mse", rule="retrieval"),
        settings("calibrated_neighbour", cut="half"),
    ]
    groups = np.array([*"aabbccd"])
    found = score(battery, real, generated, groups=groups, seed=0, progress=None)
    assert (found.argmax(axis=1) == 4).all()
    order = rng.permutation(7)
    np.testing.assert_allclose(
        score(battery, real[order], generated, groups=groups[order], seed=0, progress=None),
        found[:, order],
        atol=1e-4,
    )


def test_detectors_that_occur_twice_are_numbered() -> None:
    assert names_of([settings("distance"), settings("similarity"), settings("distance")]) == [
        "distance",
        "similarity",
        "distance 2",
    ]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("svm", {}, "untrained"),
        ("class_kmeans", {}, "untrained"),
        ("pair_classifier", {}, "images labelled used"),
        ("window_em", {}, "reference"),
    ],
)
def test_a_detector_that_needs_more_than_images_is_refused_before_work(name, options, said) -> None:
    with pytest.raises(FingerprintsError, match=said):
        check_battery([settings(name, **options)], side=16)


def test_an_empty_battery_is_refused() -> None:
    with pytest.raises(FingerprintsError, match="no detector"):
        check_battery([], side=16)
