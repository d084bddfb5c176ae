"""The comparison of learnt and unlearnt usage detectors between generator families."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import transfer
from benchmarks.window_statistics import SETTINGS, Statistics, Task, maps
from fingerprints.decisions.contract import Images, Part
from fingerprints.decisions.scores.window_em import score


def task(family: str, groups: str, value: float) -> Task:
    """One candidate a letter, the first half members, and two reference images."""
    n = len(groups)
    own = {"base em": np.r_[np.full(n, value), 0.0, 1.0], "large em": np.r_[np.zeros(n), 0.0, 1.0]}
    return Task(family, Path(family), "test", np.arange(n) < n // 2, np.array(list(groups)), own, own)


def test_the_map_base_is_the_score_of_window_em():
    rng = np.random.default_rng(0)
    real, made = rng.random((6, 32, 32), dtype=np.float32), rng.random((8, 32, 32), dtype=np.float32)
    base = Statistics()
    for name, z in maps(real, made):
        if name == "base":
            base.add(z)
    expected = score(SETTINGS, Part(Images(real.reshape(6, -1)), Images(made.reshape(8, -1)), "real"), {})
    np.testing.assert_allclose(base.found()["em"], expected, atol=1e-3)


def test_no_candidate_of_the_tested_family_or_of_tested_patients_is_trained_on(monkeypatch):
    seen = []

    class Spy:
        def fit(self, x, y):
            seen.append((x[:, 0].tolist(), y.tolist()))
            return self

    monkeypatch.setattr(transfer, "classifier", lambda choice: Spy())
    tasks = [task("gan", "abcd", 1.0), task("vae", "abcd", 2.0), task("vae", "efgh", 3.0)]
    transfer.fitted(transfer.Choice("base map", "units", "1"), tasks, {"gan"}, {"a", "c", "h"})
    assert seen == [([3.0, 3.0, 5.0, 5.0, 5.0], [True, False, True, True, False])]


def test_scores_are_in_units_of_the_reference_and_may_lose_those_of_the_other_generator():
    own = task("gan", "ab", 2.0)
    np.testing.assert_allclose(own.scores("own: base em"), [3, 3, -1, 1])
    np.testing.assert_allclose(own.scores("less other: base em"), 0)


def test_the_mean_over_families_counts_each_family_once():
    tasks = [task("gan", "abcd", 0), task("gan", "abcd", 0), task("vae", "abcd", 0)]
    keep, right = np.ones(4, dtype=bool), np.array([2.0, 2, 1, 1])
    found = [(tasks[0], keep, right), (tasks[1], keep, right), (tasks[2], keep, -right)]
    assert transfer.mean_auc(found) == pytest.approx(0.5)
