"""Clusterings against scikit-learn's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.cluster import (
    HierarchicalDecision,
    KMeansDecision,
    MixtureDecision,
    agglomerate,
    cluster_names,
    condensed_distances,
)

KINDS = (KMeansDecision, HierarchicalDecision, MixtureDecision)


def points(seed: int = 0, n: int = 120, d: int = 8) -> np.ndarray:
    """Three classes that overlap, far from the origin."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(3, d))
    return (3 + centres[rng.integers(0, 3, n)] + 0.8 * rng.normal(size=(n, d))).astype(np.float32)


def same(one: Any, other: Any) -> bool:
    return adjusted_rand_score(one, other) == 1


def test_names_follow_first_occurrence() -> None:
    names = cluster_names(np.array([7, 2, 2, 7, 0]))
    assert names.tolist() == ["cluster_1", "cluster_2", "cluster_2", "cluster_1", "cluster_3"]
    assert cluster_names(np.arange(12))[-1] == "cluster_12"


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("tile", [1, 7, 1000])
def test_condensed_distances_are_those_of_scipy(distance: Any, tile: int) -> None:
    own = points(n=30)
    own[4] = own[9]
    ours = condensed_distances(own, distance=distance, tile=tile)
    # Copies come out as 0 up to the root of float64's rounding.
    np.testing.assert_allclose(ours, pdist(own.astype(np.float64), distance), atol=1e-6)


def test_near_copies_keep_their_small_distances() -> None:
    """float32 products lose them: their distances are rounding noise there."""
    own = 100 + points(n=20)
    own[1::2] = own[::2] + np.float32(1e-3) * np.arange(1, 11, dtype=np.float32)[:, None]
    np.testing.assert_allclose(condensed_distances(own), pdist(own.astype(np.float64)), rtol=1e-6)


@pytest.mark.parametrize("clusters", [1, 2, 5, 119, 120])
@pytest.mark.parametrize(
    ("linkage", "distance"),
    [
        ("ward", "euclidean"),
        *((name, d) for name in ("average", "complete", "single") for d in ("euclidean", "cosine")),
    ],
)
def test_agglomerative_is_scikit_learns(linkage: Any, distance: Any, clusters: int) -> None:
    own = points()
    codes = agglomerate(own, clusters=clusters, linkage=linkage, distance=distance)
    reference = AgglomerativeClustering(clusters, linkage=linkage, metric=distance).fit_predict(own)
    assert len(set(codes)) == clusters
    assert same(reference, codes)


def test_kmeans_is_scikit_learns() -> None:
    own = points()
    reference = KMeans(3, n_init=10, random_state=5).fit_predict(own)
    assert same(reference, KMeansDecision(3, seed=5).answer(own).labels)


@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random", "random_from_data"])
def test_mixture_is_scikit_learns(init: Any) -> None:
    own = points()
    reference = GaussianMixture(3, covariance_type="diag", init_params=init, random_state=5)
    expected = reference.fit_predict(own.astype(np.float64))
    assert same(expected, MixtureDecision(3, seed=5, init=init).answer(own).labels)


OPTIONS = [
    (KMeansDecision, {"restarts": 1}, {"restarts": 1, "seed": 1}),
    (KMeansDecision, {"restarts": 1}, {"restarts": 1, "init": "random"}),
    (KMeansDecision, {"restarts": 1}, {"restarts": 8}),
    (KMeansDecision, {"restarts": 1}, {"restarts": 1, "iterations": 1}),
    (HierarchicalDecision, {}, {"linkage": "average"}),
    (HierarchicalDecision, {}, {"linkage": "complete"}),
    (HierarchicalDecision, {}, {"linkage": "single"}),
    (HierarchicalDecision, {"linkage": "average"}, {"linkage": "average", "distance": "cosine"}),
    (MixtureDecision, {}, {"init": "k-means++"}),
    (MixtureDecision, {}, {"init": "random"}),
    (MixtureDecision, {}, {"init": "random_from_data"}),
    (MixtureDecision, {}, {"covariance": "full"}),
    (MixtureDecision, {}, {"covariance": "tied"}),
    (MixtureDecision, {}, {"covariance": "spherical"}),
    (MixtureDecision, {}, {"regularise": 10.0}),
    (MixtureDecision, {"init": "random"}, {"init": "random", "restarts": 5}),
    (MixtureDecision, {}, {"iterations": 1}),
    (MixtureDecision, {"init": "random"}, {"init": "random", "seed": 1}),
]


@pytest.mark.filterwarnings(
    "ignore:Best performing initialization did not converge", "ignore:Number of distinct"
)
@pytest.mark.parametrize(("kind", "plain", "other"), OPTIONS, ids=lambda x: getattr(x, "name", str(x)))
def test_each_option_changes_clusters(kind: Any, plain: dict, other: dict) -> None:
    own = points(1, n=60)
    one, two = (kind(6, **options).answer(own).labels for options in (plain, other))
    assert not same(one, two)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_named_clusters_without_scores_and_repeat(kind: Any) -> None:
    own = points()
    answers = kind(3, seed=2).answer(own)
    assert answers.scores is None
    assert answers.labels[0] == "cluster_1"
    assert set(answers.labels) == {"cluster_1", "cluster_2", "cluster_3"}
    assert kind.transductive
    assert kind(3, seed=2).answer(own).labels.tolist() == answers.labels.tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("clusters", [0, 6])
def test_more_clusters_than_images_are_refused(kind: Any, clusters: int) -> None:
    with pytest.raises(FingerprintsError, match=rf"{clusters} clusters cannot be made of 5 images"):
        kind(clusters).answer(points(n=5))


@pytest.mark.parametrize("kind", KINDS)
def test_features_that_say_nothing_are_refused(kind: Any) -> None:
    with pytest.raises(FingerprintsError, match="same features"):
        kind(2).answer(np.ones((5, 3), dtype=np.float32))


def test_ward_wants_euclidean_distances() -> None:
    with pytest.raises(FingerprintsError, match="Ward"):
        HierarchicalDecision(2, distance="cosine").answer(points())


def test_a_covariance_that_cannot_be_estimated_says_so() -> None:
    with pytest.raises(FingerprintsError, match=r"full covariance from 9 images of 8 features(.|\n)*diag"):
        MixtureDecision(3, covariance="full", regularise=0.0).answer(points(n=9))
    assert len(MixtureDecision(3).answer(points(n=9)).labels) == 9
