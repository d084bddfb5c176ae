"""A figure with its interval and p-value, and all figures of one set of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from fingerprints.core.tasks import Task
from fingerprints.evidence.bounds import LEVEL
from fingerprints.evidence.metrics import AVERAGED, FloatArray

MIN_GROUPS = 5
"""With fewer groups the spread cannot be estimated, so that no interval is given."""

MIN_NON_MEMBERS = {0.01: 100, 0.001: 1000}
"""False positive rate -> number of non-members from which it is at least one image."""

TIE = 1e-12
"""Figures that differ by less are equal: the order of a sum changes its rounding."""


THRESHOLD, EPOCHS = "threshold", "number of epochs"
"""What can be chosen on the images that are judged (`Evaluation.chosen_on`)."""

Permuted = Literal["groups", "images within groups", "groups, and images within mixed groups"]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval and permutation p-value; what cannot be estimated is `None`.

    `reason` says why something is missing, or why an end of the interval says nothing.
    """

    value: float | None
    low: float | None
    high: float | None
    p: float | None
    reason: str | None = None

    def to_json(self) -> dict[str, float | str | None]:
        """`value`, `low`, `high`, `p`, and `reason` where there is one."""
        figures: dict[str, float | str | None] = {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "p": self.p,
        }
        return figures if self.reason is None else {**figures, "reason": self.reason}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All figures of one set of answers.

    Attributes:
        metrics: Estimates in reading order.
        without: Every metric that has a value, without each of B blocks of groups, each of shape (B,). Two
            evaluations of the same images have the same blocks.
        nulls: The same metrics under permuted labels, each of shape (permutations,).
        image_nulls: The same with labels permuted among all images, as if images of a group were independent;
            empty if each image is a group of its own.
        name_nulls: Metrics with every possible exchange of the names of the classes in the answers, each of
            shape (C!,), with the names as they are; empty for clusters and for tasks with a positive class.
        least_p: The lowest p-value that these groups and this number of permutations can give.
        n: Number of images.
        groups: Names of the groups.
        permuted: The units among which labels were permuted.
        groups_by_class: Number of groups with an image of each class; empty for a mean over generators.
        parts: Of a mean over generators, the evaluation of each.
        cross_fitted: Whether each image was answered by a model fitted on the other groups of these same
            images. An AUC below 0.5 then shows nothing: no part before this one gave the direction.
        chosen_on: What of the detector was chosen on these same images with their labels (`THRESHOLD`,
            `EPOCHS`); figures that depend on it may be too good.
    """

    metrics: dict[str, Estimate]
    without: dict[str, FloatArray]
    nulls: dict[str, FloatArray]
    n: int
    groups: frozenset[str]
    permuted: Permuted
    image_nulls: dict[str, FloatArray] = field(default_factory=dict)
    name_nulls: dict[str, FloatArray] = field(default_factory=dict)
    least_p: float = 0.0
    groups_by_class: dict[str, int] = field(default_factory=dict)
    parts: tuple[Evaluation, ...] = ()
    cross_fitted: bool = False
    chosen_on: tuple[str, ...] = ()

    @property
    def n_groups(self) -> int:
        """Number of groups, the effective sample size."""
        return len(self.groups)

    @property
    def shares_groups(self) -> bool:
        """Whether a group is in several parts of a mean."""
        return self.n_groups < sum(part.n_groups for part in self.parts)

    def p_among_images(self, metric: str) -> float | None:
        """P-value if images of a group were independent; `None` without groups of several images."""
        value = self.metrics[metric].value
        if value is None or metric not in self.image_nulls:
            return None
        return p_value(observed=value, null=self.image_nulls[metric])

    def p_of_names(self, metric: str) -> float | None:
        """P-value of a detector that separates classes, but has learnt nothing about their names.

        The share of all C! exchanges of names that do at least as well; at least 1 / C!.
        """
        value = self.metrics[metric].value
        if value is None or metric not in self.name_nulls:
            return None
        return float(np.mean(self.name_nulls[metric] >= value - TIE))

    def chosen_for(self, metric: str) -> tuple[str, ...]:
        """What of `chosen_on` the metric depends on: a ranking has no threshold."""
        ranking = metric.startswith(("auc", "tpr"))
        return tuple(what for what in self.chosen_on if not (ranking and what == THRESHOLD))

    def to_json(self) -> dict[str, object]:
        """Sizes and estimates without the draws."""
        return {
            "n": self.n,
            "n_groups": self.n_groups,
            "permuted": self.permuted,
            "least_p": self.least_p,
            "metrics": {name: self.metric_json(name) for name in self.metrics},
        }

    def metric_json(self, name: str) -> dict[str, Any]:
        """The estimate, with `p_images` and `p_names` where there are such tests, and `chosen_on`."""
        others: dict[str, Any] = {"p_images": self.p_among_images(name), "p_names": self.p_of_names(name)}
        others["chosen_on"] = list(self.chosen_for(name)) or None
        return self.metrics[name].to_json() | {key: fact for key, fact in others.items() if fact is not None}


def tpr_name(fpr: float) -> str:
    """The key of the true positive rate at that false positive rate (`tpr_at_fpr_0.01`)."""
    return f"tpr_at_fpr_{fpr:g}"


def in_reading_order(figures: Mapping[str, Any], *, task: Task) -> list[str]:
    """The keys of `figures` in the order reports show them."""
    order = ["accuracy", *AVERAGED, *(f"{name}_weighted" for name in AVERAGED)]
    order += [f"{name}_{task.positive}" for name in AVERAGED]
    order += ["kappa", "auc", *(tpr_name(fpr) for fpr in MIN_NON_MEMBERS), "ari", "nmi", "accuracy_unmatched"]
    return [name for name in order if name in figures]


def p_value(*, observed: float, null: FloatArray) -> float:
    """(1 + number of null draws at least as high) / (1 + number of draws), in (0, 1].

    An undefined draw counts as high, so that p is rather too large than too small.
    """
    return float((1 + np.sum(~(null < observed - TIE))) / (1 + len(null)))


def chosen_text(chosen: Sequence[str]) -> str | None:
    """`threshold and number of epochs chosen on these same images`; `None` if nothing was."""
    return f"{' and '.join(chosen)} chosen on these same images" if chosen else None


def p_text(p: float, *, named: bool = False) -> str:
    """`0.190`, or `<= 0.001`, the lowest that 999 permutations give; `named`: `p = 0.190`, `p <= 0.001`."""
    small = p <= 0.001
    text = "<= 0.001" if small else f"{p:.3f}"
    return text if not named else f"p {text}" if small else f"p = {text}"


def percentiles(draws: FloatArray) -> tuple[float, float]:
    """The middle 95 % of the draws that are defined."""
    low, high = np.nanpercentile(draws, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(low), float(high)
