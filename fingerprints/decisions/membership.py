"""Was this real image used? Distance to its own part's generated set, in embedding space.

The papers do not describe this decision for the Siamese network; the rules here are our reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.distances import distance_to_set
from fingerprints.decisions.part import Answers, EmbeddedPart

Rule = Literal["mean", "nearest", "k_nearest"]
ThresholdSource = Literal["out_of_fold", "validation", "half"]
_SETTINGS = ("rule", "k", "standardise", "reference_k", "threshold_source")


@dataclass(frozen=True)
class MembershipDecision:
    """A real image is called used when it lies near its own part's generated images.

    The raw score is minus the distance to the generated set. With a reference set every distance is
    first divided by how far its two ends are from the nearest reference images, as local scaling does
    (Zelnik-Manor and Perona 2004, section 2.1), and the score is minus the log: an image that is far
    from everything is no evidence; two that are nearer to each other than either is to other real
    images are (calibration by a reference set: Chen et al. 2020, arXiv 1909.03935, section 4.4).

    Scores are standardised by those of the generated images themselves, each left out of its own
    set, so that two generators, and a threshold between them, can be compared. Higher means more
    likely used.

    Attributes:
        rule: `mean` distance to all generated images, `nearest`, or mean of the `k_nearest`.
        k: Neighbours of `k_nearest`.
        standardise: Whether to standardise by the generated set.
        references: `(r, d)` embeddings of real images to calibrate by; empty for none.
        reference_k: Nearest references that count.
        threshold: Scores from here on are used; NaN before it is set.
        threshold_source: Where it comes from; `half` calls the upper half of each part used.
    """

    rule: Rule = "nearest"
    k: int = 5
    standardise: bool = True
    references: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    reference_k: int = 5
    threshold: float = float("nan")
    threshold_source: ThresholdSource = "out_of_fold"

    name: ClassVar[str] = "membership"
    transductive: ClassVar[bool] = False

    @classmethod
    def fit(
        cls, part: EmbeddedPart, *, reference: Literal["none", "training"] = "none", **options: Any
    ) -> MembershipDecision:
        """The decision with the training part's real images as references, if it is to have any."""
        if reference == "training":
            options["references"] = part.real
        return cls(**options)

    @property
    def neighbours(self) -> int | None:
        """How many generated neighbours count; `None` for all."""
        return {"mean": None, "nearest": 1, "k_nearest": self.k}[self.rule]

    def scores(self, part: EmbeddedPart) -> NDArray[np.float32]:
        """`(n,)` score of each real image against the part's generated set.

        Raises:
            FingerprintsError: If there are fewer than 2 generated images.
        """
        if len(part.generated) < 2:
            raise FingerprintsError(
                f"Scores need at least 2 generated images; there are {len(part.generated)}.",
                where="generated images of the part",
                fix="give more images that the generator made",
            )
        raw = self._raw(part.real, part.generated, leave_one_out=False)
        if not self.standardise:
            return raw
        own = self._raw(part.generated, part.generated, leave_one_out=True)
        return (raw - own.mean()) / max(float(own.std()), 1e-12)

    def _raw(
        self, queries: NDArray[np.float32], generated: NDArray[np.float32], *, leave_one_out: bool
    ) -> NDArray[np.float32]:
        if not len(self.references):
            return -distance_to_set(queries, generated, nearest=self.neighbours, leave_one_out=leave_one_out)
        of_queries, of_generated = (
            np.sqrt(np.maximum(distance_to_set(side, self.references, nearest=self.reference_k), 1e-6))
            for side in (queries, generated)
        )
        scaled = distance_to_set(
            queries, generated, nearest=self.neighbours, leave_one_out=leave_one_out, scales=of_generated
        )
        return -np.log(np.maximum(scaled / of_queries, 1e-6))

    def with_threshold(
        self, scores: NDArray[np.float32], labels: Sequence[str], *, source: ThresholdSource
    ) -> MembershipDecision:
        """The same decision with the threshold that these scores give."""
        return replace(self, threshold=best_threshold(scores, labels), threshold_source=source)

    def labels(self, scores: NDArray[np.float32]) -> NDArray[np.str_]:
        """`(n,)` `used` or `not_used`."""
        exact = scores.astype(np.float64)  # the threshold may lie between two float32 neighbours
        cut = float(np.median(exact)) if self.threshold_source == "half" else self.threshold
        return np.where(exact >= cut, USED, NOT_USED)

    def decide(self, part: EmbeddedPart) -> Answers:
        """Label and `(n,)` score of each real image against the part's generated set."""
        scores = self.scores(part)
        return Answers(self.labels(scores), scores)

    def state(self) -> FittedState:
        """What `from_state` needs; the threshold is a tensor, because JSON has no NaN."""
        facts = {key: getattr(self, key) for key in _SETTINGS}
        threshold = np.array([self.threshold], dtype=np.float64)
        return FittedState(self.name, facts, {"threshold": threshold, "references": self.references})

    @classmethod
    def from_state(cls, state: FittedState) -> MembershipDecision:
        """The decision that left this state."""
        return cls(
            **{key: state.facts[key] for key in _SETTINGS},
            references=state.arrays["references"],
            threshold=float(state.arrays["threshold"][0]),
        )


def best_threshold(scores: NDArray[np.float32], labels: Sequence[str]) -> float:
    """The cut with the highest Cohen's kappa; the middle of the widest such plateau.

    Args:
        scores: `(n,)`, higher = more likely used.
        labels: `used` or `not_used`, both present.
    """
    order = np.argsort(scores, kind="stable")
    ordered = np.asarray(scores, dtype=np.float64)[order]
    used = (np.asarray(labels)[order] == USED).astype(np.float64)
    n, positives = len(used), used.sum()
    # Cut c calls the c lowest not used: 0..n, only between different scores.
    below_used = np.concatenate([[0.0], np.cumsum(used)])
    called_used = n - np.arange(n + 1)
    agreement = (positives - below_used + (np.arange(n + 1) - below_used)) / n
    chance = (called_used * positives + (n - called_used) * (n - positives)) / n**2
    kappa = np.where(chance < 1, (agreement - chance) / np.maximum(1 - chance, 1e-12), 0.0)
    edges = np.concatenate([[ordered[0] - 1.0], ordered, [ordered[-1] + 1.0]])
    widths = edges[1:] - edges[:-1]
    kappa[widths <= 0] = -np.inf
    best = np.flatnonzero(kappa >= kappa.max() - 1e-12)
    cut = best[np.argmax(widths[best])]
    return float((edges[cut] + edges[cut + 1]) / 2)
