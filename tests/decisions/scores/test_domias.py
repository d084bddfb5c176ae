"""Ratios of densities in logs, against sums of densities in double precision."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gaussian_kde, multivariate_normal
from sklearn.covariance import ledoit_wolf

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.registry import restore_decision
from fingerprints.decisions.scores.domias import log_density
from tests.decisions.parts import about_real, fitted, images, settings
from tests.decisions.scores.test_distance import part

CLASSES = (NOT_USED, USED)


def drawn(seed: int, n: int, d: int, *, spread: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (spread * rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)).astype(
        np.float32
    )


def scores(own, given, **options) -> np.ndarray:
    return fitted("domias", own, CLASSES, given=images(given), **options).scores(own)


def naive(kind: str, points: np.ndarray, fitted_on: np.ndarray) -> np.ndarray:
    """Log of the density, with a loop over kernels and no trick against underflow."""
    x, own = points.astype(float), fitted_on.astype(float)
    n, d = own.shape
    cov = ledoit_wolf(own)[0] + 1e-6 * np.eye(d)
    if kind == "gaussian":
        return np.log([multivariate_normal(own.mean(axis=0), cov).pdf(p) for p in x])
    kernel = cov * n ** (-2 / (d + 4))
    return np.log([np.mean([multivariate_normal(g, kernel).pdf(p) for g in own]) for p in x])


@pytest.mark.parametrize("kind", ["kde", "gaussian"])
def test_log_densities_are_those_of_the_naive_sums(kind: str) -> None:
    own, points = drawn(0, 30, 3), drawn(1, 8, 3)
    found = log_density(settings("domias", density=kind), own)(points)
    np.testing.assert_allclose(found, naive(kind, points, own), rtol=1e-4)


def test_with_many_images_kernels_are_nearly_those_of_scipy() -> None:
    own, points = drawn(0, 400, 2), drawn(1, 8, 2)
    found = log_density(settings("domias"), own)(points)
    np.testing.assert_allclose(found, gaussian_kde(own.T).logpdf(points.T), rtol=0.05)


@pytest.mark.parametrize("kind", ["kde", "gaussian"])
def test_scores_are_the_log_ratio_whatever_the_coordinates(kind: str) -> None:
    own, given = part(real=6, generated=30, d=3), drawn(2, 25, 3)
    made, asked = own.references.embeddings, own.queries.embeddings
    both = np.concatenate([made, given]).astype(float)
    root = np.linalg.cholesky(np.linalg.inv(np.cov(both.T)))  # other coordinates in which variances are 1
    made, asked, known = ((side - both.mean(axis=0)) @ root for side in (made, asked, given))
    found = scores(own, given, density=kind, components=None)
    expected = naive(kind, asked, made) - naive(kind, asked, known)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("options", [{}, {"components": None}, {"density": "gaussian", "components": None}])
def test_4096_pixels_of_few_images_give_finite_scores(options) -> None:
    own = part(real=12, generated=30, d=4096)
    own.references.embeddings[:, :2000] = own.queries.embeddings[:, :2000] = 0.5  # constant features
    found = scores(own, drawn(0, 9, 64).repeat(64, axis=1), **options)
    assert np.isfinite(found).all()
    assert len(np.unique(found)) == 12


def test_members_score_higher_and_it_comes_back_from_its_state() -> None:
    own, given = part(generated=60), np.random.default_rng(5).normal(size=(50, 8)).astype(np.float32)
    decision = fitted("domias", own, CLASSES, given=images(given), cut="reference")
    found = decision.scores(own)
    assert found[own.queries.labels == USED].mean() > found[own.queries.labels == NOT_USED].mean() + 1
    np.testing.assert_array_equal(restore_decision(decision.state()).scores(own), found)


def test_images_that_are_all_the_same_have_no_ratio_and_too_few_are_named() -> None:
    same = np.ones((9, 4), np.float32)
    own = about_real(images(same, [USED, NOT_USED, *[USED] * 7]), images(same))
    np.testing.assert_allclose(scores(own, same), 0)
    with pytest.raises(FingerprintsError, match="at least 2 reference"):
        fitted("domias", own, CLASSES)
    with pytest.raises(FingerprintsError, match="at least 2 generated"):
        scores(about_real(own.queries, images(same[:1])), same)
    assert len(scores(about_real(images(same[:0]), own.references), same)) == 0


def test_a_reference_image_that_was_learnt_from_looks_less_like_a_member_than_an_unseen_one() -> None:
    """Why the reference is divided: a cut at learnt images would call unseen ones used too often."""
    rng = np.random.default_rng(0)
    made, known, unseen = (rng.normal(size=(n, 8)).astype(np.float32) for n in (200, 40, 40))
    found = scores(about_real(images(np.concatenate([known, unseen])), images(made)), known)
    assert found[:40].max() < np.quantile(found[40:], 0.75)


def test_unused_images_are_called_used_as_rarely_as_the_cut_says() -> None:
    rng, called = np.random.default_rng(0), []
    for seed in range(40):
        unused, made, asked = (rng.normal(size=(n, 6)).astype(np.float32) for n in (40, 60, 60))
        training = about_real(images(unused, [NOT_USED] * 40), images(made))
        decision = fitted("domias", training, CLASSES, seed=seed, cut="reference")
        called.append((decision.predict(about_real(images(asked), images(made))).labels == USED).mean())
    assert np.mean(called) == pytest.approx(1 / 21, abs=0.02)  # above the highest of the 20 not learnt from
