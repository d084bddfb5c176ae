"""Similarities, against loops."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.scores import similarity
from tests.decisions.parts import about_real, fitted, images, settings
from tests.decisions.scores.test_distance import part

CLASSES = (NOT_USED, USED)
SIMILARITIES = {
    "euclidean": lambda a, b: -np.linalg.norm(a - b),
    "cosine": lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b),
    "manhattan": lambda a, b: -np.abs(a - b).sum(),
}
RULES = {"max": max, "mean": np.mean, "k_largest": lambda found: np.mean(sorted(found)[-3:])}


def scores(own, **options):
    return fitted("similarity", own, CLASSES, **options).scores(own)


@pytest.mark.parametrize("metric", SIMILARITIES)
@pytest.mark.parametrize("rule", RULES)
def test_each_metric_and_rule(metric, rule) -> None:
    own = part()
    made = own.references.embeddings.astype(float)
    expected = [
        RULES[rule]([SIMILARITIES[metric](query.astype(float), other) for other in made])
        for query in own.queries.embeddings
    ]
    np.testing.assert_allclose(scores(own, metric=metric, rule=rule, k=3), expected, rtol=1e-3, atol=1e-4)


def test_structural_similarity_of_all_or_of_the_nearest() -> None:
    rng = np.random.default_rng(0)
    real, made = (rng.random((n, 64)).astype(np.float32) for n in (4, 9))
    own = about_real(images(real), images(made))
    table = np.array(
        [
            [structural_similarity(a, b, data_range=1.0) for b in made.reshape(-1, 8, 8)]
            for a in real.reshape(-1, 8, 8)
        ]
    )
    np.testing.assert_allclose(scores(own, metric="ssim"), table.max(axis=1), rtol=1e-5)
    nearest = np.argmin(((real[:, None] - made[None]) ** 2).sum(axis=2), axis=1)
    few = scores(own, metric="ssim", ssim_nearest=1)
    np.testing.assert_allclose(few, table[np.arange(4), nearest], rtol=1e-5)


def test_large_images_are_compared_with_the_nearest_unless_the_mean_is_asked(monkeypatch) -> None:
    rng = np.random.default_rng(1)
    real, made = (rng.random((n, 64)).astype(np.float32) for n in (3, 6))
    own = about_real(images(real), images(made))
    exact = {rule: scores(own, metric="ssim", rule=rule) for rule in ("max", "mean")}
    nearest = scores(own, metric="ssim", ssim_nearest=1)
    monkeypatch.setattr(similarity, "EXACT_TO", 7)
    monkeypatch.setattr(similarity, "SHORTLIST", 1)
    np.testing.assert_array_equal(scores(own, metric="ssim"), nearest)
    np.testing.assert_array_equal(scores(own, metric="ssim", rule="mean"), exact["mean"])
    assert (nearest != exact["max"]).any()


def test_a_mean_over_the_nearest_alone_is_refused() -> None:
    with pytest.raises(FingerprintsError, match="not the mean similarity"):
        settings("similarity", metric="ssim", rule="mean", ssim_nearest=5)


def test_without_generated_images_it_says_so() -> None:
    alone = about_real(part().queries, images(np.empty((0, 8), np.float32)))
    with pytest.raises(FingerprintsError, match="at least 1 generated"):
        scores(alone)
