"""The answer "none of these": a classifier that may refuse (rejection by a threshold, Chow 1970)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.decisions.part import Answers, Classifies

NONE = "none"


def cut_at(scores: NDArray[np.floating], *, share_kept: float = 0.95) -> float:
    """The highest cut that at least `share_kept` of the images' best scores reach.

    Args:
        scores: `(n, C)` of validation images of known classes.
        share_kept: In (0, 1]; 1 gives the lowest best score.

    Raises:
        FingerprintsError: If there is no image, or the share is out of range.
    """
    if not 0 < share_kept <= 1 or not len(scores):
        raise FingerprintsError(
            f"No cut keeps a share of {share_kept} of {len(scores)} validation images.",
            where="decision.share_kept, validation part",
            fix="give a share above 0 and at most 1, and validation images",
        )
    best = np.sort(scores.max(axis=1))[::-1]
    # Rounding may lift 0.95 x 20 above 19.
    return float(best[int(np.ceil(share_kept * len(best) - 1e-9)) - 1])


@dataclass(frozen=True)
class OpenSetDecision:
    """A classifier whose answer is `none` where its best score is below a cut.

    Scores get a last column: as far above the cut as the best score is below it, so that the answer is the
    highest score's (a class that just reaches the cut comes first and wins), and images can be ranked by
    how little they belong anywhere.

    Attributes:
        inner: The classifier. Distances (`centroid`) and probabilities fall off with strangeness; the votes
            of an SVM of several classes do so hardly.
        cut: In units of its scores.
    """

    inner: Classifies
    cut: float

    name: ClassVar[str] = "open_set"
    transductive: ClassVar[bool] = False

    @property
    def classes(self) -> tuple[str, ...]:
        """The classifier's labels, then `none`."""
        return (*self.inner.classes, NONE)

    @classmethod
    def of(
        cls, inner: Classifies, validation: NDArray[np.float32], *, share_kept: float = 0.95
    ) -> OpenSetDecision:
        """With the cut that keeps this share of `(n, d)` validation embeddings of known classes."""
        scores = inner.answer(validation).scores
        if scores is None:
            raise FingerprintsError(
                f"Decision '{inner.name}' has no scores to cut.",
                where="decision",
                fix="use a classifier, such as decision=centroid",
            )
        return cls(inner, cut_at(scores, share_kept=share_kept))

    def answer(self, embeddings: NDArray[np.float32]) -> Answers:
        """Label and `(n, C + 1)` scores of each of `(n, d)` embeddings."""
        known = self.inner.answer(embeddings).scores
        if known is None:
            raise TypeError(f"{self.inner.name} has no scores")
        scores = np.column_stack([known, 2 * self.cut - known.max(axis=1)])
        return Answers(np.array(self.classes)[scores.argmax(axis=1)], scores)

    def state(self) -> FittedState:
        """What `from_state` needs."""
        return FittedState(self.name, {"cut": self.cut}).holding(inner=self.inner.state())

    @classmethod
    def from_state(cls, state: FittedState) -> OpenSetDecision:
        """The decision that left this state."""
        # The registry knows this class.
        from fingerprints.decisions.registry import restore_classifier

        return cls(restore_classifier(state.inside("inner")), state.facts["cut"])
