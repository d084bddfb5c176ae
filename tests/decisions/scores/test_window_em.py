"""The joint score, against its recipe in loops and double precision."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_laplace

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.scores import window_em
from fingerprints.decisions.scores.window_em import edges, windows
from tests.decisions.parts import about_real, fitted, images, settings

CLASSES = (NOT_USED, USED)
OPTIONS = {"window": 6, "stride": 4, "components": 5, "sigma": 1.0}


def part(seed: int = 0, *, real: int = 24, generated: int = 60, side: int = 14, members: int = 12):
    """Generated images are noisy copies of the first real ones."""
    rng = np.random.default_rng(seed)
    points = rng.random((real, side * side)).astype(np.float32)
    made = points[rng.integers(0, members, generated)] if members else rng.random((generated, side * side))
    made = (made + 0.3 * rng.normal(size=made.shape)).astype(np.float32)
    labels = [USED if at < members else NOT_USED for at in range(real)]
    return about_real(images(points, labels), images(made))


def naive(own, *, window: int | None, stride: int, components: int, sigma: float) -> np.ndarray:
    def maps(embeddings):
        side = round(embeddings.shape[1] ** 0.5)
        return [gaussian_laplace(image.astype(np.float64).reshape(side, side), sigma) for image in embeddings]

    real, made = maps(own.queries.embeddings), maps(own.references.embeddings)
    side = len(real[0])
    reach = side if window is None else window
    found = []
    for y in range(0, side - reach + 1, stride):
        for x in range(0, side - reach + 1, stride):
            here = np.array([m[y : y + reach, x : x + reach].ravel() for m in made])
            mean = here.mean(axis=0)
            values, vectors = np.linalg.eigh(np.cov(here.T))
            values, vectors = values[::-1][:components], vectors[:, ::-1][:, :components]
            scale = (values / values[0] + 0.1) ** -0.5
            coded = [
                [((m[y : y + reach, x : x + reach].ravel() - mean) @ vectors) * scale for m in side_maps]
                for side_maps in (real, made)
            ]
            left, right = (np.array([v / np.linalg.norm(v) for v in rows]) for rows in coded)
            cosine = left @ right.T
            found.append((cosine - cosine.mean(axis=0)) / cosine.std(axis=0))
    z = np.mean(found, axis=0)
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    weight = np.full(len(z), 1 / len(z))
    for _ in range(5):
        share = weight[:, None] * np.exp(2 * z)
        weight = (share / share.sum(axis=0)).mean(axis=1)
    return np.log(len(z) * weight + 1e-6)


@pytest.mark.parametrize("options", [OPTIONS, OPTIONS | {"window": None}])
def test_scores_are_those_of_the_recipe(options, monkeypatch) -> None:
    monkeypatch.setattr(window_em, "BLOCK", 7)  # blocks do not matter
    own = part()
    found = fitted("window_em", own, CLASSES, cut="half", reference="none", **options).scores(own)
    np.testing.assert_allclose(found, naive(own, **options), rtol=1e-3, atol=1e-3)
    assert np.median(found[:12]) > found[12:].max()


def test_windows_cover_a_grid_and_a_small_image_is_one_window() -> None:
    assert len(list(windows(64, 24, 8))) == 36
    assert list(windows(16, 24, 8)) == [(slice(0, 16), slice(0, 16))]


def test_edges_do_not_mix_images() -> None:
    flat = part().queries.embeddings
    np.testing.assert_allclose(edges(flat[[0, 5]], 1.5)[1], edges(flat[[5]], 1.5)[0])


def test_a_generator_of_none_of_them_raises_alarms_at_the_stated_rate_only_with_a_reference() -> None:
    training = part(1)
    calibrated = fitted("window_em", training, CLASSES, **OPTIONS)
    ranks = fitted("window_em", training, CLASSES, cut="half", reference="none", **OPTIONS)
    foreign = [part(seed, members=0) for seed in range(2, 42)]
    alarms = np.array([(calibrated.predict(own).labels == USED).mean() for own in foreign])
    assert alarms.mean() == pytest.approx(1 / 13, abs=0.04)  # above the highest of 12
    assert all((ranks.predict(own).labels == USED).mean() == 0.5 for own in foreign)
    assert (calibrated.predict(part(3)).labels[:12] == USED).all()


def test_empty_corners_and_single_candidates_give_numbers() -> None:
    own = part()
    for side in (own.queries.embeddings, own.references.embeddings):
        side.reshape(-1, 14, 14)[:, :7] = 0
    own.queries.embeddings[:] = own.queries.embeddings[:1]
    found = fitted("window_em", own, CLASSES, cut="half", reference="none", **OPTIONS).scores(own)
    np.testing.assert_allclose(found, 0, atol=1e-5)


def test_without_generated_images_it_says_so() -> None:
    own = part()
    alone = about_real(own.queries, images(own.references.embeddings[:1]))
    with pytest.raises(FingerprintsError, match="at least 2 generated"):
        fitted("window_em", own, CLASSES, cut="half", reference="none").scores(alone)


def test_labels_are_not_used_unless_the_reference_is_of_the_training_part() -> None:
    assert not settings("window_em").blind_to_labels
    assert not settings("window_em", cut="out_of_fold", reference="not_used").blind_to_labels
    assert settings("window_em", cut="out_of_fold").blind_to_labels
    assert settings("window_em", reference="given").blind_to_labels
    assert not settings("distance", cut="half").blind_to_labels
