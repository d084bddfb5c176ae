"""What all clusterings share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import load_fitted, save_fitted
from fingerprints.decisions.registry import restore_decision
from tests.decisions.clusters.drawn import points, same
from tests.decisions.parts import about_generated, answers, asked, clustering, fitted, images, settings

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


def _both() -> tuple[np.ndarray, np.ndarray]:
    """Real and generated points: three clusters each, the generated ones a little to the side."""
    centres = 20.0 * np.eye(3, 5, dtype=np.float32)
    rng = np.random.default_rng(0)
    codes = rng.integers(3, size=70)
    cloud = centres[codes] + rng.normal(size=(70, 5)).astype(np.float32)
    cloud[40:] += 3
    return cloud[:40], cloud[40:]


@pytest.mark.parametrize("kind", [*KINDS, "vote", "dbscan_rerank"])
def test_real_images_are_clustered_where_asked_for(kind: Any, tmp_path: Path) -> None:
    real, made = _both()
    part = about_generated(images(real, ["a", "b", "c"] * 13 + ["a"]), images(made))
    alone, with_real, both = (
        fitted(kind, part, ["a", "b", "c"], cluster_on=on) for on in ("generated", "real", "both")
    )
    test = asked(made)  # no real images in the test part
    assert len(alone.predict(test).real) == 0
    assert alone.predict(test).labels.tolist() == answers(clustering(kind, 3), made).labels.tolist()
    together = both.predict(test)
    expected = answers(clustering(kind, 3), np.concatenate([real, made])).labels
    assert [*together.real, *together.labels] == expected.tolist()
    found = with_real.predict(test)
    own = answers(clustering(kind, 3), real).labels
    assert found.real.tolist() == own.tolist()
    for point, label in zip(made, found.labels, strict=True):  # the nearest mean, one by one
        means = {name: real[own == name].mean(axis=0) for name in set(own.tolist())}
        assert label == min(means, key=lambda name: float(np.linalg.norm(point - means[name])))
    save_fitted(both.state(), tmp_path, stem="decision")
    again = restore_decision(load_fitted(tmp_path, stem="decision"))
    assert again.predict(test).labels.tolist() == together.labels.tolist()


def test_no_real_images_to_cluster_is_an_error() -> None:
    _, made = _both()
    with pytest.raises(FingerprintsError, match="no real training images"):
        fitted("kmeans", asked(made), ["a", "b"], cluster_on="both")
