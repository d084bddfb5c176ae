"""Shares of near generated images, against loops."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.registry import restore_decision
from fingerprints.decisions.scores import monte_carlo
from tests.decisions.parts import about_real, fitted, images
from tests.decisions.scores.test_distance import part

CLASSES = (NOT_USED, USED)


def scores(own, **options) -> np.ndarray:
    return fitted("monte_carlo", own, CLASSES, **{"cut": "half"} | options).scores(own)


def naive(own, *, near="median", percent=0.1, weight="one") -> list[float]:
    real, made = (side.embeddings.astype(float) for side in (own.queries, own.references))
    away = [[float(np.linalg.norm(x - g)) for g in made] for x in real]
    if near == "median":
        radius = np.median([min(row) for row in away])
    else:
        radius = np.percentile([d for row in away for d in row], percent)
    counts = [[1.0 if weight == "one" else -np.log(d / radius) for d in row if d <= radius] for row in away]
    return [sum(row) / len(made) for row in counts]


@pytest.mark.parametrize(
    "options",
    [{}, {"weight": "log"}, {"near": "percentile", "percent": 5.0, "weight": "log"}],
)
def test_scores_are_those_of_the_loops(options, monkeypatch) -> None:
    monkeypatch.setattr(monte_carlo, "BLOCK", 7)
    own = part()  # an even number, so that no distance is the radius itself
    np.testing.assert_allclose(scores(own, **options), naive(own, **options), rtol=1e-3, atol=1e-6)


def test_near_images_count_more_and_the_unit_of_the_distances_does_not_matter() -> None:
    own, bigger = part(), part(scale=50.0)
    found = scores(own, weight="log")
    assert found[own.queries.labels == USED].mean() > found[own.queries.labels == NOT_USED].mean()
    assert found.min() >= 0
    np.testing.assert_allclose(scores(bigger, weight="log"), found, rtol=1e-3, atol=1e-6)


def test_images_of_a_group_share_their_mean_and_its_size_does_not_matter() -> None:
    own = part()
    groups = ["a"] * 3 + ["b"] * 16 + ["c"]
    together = about_real(images(own.queries.embeddings, groups=groups), own.references)
    alone = scores(own)
    expected = [alone[[g == name for g in groups]].mean() for name in groups]
    np.testing.assert_allclose(scores(together, member="group"), expected)


def test_reference_images_are_groups_of_their_own_also_after_restoring() -> None:
    own = part()
    names = [f"p{n // 2}" for n in range(20)]
    together = about_real(images(own.queries.embeddings, own.queries.labels, names), own.references)
    decision = fitted("monte_carlo", together, CLASSES, member="group", cut="reference")
    assert len(decision.reference) == 10
    again = restore_decision(decision.state())
    np.testing.assert_array_equal(again.scores(together), decision.scores(together))
    assert again.predict(together).labels.tolist() == decision.predict(together).labels.tolist()


def test_unknown_groups_and_missing_images_are_named() -> None:
    own = part()
    with pytest.raises(FingerprintsError, match="needs the group"):
        scores(own, member="group")
    with pytest.raises(FingerprintsError, match="at least 1 generated"):
        scores(about_real(own.queries, images(own.references.embeddings[:0])))


def test_copies_and_equal_images_give_numbers() -> None:
    own = part()
    same = about_real(images(own.references.embeddings), own.references)
    assert np.isfinite(scores(same, weight="log")).all()
    assert (scores(same) > 0).all()
    assert len(scores(about_real(images(own.queries.embeddings[:0]), own.references))) == 0
