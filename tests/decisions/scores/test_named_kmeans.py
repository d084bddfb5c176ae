"""Clusters with names, against loops."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.registry import restore_decision
from tests.decisions.parts import about_real, fitted, images

CLASSES = (NOT_USED, USED)
NOBODY = images(np.empty((0, 2), np.float32))


def heaps(labels, seed=0):
    """One heap of images around each of these places, with these labels."""
    rng = np.random.default_rng(seed)
    points = [
        10 * np.array([place, place % 2]) + rng.normal(size=2)
        for place, names in enumerate(labels)
        for _ in names
    ]
    names = [{"u": USED, "n": NOT_USED, "?": ""}[name] for heap in labels for name in heap]
    return about_real(images(np.array(points, np.float32), names), NOBODY)


def naive(training, own, k):
    """Answers by the majority of the true heaps, which k-means finds, and distances to their means."""
    heap = np.rint(training.queries.embeddings[:, 0] / 10).astype(int)
    labels = training.queries.labels
    means = {}
    for number in range(k):
        inside = (heap == number) & (labels != "")
        used = sum(labels[inside] == USED)
        name = USED if used >= inside.sum() - used else NOT_USED
        means.setdefault(name, []).append(training.queries.embeddings[inside].mean(axis=0))
    out = []
    for image in own.queries.embeddings:
        away = {name: min(np.linalg.norm(image - m) for m in found) for name, found in means.items()}
        out.append(away[NOT_USED] - away[USED])
    return np.array(out)


@pytest.mark.parametrize(
    "labels", [["uuun", "nnnu"], ["nnnn", "uuuu"], ["uunn", "nnun"], ["uuu", "nnn", "uun", "nnu"]]
)
def test_an_image_gets_the_majority_of_the_nearest_cluster(labels) -> None:
    training, own = heaps(labels), heaps(["????"] * len(labels), seed=1)
    found = fitted("named_kmeans", training, CLASSES, k=len(labels)).predict(own)
    expected = naive(training, own, len(labels))
    np.testing.assert_allclose(found.scores, expected, rtol=1e-4, atol=1e-4)
    assert found.labels.tolist() == np.where(expected >= 0, USED, NOT_USED).tolist()


def test_images_without_a_label_are_not_clustered() -> None:
    own = heaps(["uuu", "nnn"])
    more = heaps(["uuu", "nnn", "?????"])
    decisions = [fitted("named_kmeans", training, CLASSES) for training in (own, more)]
    np.testing.assert_array_equal(*(decision.scores(own) for decision in decisions))


@pytest.mark.parametrize(("labels", "name"), [(["uuun", "uunn"], USED), (["nnn", "nnu"], NOT_USED)])
def test_if_all_clusters_have_one_name_so_has_every_image(labels, name) -> None:
    training = heaps(labels)
    before = fitted("named_kmeans", training, CLASSES)
    for decision in (before, restore_decision(before.state())):
        assert set(decision.predict(training).labels) == {name}
        assert np.isfinite(decision.scores(training)).all()


def test_more_clusters_than_images_are_refused() -> None:
    with pytest.raises(FingerprintsError, match="2 labelled training images, fewer than 3 clusters"):
        fitted("named_kmeans", heaps(["u", "n"]), CLASSES, k=3)
