"""Nearest centroid against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import FitOn
from fingerprints.decisions.centroid import CentroidDecision, centroids
from fingerprints.decisions.part import EmbeddedPart

CLASSES = ("t1", "t2", "t3")


def part(seed: int, *, real: int = 40, generated: int = 60) -> EmbeddedPart:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(3, 8))

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        codes = np.concatenate([np.arange(3), rng.integers(0, 3, max(0, n - 3))])[:n]
        points = centres[codes] + 1.5 * rng.normal(size=(n, 8))
        return points.astype(np.float32), np.array(CLASSES)[codes]

    points, labels = draw(real)
    made, answers = draw(generated)
    return EmbeddedPart(points, labels, made, answers)


@pytest.mark.parametrize("seed", range(4))
def test_labels_agree_with_scikit_learn(seed: int) -> None:
    own = part(seed)
    decision = CentroidDecision.fit(own, CLASSES)
    reference = NearestCentroid().fit(own.real, own.real_labels)
    np.testing.assert_allclose(decision.centroids, reference.centroids_, rtol=1e-4, atol=1e-6)
    labels = decision.labels(decision.scores(own))
    assert labels.tolist() == reference.predict(own.generated).tolist()
    assert 0.3 < np.mean(labels == own.generated_labels) < 1


def test_scores_are_negative_distances_in_the_order_of_classes() -> None:
    own = part(0)
    decision = CentroidDecision.fit(own, CLASSES[::-1])
    for number, name in enumerate(CLASSES[::-1]):
        centre = own.real[own.real_labels == name].mean(axis=0)
        np.testing.assert_allclose(
            decision.scores(own)[:, number], -np.linalg.norm(own.generated - centre, axis=1), rtol=1e-4
        )
    assert decision.labels(np.array([[-3.0, -1.0, -2.0]])).tolist() == ["t2"]


def test_generated_images_serve_where_there_are_no_real_ones() -> None:
    own = part(1, real=0)
    decision = CentroidDecision.fit(own, CLASSES)
    np.testing.assert_array_equal(decision.centroids, centroids(own.generated, own.generated_labels, CLASSES))


def test_real_images_alone_make_the_centroids() -> None:
    own = part(2)
    moved = EmbeddedPart(own.real, own.real_labels, own.generated + 5, own.generated_labels)
    one, two = (CentroidDecision.fit(p, CLASSES).centroids for p in (own, moved))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("fit_on", ["generated", "both"])
def test_fit_on(fit_on: FitOn) -> None:
    own = part(3)
    points = {"generated": own.generated, "both": np.concatenate([own.real, own.generated])}[fit_on]
    labels = {"generated": own.generated_labels, "both": np.append(own.real_labels, own.generated_labels)}
    answers = CentroidDecision.fit(own, CLASSES, fit_on=fit_on).answer(own.real)
    assert answers.labels.tolist() == NearestCentroid().fit(points, labels[fit_on]).predict(own.real).tolist()
    assert answers.labels.tolist() != CentroidDecision.fit(own, CLASSES).answer(own.real).labels.tolist()
    assert (np.array(CLASSES)[answers.scores.argmax(axis=1)] == answers.labels).all()


def test_a_class_without_images_is_refused() -> None:
    with pytest.raises(FingerprintsError, match="without a real image: t4"):
        CentroidDecision.fit(part(0), (*CLASSES, "t4"))
