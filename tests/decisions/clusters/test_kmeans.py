"""k-means against scikit-learn's."""

from __future__ import annotations

from sklearn.cluster import KMeans

from tests.decisions.clusters.drawn import points, same
from tests.decisions.parts import answers, clustering


def test_kmeans_is_scikit_learns() -> None:
    own = points()
    reference = KMeans(3, n_init=10, random_state=5).fit_predict(own)
    assert same(reference, answers(clustering("kmeans", 3, seed=5), own).labels)
