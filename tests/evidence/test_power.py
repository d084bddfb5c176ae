"""What is said to be found in four of five studies is found that often."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from fingerprints.core.tasks import TASKS
from fingerprints.evidence.intervals import estimate_metrics
from fingerprints.evidence.power import detectable_auc


def study(seed: int, *, shift: float, scores: bool = True) -> Any:
    rng = np.random.default_rng(seed)
    truth = np.array(["not_used", "used"])[np.arange(40) % 2]
    drawn = rng.normal(size=40) + shift * (np.arange(40) % 2)
    return estimate_metrics(
        task=TASKS["usage"],
        classes=("not_used", "used"),
        truth=truth,
        predicted=truth,
        scores=drawn if scores else None,
        groups=np.arange(40).astype(str),
        seed=seed,
        permutations=199,
    )


def test_detectable_auc_is_detected_in_four_of_five() -> None:
    """150 studies with that AUC; p below 0.025 in one direction; 120 are expected, 105 to 135 allowed."""
    auc = detectable_auc(study(0, shift=0))
    assert auc == pytest.approx(0.5 + 2.80 * np.sqrt(41 / (12 * 400)), abs=0.03)
    shift = 2**0.5 * norm.ppf(auc)
    found = sum(study(seed, shift=shift).metrics["auc"].p <= 0.025 for seed in range(150))
    assert 105 <= found <= 135


def test_without_scores_there_is_none() -> None:
    assert detectable_auc(study(0, shift=0, scores=False)) is None
