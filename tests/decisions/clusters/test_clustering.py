"""What all clusterings share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from tests.decisions.clusters.drawn import points, same
from tests.decisions.parts import answers, asked, clustering, fitted, settings

KINDS = ("kmeans", "hierarchical", "gmm")
OPTIONS = [
    ("kmeans", {"restarts": 1}, {"restarts": 1, "seed": 1}),
    ("kmeans", {"restarts": 1}, {"restarts": 1, "init": "random"}),
    ("kmeans", {"restarts": 1}, {"restarts": 8}),
    ("hierarchical", {}, {"linkage": "average"}),
    ("hierarchical", {}, {"linkage": "complete"}),
    ("hierarchical", {}, {"linkage": "single"}),
    ("hierarchical", {"linkage": "average"}, {"linkage": "average", "distance": "cosine"}),
    ("gmm", {}, {"init": "k-means++"}),
    ("gmm", {}, {"init": "random"}),
    ("gmm", {}, {"init": "random_from_data"}),
    ("gmm", {}, {"covariance": "full"}),
    ("gmm", {}, {"covariance": "tied"}),
    ("gmm", {}, {"covariance": "spherical"}),
    ("gmm", {}, {"regularise": 10.0}),
    ("gmm", {"init": "random"}, {"init": "random", "restarts": 5}),
    ("gmm", {"init": "random"}, {"init": "random", "seed": 1}),
]


@pytest.mark.filterwarnings(
    "ignore:Best performing initialization did not converge", "ignore:Number of distinct"
)
@pytest.mark.parametrize(("kind", "plain", "other"), OPTIONS, ids=lambda x: getattr(x, "name", str(x)))
def test_each_option_changes_clusters(kind: Any, plain: dict, other: dict) -> None:
    own = points(1, n=60)
    one, two = (answers(clustering(kind, 6, **options), own).labels for options in (plain, other))
    assert not same(one, two)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_named_clusters_without_scores_and_repeat(kind: Any) -> None:
    own = points()
    found = answers(clustering(kind, 3, seed=2), own)
    assert found.scores is None
    assert found.labels[0] == "cluster_1"
    assert set(found.labels) == {"cluster_1", "cluster_2", "cluster_3"}
    assert settings(kind).transductive
    assert answers(clustering(kind, 3, seed=2), own).labels.tolist() == found.labels.tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("clusters", [0, 6])
def test_more_clusters_than_images_are_refused(kind: Any, clusters: int) -> None:
    with pytest.raises(FingerprintsError, match=rf"{clusters} clusters cannot be made of 5 images"):
        answers(clustering(kind, clusters), points(n=5))


@pytest.mark.parametrize("kind", KINDS)
def test_features_that_say_nothing_are_refused(kind: Any) -> None:
    with pytest.raises(FingerprintsError, match="same features"):
        answers(clustering(kind, 2), np.ones((5, 3), dtype=np.float32))


def test_one_cluster_for_each_label_unless_settings_say_how_many() -> None:
    part = asked(points())
    free, fixed = (fitted("kmeans", part, ("a", "b", "c"), **o) for o in ({}, {"clusters": 5}))
    assert (free.clusters, fixed.clusters) == (3, 5)
    assert (free.for_clusters(4).clusters, fixed.for_clusters(4).clusters) == (4, 5)
