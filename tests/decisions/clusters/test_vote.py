from __future__ import annotations

from fingerprints.decisions.clusters.labels import vote
from tests.decisions.clusters.drawn import points
from tests.decisions.parts import answers, clustering


def test_vote_is_its_parts() -> None:
    own, names = points(n=60), ("kmeans", "hierarchical", "gmm")
    expected = vote([answers(clustering(name, 6), own).labels for name in names])
    found = answers(clustering("vote", 6, voters=names), own)
    assert len(set(zip(found.labels, expected, strict=True))) == len(set(expected))
    alone = answers(clustering("kmeans", 6), own).labels
    assert (found.labels != alone).any()
    assert answers(clustering("vote", 6, voters=("kmeans",)), own).labels.tolist() == alone.tolist()
    assert found.scores is None
