"""The choice of library, with Intel's in place, without it, and with a stand-in."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.clusters import speed
from fingerprints.decisions.clusters.speed import kmeans_engine
from tests.decisions.parts import answers, clustering

POINTS = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)


class Fast(KMeans):
    """Everything in one cluster but the first image."""

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        return np.minimum(np.arange(len(X)), 1)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("sklearnex.cluster")
    package.KMeans = Fast  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sklearnex", ModuleType("sklearnex"))
    monkeypatch.setitem(sys.modules, "sklearnex.cluster", package)
    monkeypatch.setattr(speed, "version", lambda name: f"of {name}")


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearnex", None)
    monkeypatch.setitem(sys.modules, "sklearnex.cluster", None)


@pytest.mark.usefixtures("installed")
def test_it_is_used_when_asked_for() -> None:
    for choice in ("auto", "on"):
        decision = clustering("kmeans", 2, speed=choice)
        assert (answers(decision, POINTS).labels == "cluster_2").sum() == 29
        assert decision.state().facts["engine"] == "scikit-learn-intelex of scikit-learn-intelex"
    assert kmeans_engine("off")[0] is KMeans
    assert clustering("kmeans", 2).state().facts["engine"] == "scikit-learn of scikit-learn"


@pytest.mark.usefixtures("missing")
def test_without_it_scikit_learn_serves_or_on_is_an_error() -> None:
    assert kmeans_engine("auto")[0] is KMeans
    assert kmeans_engine("off")[0] is KMeans
    with pytest.raises(FingerprintsError, match=r"speed=on(.|\n)*fingerprints\[speed\]"):
        answers(clustering("kmeans", 2, speed="on"), POINTS)


def test_the_real_one_finds_the_same_clusters() -> None:
    pytest.importorskip("sklearnex")
    apart = POINTS + 20 * np.repeat(np.eye(4, dtype=np.float32)[:3], 10, axis=0)
    fast, slow = (answers(clustering("kmeans", 3, speed=choice), apart).labels for choice in ("on", "off"))
    assert fast.tolist() == slow.tolist()
