"""Every decision comes back from disk and answers the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState, load_fitted, save_fitted
from fingerprints.decisions.centroid import CentroidDecision
from fingerprints.decisions.classify import LogisticDecision, NeighboursDecision, SVMDecision
from fingerprints.decisions.cluster import HierarchicalDecision, KMeansDecision, MixtureDecision
from fingerprints.decisions.membership import MembershipDecision
from fingerprints.decisions.open_set import OpenSetDecision
from fingerprints.decisions.part import EmbeddedPart
from fingerprints.decisions.refine import DbscanRerankDecision, VoteDecision
from fingerprints.decisions.registry import DECISIONS, restore

RNG = np.random.default_rng(0)
CLASSES = ("b", "a", "c")
LABELS = np.array(["a", "b", "c"] * 20)
POINTS = (RNG.normal(size=(60, 4)) + 0.8 * np.repeat([[1, 2, 3]] * 20, 1, axis=0).reshape(60, 1)).astype(
    np.float32
)
PART = EmbeddedPart(POINTS[:40], LABELS[:40], POINTS[40:], LABELS[40:])
MADE: list[Any] = [
    CentroidDecision.fit(PART, CLASSES),
    SVMDecision.fit(PART, CLASSES, standardise=True),
    SVMDecision.fit(PART, CLASSES, kernel="rbf", C=None, costs=(0.1, 1.0), folds=2),
    LogisticDecision.fit(PART, CLASSES),
    NeighboursDecision.fit(PART, CLASSES, k=3),
    KMeansDecision(3, seed=4, init="random", restarts=2),
    HierarchicalDecision(3, linkage="average", distance="cosine"),
    MixtureDecision(3, seed=2, init="random_from_data", covariance="tied"),
    DbscanRerankDecision(KMeansDecision(4), quantile=0.7, min_samples=3),
    VoteDecision((KMeansDecision(4), VoteDecision((HierarchicalDecision(4), MixtureDecision(4))))),
    OpenSetDecision.of(LogisticDecision.fit(PART, CLASSES), POINTS, share_kept=0.7),
]


@pytest.mark.parametrize("decision", MADE, ids=lambda decision: decision.name)
def test_answers_survive_the_disk(decision: Any, tmp_path: Path) -> None:
    save_fitted(decision.state(), tmp_path / "deep", stem="decision")
    again = restore(load_fitted(tmp_path / "deep", stem="decision"))
    assert type(again) is type(decision)
    one, two = decision.answer(POINTS), again.answer(POINTS)
    assert one.labels.tolist() == two.labels.tolist()
    assert len(set(one.labels)) > 1
    if one.scores is not None:
        np.testing.assert_array_equal(one.scores, two.scores)
    assert getattr(again, "classes", None) == getattr(decision, "classes", None)


@pytest.mark.parametrize("reference", ["none", "training"])
def test_membership_survives_the_disk(reference: Any, tmp_path: Path) -> None:
    decision = MembershipDecision.fit(PART, reference=reference, rule="k_nearest", k=2, standardise=False)
    save_fitted(decision.state(), tmp_path, stem="decision")
    again = restore(load_fitted(tmp_path, stem="decision"))
    assert isinstance(again, MembershipDecision)
    assert np.isnan(again.threshold)
    np.testing.assert_array_equal(again.scores(PART), decision.scores(PART))
    cut = decision.with_threshold(decision.scores(PART), ["used", "not_used"] * 20, source="validation")
    restored = restore(cut.state())
    assert isinstance(restored, MembershipDecision)
    assert (restored.threshold, restored.threshold_source) == (cut.threshold, "validation")


def test_every_decision_is_here() -> None:
    assert {*DECISIONS} == {decision.name for decision in MADE} | {"membership", "head"}


def test_unknown_names_are_refused() -> None:
    with pytest.raises(FingerprintsError, match=r"'kmean'(.|\n)*'kmeans'"):
        restore(FittedState("kmean"))
