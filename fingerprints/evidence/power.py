"""What these images could show at all."""

from __future__ import annotations

from scipy.stats import norm

from fingerprints.evidence.bounds import LEVEL
from fingerprints.evidence.estimates import Evaluation

POWER = 0.8


def detectable_auc(evaluation: Evaluation) -> float | None:
    """The AUC that these images would show in four of five studies (two-sided test at 5 %).

    From the spread of the AUC under permuted labels, which includes how alike images of a patient are.

    Returns:
        0.5 to 1; `None` without scores.
    """
    null = evaluation.nulls.get("auc")
    if null is None or null.size == 0:
        return None
    return float(min(1.0, 0.5 + (norm.ppf((1 + LEVEL) / 2) + norm.ppf(POWER)) * null.std()))
