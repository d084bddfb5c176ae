"""Agglomerative clustering against scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.cluster import AgglomerativeClustering

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.clusters import hierarchical
from fingerprints.decisions.clusters.hierarchical import agglomerate, condensed_distances
from tests.decisions.clusters.drawn import points, same
from tests.decisions.parts import answers, clustering


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("images", [1, 30, 300])
def test_condensed_distances_are_those_of_scipy(
    distance: Any, images: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hierarchical, "BLOCK_MB", 0.1)  # of 300 images, 43 at a time
    own = points(n=images)
    own[images // 7] = own[images // 3]
    ours = condensed_distances(own, distance=distance)
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


def test_ward_wants_euclidean_distances() -> None:
    with pytest.raises(FingerprintsError, match="Ward"):
        answers(clustering("hierarchical", 2, distance="cosine"), points())
