"""Scores of membership by distance, against brute force."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Part
from tests.decisions.parts import about_real, fitted, images

RULES = ("mean", "nearest", "k_nearest")


def part(seed: int = 0, *, real: int = 20, generated: int = 15, d: int = 8, scale: float = 1.0) -> Part:
    """The even real images have a generated neighbour."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(real, d))
    near = points[::2][rng.integers(0, (real + 1) // 2, generated)]
    made = near + 0.2 * rng.normal(size=(generated, d))
    labels = ([USED, NOT_USED] * real)[:real]
    return about_real(
        images((scale * points).astype(np.float32), labels), images((scale * made).astype(np.float32))
    )


def scores(own: Part, training: Part | None = None, **options) -> np.ndarray:
    return fitted("distance", training or own, (NOT_USED, USED), **options).scores(own)


def naive_distance(query: np.ndarray, references: np.ndarray, count: int | None) -> float:
    return float(
        np.mean(sorted(np.linalg.norm(references.astype(float) - query.astype(float), axis=1))[:count])
    )


@pytest.mark.parametrize(("rule", "count"), [("mean", 15), ("nearest", 1), ("k_nearest", 4)])
def test_raw_score_is_minus_the_distance(rule, count) -> None:
    own = part()
    found = scores(own, rule=rule, k=4, standardise=False)
    made = own.references.embeddings
    expected = [-naive_distance(query, made, count) for query in own.queries.embeddings]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize(("rule", "count"), [("mean", 14), ("nearest", 1), ("k_nearest", 4)])
def test_standardised_by_the_generated_images_themselves(rule, count) -> None:
    own, made = part(), part().references.embeddings
    raw = scores(own, rule=rule, k=4, standardise=False)
    others = [np.delete(made, i, axis=0) for i in range(len(made))]
    itself = [-naive_distance(q, o, count) for q, o in zip(made, others, strict=True)]
    found = scores(own, rule=rule, k=4)
    np.testing.assert_allclose(found, (raw - np.mean(itself)) / np.std(itself), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("scale", [0.01, 7.0])
def test_standardised_score_does_not_depend_on_the_scale(rule, scale) -> None:
    own, bigger = part(), part(scale=scale)
    np.testing.assert_allclose(scores(bigger, rule=rule), scores(own, rule=rule), rtol=1e-3, atol=1e-3)
    plain = {"rule": rule, "standardise": False}
    np.testing.assert_allclose(scores(bigger, **plain), scale * scores(own, **plain), rtol=1e-3)


def test_references_scale_every_distance_by_the_reach_of_both_ends() -> None:
    own, training = part(0), part(1)
    known, made = training.queries.embeddings, own.references.embeddings

    def scaled(query: np.ndarray, image: np.ndarray) -> float:
        reach = [naive_distance(end, known, 3) for end in (query, image)]
        return float(np.linalg.norm(query - image) / np.sqrt(reach[0] * reach[1]))

    expected = [-np.log(min(scaled(q, g) for g in made)) for q in own.queries.embeddings]
    found = scores(own, training, scaled_by="training", reference_k=3, standardise=False)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("rule", "count"), [("mean", None), ("nearest", 1), ("k_nearest", 4)])
def test_the_calibrated_attack_subtracts_the_distance_to_the_reference(rule, count) -> None:
    own, known = part(), part(3).queries.embeddings
    given = images(known)
    options = {"scaled_by": "reference", "rule": rule, "k": 4}
    plain = fitted("distance", own, (NOT_USED, USED), given=given, standardise=False, **options)
    made = own.references.embeddings
    expected = [
        naive_distance(q, known, count) - naive_distance(q, made, count) for q in own.queries.embeddings
    ]
    found = plain.scores(own)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    standard = fitted("distance", own, (NOT_USED, USED), given=given, **options).scores(own)
    assert np.argsort(standard).tolist() == np.argsort(found).tolist()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("generated", [1, 2])
def test_few_generated_images_give_numbers_or_an_error(rule, generated) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = scores(part(generated=generated), rule=rule)
        except FingerprintsError:
            assert generated == 1
        else:
            assert np.isfinite(found).all()


def test_used_images_score_higher() -> None:
    own = part()
    found = scores(own)
    assert found[own.queries.labels == USED].mean() > found[own.queries.labels == NOT_USED].mean() + 1
