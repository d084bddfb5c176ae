"""A detector against a blind baseline on the same images.

Both are often right or wrong on the same images, so that their separate intervals tell little about their
difference. The same groups are left out of both (`Evaluation.without`), and the jackknife is that of the
difference. A figure that is the same without any group, as a perfect one, hides its spread; the distance to
the end of its own interval is then added as if it were independent.
"""

from __future__ import annotations

import numpy as np

from fingerprints.evidence.bounds import jackknife_half
from fingerprints.evidence.estimates import MIN_GROUPS, TIE, Estimate, Evaluation
from fingerprints.evidence.mean import mean_interval
from fingerprints.evidence.metrics import FloatArray

Side = tuple[float, FloatArray, float, float]
"""A value, its values without each block of groups, and the distances to both ends of its interval."""


def difference(ours: Evaluation, theirs: Evaluation, metric: str, *, folded: bool = False) -> Estimate | None:
    """Our figure minus theirs, with a 95 % interval (jackknife of the difference, Student's t).

    Args:
        ours: The detector.
        theirs: The baseline on the same images and groups, drawn with the same seed.
        metric: A metric of both.
        folded: Whether x and 1 - x are equally good, as AUCs of 0 and 1 are: both are taken as above 0.5.

    Returns:
        Without an interval where one cannot be estimated; `None` if either has no value.
    """
    if not all(metric in each.metrics and each.metrics[metric].value is not None for each in (ours, theirs)):
        return None
    if ours.parts and len(ours.parts) == len(theirs.parts):
        pairs = zip(ours.parts, theirs.parts, strict=True)
        found = [difference(a, b, metric, folded=folded) for a, b in pairs]
        parts = [each for each in found if each is not None and each.value is not None]
        value = float(np.mean([part.value for part in parts]))
        low, high = mean_interval(parts, value, shared=ours.shares_groups)
        return Estimate(value, low, high, None)
    a, b = _side(ours, metric, folded=folded), _side(theirs, metric, folded=folded)
    value = a[0] - b[0]
    if len(a[1]) != len(b[1]) or len(a[1]) < MIN_GROUPS or not np.isfinite(a[1] - b[1]).all():
        return Estimate(value, None, None, None, "no interval without the same five groups or more")
    half = jackknife_half(a[1] - b[1])
    low = value - float(np.linalg.norm([half, a[2], b[3]]))
    high = value + float(np.linalg.norm([half, a[3], b[2]]))
    return Estimate(value, low, high, None)


def _side(evaluation: Evaluation, metric: str, *, folded: bool) -> Side:
    """One of the two, with the distances to its own ends where its spread is hidden, else 0."""
    estimate, without = evaluation.metrics[metric], evaluation.without.get(metric, np.empty(0))
    value = float(estimate.value if estimate.value is not None else np.nan)
    below = above = 0.0
    if without.size and np.ptp(without) < TIE and estimate.low is not None and estimate.high is not None:
        below, above = value - estimate.low, estimate.high - value
    if folded and value < 0.5:
        return 1 - value, 1 - without, above, below
    return value, without, below, above
