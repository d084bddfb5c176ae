"""A detector against a baseline on the same images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from fingerprints.core.tasks import TASKS
from fingerprints.evidence import metrics
from fingerprints.evidence.difference import difference
from fingerprints.evidence.estimates import Evaluation
from fingerprints.evidence.intervals import estimate_metrics
from fingerprints.evidence.mean import mean_evaluation

TWO = ("not_used", "used")
TRUTH = np.array(TWO)[np.arange(90) // 3 % 2]
GROUPS = (np.arange(90) // 3).astype(str)


def about(scores: Any, *, groups: Any = GROUPS) -> Evaluation:
    """Used if the score is above 0."""
    given = {"task": TASKS["usage"], "classes": TWO, "truth": TRUTH, "seed": 0, "permutations": 9}
    predicted = np.where(np.asarray(scores) > 0, "used", "not_used")
    return estimate_metrics(**given, predicted=predicted, scores=scores, groups=groups)


def noisy(seed: int, shift: float = 1.0) -> Any:
    return np.random.default_rng(seed).normal(size=90) + shift * (np.where(TRUTH == "used", 1, -1) / 2)


def test_jackknife_of_the_difference_against_a_loop() -> None:
    ours, theirs = noisy(0), 0.8 * noisy(0) + 0.6 * noisy(1)
    member, rest = TRUTH == "used", [name != GROUPS for name in np.unique(GROUPS)]

    def gap(rows: Any) -> float:
        areas = [metrics.auc(positive=member[rows], scores=s[rows]) for s in (ours, theirs)]
        return areas[0] - areas[1]

    left = np.array([gap(rows) for rows in rest])
    half = t.ppf(0.975, 29) * np.sqrt(29 / 30 * np.sum((left - left.mean()) ** 2))
    found = difference(about(ours), about(theirs), "auc")
    assert found is not None
    value = gap(slice(None))
    assert (found.value, found.low, found.high) == pytest.approx((value, value - half, value + half))
    apart = [about(s).metrics["auc"] for s in (ours, theirs)]
    width = np.hypot(*[float(str(e.high)) - float(str(e.low)) for e in apart])
    assert float(str(found.high)) - float(str(found.low)) < 0.9 * width, "what both share cancels out"


def test_folded_an_inverted_ranking_is_as_good() -> None:
    ours, theirs = about(noisy(0)), about(-noisy(0))
    plain, folded = (difference(ours, theirs, "auc", folded=f) for f in (False, True))
    assert plain is not None
    assert folded is not None
    assert plain.value > 0.3  # type: ignore[operator]
    assert (folded.value, folded.low, folded.high) == pytest.approx((0, 0, 0), abs=1e-12)


def test_a_perfect_figure_has_the_distance_to_its_bound() -> None:
    """Both are constant without any group, so that the jackknife alone would be certain."""
    best, constant = about(np.where(TRUTH == "used", 1.0, -1.0)), about(np.ones(90))
    found = difference(best, constant, "kappa")
    assert found is not None
    assert found.value == 1
    assert found.low == pytest.approx(best.metrics["kappa"].low)
    same = difference(best, best, "kappa")
    assert same is not None
    assert same.low < 0 < same.high  # type: ignore[operator]


def test_without_the_same_groups_there_is_no_interval() -> None:
    other = about(noisy(1), groups=(np.arange(90) // 10).astype(str))
    found = difference(about(noisy(0)), other, "auc")
    assert found is not None
    assert (found.low, found.reason is not None) == (None, True)
    assert difference(about(noisy(0)), other, "ari") is None


@pytest.mark.parametrize("shared", [True, False])
def test_mean_over_generators_combines_their_differences(shared: bool) -> None:
    names = GROUPS if shared else np.char.add("b", GROUPS)
    parts = [
        (about(noisy(0)), about(noisy(1, 0))),
        (about(noisy(2), groups=names), about(noisy(3, 0), groups=names)),
    ]
    each = [difference(a, b, "auc") for a, b in parts]
    means = [mean_evaluation([pair[side] for pair in parts]) for side in (0, 1)]
    found = difference(means[0], means[1], "auc")
    assert found is not None
    assert found.value == pytest.approx(np.mean([float(str(e.value)) for e in each if e]))
    below = [float(str(e.value)) - float(str(e.low)) for e in each if e]
    expected = np.mean(below) if shared else np.hypot(*below) / 2
    assert float(str(found.value)) - float(str(found.low)) == pytest.approx(expected)
