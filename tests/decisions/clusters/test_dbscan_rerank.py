"""Dense regions, and clusters made of one label in each."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import DBSCAN

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.clusters.dbscan_rerank import dense_regions, rerank
from tests.decisions.parts import answers, clustering


def letters(text: str) -> np.ndarray:
    return np.array(list(text))


def points(seed: int = 0, n: int = 90) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 3, n)[:, None] + 0.5 * rng.normal(size=(n, 5))).astype(np.float32)


@pytest.mark.parametrize("quantile", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("min_samples", [2, 4])
def test_a_quantile_of_the_images_is_core(quantile: float, min_samples: int) -> None:
    own = points()
    distances = np.linalg.norm(own[:, None].astype(float) - own[None], axis=2)
    radius = np.quantile(np.sort(distances, axis=1)[:, min_samples - 1], quantile) * (1 + 1e-5)
    expected = DBSCAN(eps=radius, min_samples=min_samples).fit(own.astype(float))
    regions = dense_regions(own, quantile=quantile, min_samples=min_samples)
    assert regions.tolist() == expected.labels_.tolist()
    assert len(expected.core_sample_indices_) == pytest.approx(quantile * 90, abs=1)


def test_copies_are_a_region() -> None:
    own = np.repeat(points(n=4), 6, axis=0)
    assert len(set(dense_regions(own).tolist())) == 4


@pytest.mark.parametrize("options", [{"quantile": 0.0}, {"min_samples": 1}, {"min_samples": 91}])
def test_options_out_of_range(options: dict) -> None:
    with pytest.raises(FingerprintsError, match="DBSCAN cannot"):
        dense_regions(points(), **options)


def test_regions_take_their_majority_and_noise_its_own() -> None:
    regions = np.array([0, 0, 0, 1, 1, 1, -1, -1, 2, 2])
    assert "".join(rerank(letters("aabbbacbba"), regions)) == "aaabbbcbaa"  # a tie: first in the alphabet


def test_rerank_is_its_parts() -> None:
    own = points()
    found = answers(clustering("dbscan_rerank", 6), own)
    earlier = answers(clustering("kmeans", 6), own).labels
    expected = rerank(earlier, dense_regions(own))
    pairs = set(zip(found.labels.tolist(), expected.tolist(), strict=True))
    assert len(pairs) == len(set(expected)) == len(set(found.labels))
    assert (found.labels != earlier).any()
    assert found.scores is None


@pytest.mark.parametrize("options", [{"quantile": 0.2}, {"min_samples": 12}, {"earlier": "hierarchical"}])
def test_each_option_changes_clusters(options: dict) -> None:
    own = points()
    one, two = (answers(clustering("dbscan_rerank", 6, **o), own).labels for o in ({}, options))
    assert (one != two).any()
