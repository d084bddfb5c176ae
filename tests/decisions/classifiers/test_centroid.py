"""Nearest centroid against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import FitOn
from fingerprints.decisions.classifiers.centroid import centroids
from fingerprints.decisions.contract import Part
from tests.decisions.parts import about_generated, fitted, images

CLASSES = ("t1", "t2", "t3")


def part(seed: int, *, real: int = 40, generated: int = 60) -> Part:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(3, 8))

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        codes = np.concatenate([np.arange(3), rng.integers(0, 3, max(0, n - 3))])[:n]
        points = centres[codes] + 1.5 * rng.normal(size=(n, 8))
        return points.astype(np.float32), np.array(CLASSES)[codes]

    points, labels = draw(real)
    made, names = draw(generated)
    return about_generated(images(points, labels), images(made, names))


@pytest.mark.parametrize("seed", range(4))
def test_labels_agree_with_scikit_learn(seed: int) -> None:
    own = part(seed)
    decision = fitted("centroid", own, CLASSES)
    reference = NearestCentroid().fit(own.real.embeddings, own.real.labels)
    np.testing.assert_allclose(decision.centroids, reference.centroids_, rtol=1e-4, atol=1e-6)
    labels = decision.predict(own).labels
    assert labels.tolist() == reference.predict(own.generated.embeddings).tolist()
    assert 0.3 < np.mean(labels == own.generated.labels) < 1


def test_scores_are_negative_distances_in_the_order_of_classes() -> None:
    own = part(0)
    decision = fitted("centroid", own, CLASSES[::-1])
    for number, name in enumerate(CLASSES[::-1]):
        centre = own.real.embeddings[own.real.labels == name].mean(axis=0)
        distances = np.linalg.norm(own.generated.embeddings - centre, axis=1)
        np.testing.assert_allclose(decision.predict(own).scores[:, number], -distances, rtol=1e-4)
    assert decision.decide(np.array([[-3.0, -1.0, -2.0]])).labels.tolist() == ["t2"]


def test_generated_images_serve_where_there_are_no_real_ones() -> None:
    own = part(1, real=0)
    decision = fitted("centroid", own, CLASSES)
    expected = centroids(own.generated.embeddings, own.generated.labels, CLASSES)
    np.testing.assert_array_equal(decision.explain().prototypes, expected)


def test_real_images_alone_make_the_centroids() -> None:
    own = part(2)
    moved = about_generated(own.real, images(own.generated.embeddings + 5, own.generated.labels))
    one, two = (fitted("centroid", p, CLASSES).centroids for p in (own, moved))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("fit_on", ["generated", "both"])
def test_fit_on(fit_on: FitOn) -> None:
    own = part(3)
    sides = {"generated": [own.generated], "both": [own.real, own.generated]}[fit_on]
    points = np.concatenate([side.embeddings for side in sides])
    reference = NearestCentroid().fit(points, np.concatenate([side.labels for side in sides]))
    found = fitted("centroid", own, CLASSES, fit_on=fit_on).predict(own.swapped())
    assert found.labels.tolist() == reference.predict(own.real.embeddings).tolist()
    assert found.labels.tolist() != fitted("centroid", own, CLASSES).predict(own.swapped()).labels.tolist()
    assert (np.array(CLASSES)[found.scores.argmax(axis=1)] == found.labels).all()


def test_a_class_without_images_is_refused() -> None:
    with pytest.raises(FingerprintsError, match="have no real image: t4"):
        fitted("centroid", part(0), (*CLASSES, "t4"))
