"""States as earlier versions wrote them, by hand."""

from __future__ import annotations

import numpy as np

from fingerprints.core.fitted_state import FittedState
from fingerprints.decisions.older import upgraded
from fingerprints.decisions.registry import restore_decision
from tests.decisions.parts import answers, clustering, fitted
from tests.decisions.scores.test_distance import part
from tests.decisions.test_registry import CLASSES, HEAD, LABELS, PART, POINTS, made

CENTROIDS = made("centroid").centroids


def test_centroids_and_an_open_set_around_them() -> None:
    old = FittedState("centroid", {"classes": list(CLASSES)}, {"centroids": CENTROIDS})
    again = restore_decision(old)
    assert answers(again, POINTS).labels.tolist() == answers(made("centroid"), POINTS).labels.tolist()
    opened = restore_decision(FittedState("open_set", {"cut": -1.5}).holding(inner=old))
    assert opened.none_below == -1.5
    assert opened.settings.open_set
    found = answers(opened, POINTS)
    best = answers(again, POINTS).scores.max(axis=1)
    assert ((found.labels == "none") == (best < -1.5)).all()


def test_a_trained_head() -> None:
    arrays = {"weight": HEAD.weight, "bias": HEAD.bias}
    head = restore_decision(FittedState("head", {"classes": list(CLASSES)}, arrays))
    assert answers(head, POINTS).labels.tolist() == answers(made("head"), POINTS).labels.tolist()


def old_kmeans(clusters: int) -> FittedState:
    facts = {"clusters": clusters, "seed": 4, "init": "random", "restarts": 2, "iterations": 300}
    return FittedState("kmeans", facts | {"speed": "off", "engine": "scikit-learn 1.5"})


def test_clusterings() -> None:
    old = {"clusters": 4, "seed": 4, "linkage": "average", "distance": "cosine"}
    hierarchical = FittedState("hierarchical", old)
    pairs = [
        (old_kmeans(3), clustering("kmeans", 3, seed=4, init="random", restarts=2)),
        (hierarchical, clustering("hierarchical", 4, linkage="average", distance="cosine")),
        (
            FittedState("dbscan_rerank", {"quantile": 0.7, "min_samples": 3}).holding(inner=hierarchical),
            clustering("dbscan_rerank", 4, seed=4, earlier="hierarchical", quantile=0.7, min_samples=3),
        ),
        (
            FittedState("vote", {"count": 2}).holding(member_0=old_kmeans(4), member_1=hierarchical),
            clustering("vote", 4, seed=4, voters=("kmeans", "hierarchical")),
        ),
    ]
    for state, expected in pairs:
        again = restore_decision(state)
        assert again.settings == expected.settings
        assert answers(again, POINTS).labels.tolist() == answers(expected, POINTS).labels.tolist()


def test_membership_is_a_distance_and_a_cut() -> None:
    own, training = part(), part(1)
    facts = {"rule": "k_nearest", "k": 2, "standardise": True, "reference_k": 3}
    references = training.queries.embeddings
    for source, cut in (("out_of_fold", "out_of_fold"), ("half", "half")):
        arrays = {"threshold": np.array([0.25]), "references": references}
        again = restore_decision(FittedState("membership", facts | {"threshold_source": source}, arrays))
        options = {"rule": "k_nearest", "k": 2, "scaled_by": "training", "reference_k": 3, "cut": cut}
        expected = fitted("distance", training, ("not_used", "used"), **options)
        assert again.settings == expected.settings
        np.testing.assert_array_equal(again.scores(own), expected.scores(own))
        assert (again.threshold, again.source) == (0.25, source)


def test_states_of_this_version_stay_as_they_are() -> None:
    state = made("svm").state()
    assert upgraded(state) is state
    assert len(LABELS) == len(PART.real) + len(PART.generated)
