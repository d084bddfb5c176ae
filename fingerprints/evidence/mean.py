"""The mean over generators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fingerprints.evidence.estimates import TIE, Estimate, Evaluation, p_value, percentiles, spread
from fingerprints.evidence.metrics import FloatArray


def mean_evaluation(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The mean over generators whose images and groups are independent of each other.

    Values and bootstrap draws are averaged; p comes from the averaged null draws. The draws of each part
    are shuffled first, since equal seeds would make them correlated. If a part has a value at a bound, its
    draws do not vary; then the interval combines the intervals of the parts as independent distances
    from the value (MOVER, Zou and Donner 2008): root of the sum of their squares, divided by the number.

    Only metrics that all parts have are kept; a metric is `None` if it is `None` in any part.

    Raises:
        ValueError: If there is no part, or if numbers of draws differ.
    """
    if not evaluations:
        raise ValueError("a mean needs at least one evaluation")
    if len(evaluations) == 1:
        return evaluations[0]
    names = [name for name in evaluations[0].metrics if all(name in part.metrics for part in evaluations)]
    metrics: dict[str, Estimate] = {}
    samples: dict[str, FloatArray] = {}
    nulls: dict[str, FloatArray] = {}
    for name in names:
        parts = [part.metrics[name] for part in evaluations]
        values = [part.value for part in parts if part.value is not None]
        reason = "; ".join(
            f"part {index}: {part.reason}" for index, part in enumerate(parts, start=1) if part.reason
        )
        if len(values) < len(parts):
            metrics[name] = Estimate(None, None, None, None, reason or None)
            continue
        value = sum(values) / len(values)
        samples[name] = _shuffled_mean([part.samples[name] for part in evaluations])
        p = None
        if all(name in part.nulls for part in evaluations):
            nulls[name] = _shuffled_mean([part.nulls[name] for part in evaluations])
            p = p_value(observed=value, null=nulls[name])
        low, high = _mean_interval(parts, [part.samples[name] for part in evaluations], samples[name])
        metrics[name] = Estimate(value, low, high, p, reason or None)
    return Evaluation(
        metrics=metrics,
        samples=samples,
        nulls=nulls,
        n=sum(part.n for part in evaluations),
        n_groups=sum(part.n_groups for part in evaluations),
        permuted="groups" if all(part.permuted == "groups" for part in evaluations) else "images",
    )


def _shuffled_mean(draws: Sequence[FloatArray]) -> FloatArray:
    """Mean of draws (each (b,)), each part shuffled independently."""
    shuffled = [np.random.default_rng(index).permutation(part) for index, part in enumerate(draws)]
    return np.asarray(np.mean(np.stack(shuffled), axis=0), dtype=np.float64)


def _mean_interval(
    parts: Sequence[Estimate], draws: Sequence[FloatArray], mean_draws: FloatArray
) -> tuple[float | None, float | None]:
    """Interval of a mean of independent estimates; `None` if a part has none."""
    below, above = [], []
    for part in parts:
        if part.value is None or part.low is None or part.high is None:
            return None, None
        below.append(part.value - part.low)
        above.append(part.high - part.value)
    if all(spread(part) > TIE for part in draws):
        return percentiles(mean_draws)
    value = float(np.mean([part.value for part in parts]))
    return value - float(np.linalg.norm(below)) / len(parts), value + float(np.linalg.norm(above)) / len(
        parts
    )
