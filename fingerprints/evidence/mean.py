"""The mean over generators."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fingerprints.evidence.estimates import Estimate, Evaluation, p_value
from fingerprints.evidence.metrics import FloatArray


def mean_evaluation(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The mean over generators.

    The interval combines those of the parts: if no group is in two parts, as independent distances from the
    value (MOVER, Zou and Donner 2008), the root of the sum of their squares divided by the number. If parts
    share groups (patients), their errors may be the same, and the distances are averaged. Null draws are
    averaged in random order, or, if groups are shared, each with those of the same rank; this is the widest
    null that the parts can have together.

    Only metrics that all parts have are kept; a metric is `None` if it is `None` in any part.

    Raises:
        ValueError: If there is no part, or if numbers of draws differ.
    """
    if not evaluations:
        raise ValueError("a mean needs at least one evaluation")
    if len(evaluations) == 1:
        return evaluations[0]
    groups = frozenset[str]().union(*(part.groups for part in evaluations))
    shared = len(groups) < sum(part.n_groups for part in evaluations)
    names = [name for name in evaluations[0].metrics if all(name in part.metrics for part in evaluations)]
    metrics: dict[str, Estimate] = {}
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
        value, p = sum(values) / len(values), None
        if all(name in part.nulls for part in evaluations) and all(part.p is not None for part in parts):
            nulls[name] = _mean_null([part.nulls[name] for part in evaluations], shared=shared)
            p = p_value(observed=value, null=nulls[name])
        low, high = mean_interval(parts, value, shared=shared)
        metrics[name] = Estimate(value, low, high, p, reason or None)
    kinds = {part.permuted for part in evaluations}
    return Evaluation(
        metrics=metrics,
        without={},
        nulls=nulls,
        n=sum(part.n for part in evaluations),
        groups=groups,
        image_nulls={
            name: _mean_null(
                [part.image_nulls.get(name, part.nulls[name]) for part in evaluations], shared=shared
            )
            for name in nulls
            if any(name in part.image_nulls for part in evaluations)
        },
        least_p=min(part.least_p for part in evaluations),
        parts=tuple(evaluations),
        cross_fitted=any(part.cross_fitted for part in evaluations),
        chosen_on=tuple(dict.fromkeys(what for part in evaluations for what in part.chosen_on)),
        permuted=kinds.pop() if len(kinds) == 1 else "groups, and images within mixed groups",
    )


def _mean_null(draws: Sequence[FloatArray], *, shared: bool) -> FloatArray:
    """Mean of draws (each (b,)): each part shuffled independently, since seeds are equal, or sorted."""
    ordered = [
        np.sort(part) if shared else np.random.default_rng(index).permutation(part)
        for index, part in enumerate(draws)
    ]
    return np.asarray(np.mean(np.stack(ordered), axis=0), dtype=np.float64)


def mean_interval(
    parts: Sequence[Estimate], value: float, *, shared: bool
) -> tuple[float | None, float | None]:
    """Interval of a mean of estimates; `None` if a part has none."""
    below, above = [], []
    for part in parts:
        if part.value is None or part.low is None or part.high is None:
            return None, None
        below.append(part.value - part.low)
        above.append(part.high - part.value)
    joined: Callable[[list[float]], float] = sum if shared else lambda sides: float(np.linalg.norm(sides))
    return value - joined(below) / len(parts), value + joined(above) / len(parts)
