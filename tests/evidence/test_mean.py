"""The mean over generators."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.evidence.intervals import estimate_metrics
from fingerprints.evidence.mean import mean_evaluation
from tests.evidence.parts import usage


def test_mean_of_generators() -> None:
    names = np.arange(200, 400).astype(str)
    parts = [usage()[0], usage(seed=1, groups=names)[0]]
    mean = mean_evaluation(parts)
    assert list(mean.metrics) == list(parts[0].metrics)
    assert (mean.n, mean.n_groups) == (400, 400)
    for name, estimate in mean.metrics.items():
        assert estimate.value == pytest.approx(np.mean([part.metrics[name].value for part in parts]))
    width = [e.metrics["auc"].high - e.metrics["auc"].low for e in (*parts, mean)]  # type: ignore[operator]
    assert width[2] == pytest.approx(np.hypot(*width[:2]) / 2, rel=0.25)
    assert mean_evaluation(parts[:1]) is parts[0]


def test_mean_of_generators_that_share_patients_gains_nothing() -> None:
    part, given = usage()
    apart = estimate_metrics(**{**given, "groups": np.arange(200, 400).astype(str)})
    shared, independent = mean_evaluation([part, part]), mean_evaluation([part, apart])
    assert (shared.n_groups, independent.n_groups) == (200, 400)
    for name, estimate in part.metrics.items():
        one, two = shared.metrics[name], independent.metrics[name]
        assert (one.low, one.high) == (pytest.approx(estimate.low), pytest.approx(estimate.high)), name
        assert two.high - two.low < one.high - one.low, name  # type: ignore[operator]
    assert np.sort(shared.nulls["auc"]) == pytest.approx(np.sort(part.nulls["auc"]))
    assert np.std(independent.nulls["auc"]) == pytest.approx(np.std(part.nulls["auc"]) / 2**0.5, rel=0.2)


def test_mean_keeps_the_bounds_of_perfect_parts() -> None:
    perfect, good = usage(n=40, shift=50)[0], usage(n=40, shift=1, seed=3)[0]
    other = usage(n=40, shift=50, groups=np.arange(40, 80).astype(str))[0]
    both = mean_evaluation([perfect, other]).metrics["accuracy"]
    single = perfect.metrics["accuracy"].low
    assert single < both.low < 1  # type: ignore[operator]
    assert both.high == 1
    mixed = mean_evaluation([perfect, good]).metrics["accuracy"]
    spread = (good.metrics["accuracy"].value - good.metrics["accuracy"].low) / 2  # type: ignore[operator]
    assert mixed.value - mixed.low > spread  # type: ignore[operator]


def test_mean_of_something_unknown_is_unknown() -> None:
    mean = mean_evaluation([usage(n=100)[0], usage(n=200)[0]])
    assert mean.metrics["tpr_at_fpr_0.01"].value is None
    assert "part 1" in str(mean.metrics["tpr_at_fpr_0.01"].reason)
    assert mean.metrics["auc"].value is not None
