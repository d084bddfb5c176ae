"""Base class of classifiers: labels from scores, and the answer "none of these"."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.core.options import build_option, plain
from fingerprints.core.tasks import NONE
from fingerprints.decisions.contract import Answers, Calibration, Decision, Embeddings, Part
from fingerprints.decisions.settings import ClassifierSettings

Scores = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Classifier(Decision):
    """A decision with classes: the class with the highest score is the label.

    With `open_set` it may also refuse (rejection by a threshold, Chow 1970): the answer is `none` if the best
    score is below a cut that most validation images reach. Scores of `centroid` (distances) and probabilities
    decrease for unfamiliar images; the votes of a support vector machine with several classes hardly do.

    Attributes:
        settings: Settings of the classifier.
        classes: C labels, in the order of the scores.
        none_below: The cut, in units of the scores; `None` for a closed set and before calibration.
    """

    settings: ClassifierSettings
    classes: tuple[str, ...]
    none_below: float | None = None

    @abstractmethod
    def scores(self, embeddings: Embeddings) -> Scores:
        """`(n, C)` score of each class for `(n, d)` embeddings; higher is more likely."""

    def predict(self, part: Part) -> Answers:
        """Label and scores of each query."""
        return self.decide(self.scores(part.queries.embeddings))

    def decide(self, scores: Scores) -> Answers:
        """Labels with the highest scores.

        With `open_set`, `none` gets a last column of scores: as far above the cut as the best score is below.
        So the label is still the column with the highest score, and images can be ranked by how little they
        belong to any class. On a tie (the best score equals the cut) the class wins, because it comes first.
        """
        names = self.classes
        if self.none_below is not None:
            scores = np.column_stack([scores, 2 * self.none_below - scores.max(axis=1)])
            names = (*names, NONE)
        return Answers(np.array(names)[scores.argmax(axis=1)], scores)

    def calibrate(self, unseen: Calibration) -> Self:
        """With `open_set`: set the cut that the share `share_known` of these images' best scores reaches."""
        if not self.settings.open_set:
            return self
        return replace(self, none_below=cut_at(unseen.scores, share_known=self.settings.share_known))

    @property
    def calibrated(self) -> bool:
        """Whether the cut is known; always true without `open_set`."""
        return not self.settings.open_set or self.none_below is not None

    def _facts(self) -> dict[str, Any]:
        """Facts in the state of every classifier."""
        return {
            "settings": plain(self.settings),
            "classes": list(self.classes),
            "none_below": self.none_below,
        }

    @staticmethod
    def _restored(state: FittedState) -> dict[str, Any]:
        """Constructor arguments from the facts that `_facts` wrote."""
        return {
            "settings": build_option("decision", state.facts["settings"]),
            "classes": tuple(state.facts["classes"]),
            "none_below": state.facts["none_below"],
        }


def cut_at(scores: Scores, *, share_known: float) -> float:
    """The highest cut that a new image of a known class reaches with the probability `share_known` or more.

    ceil(share (n + 1)) of the n best scores reach it (conformal prediction: Vovk et al. 2005, section 2);
    with too few images for that, all of them.

    Args:
        scores: `(n, C)` scores of validation images of known classes.
        share_known: In (0, 1]; 1 gives the lowest best score.

    Raises:
        FingerprintsError: If there is no image.
    """
    if not len(scores):
        raise FingerprintsError(
            "The answer 'none' needs validation images of known classes; there are none.",
            where="decision.open_set, decision.share_known",
            fix="give data.validation=0.1, or decision.open_set=false",
        )
    best = np.sort(scores.max(axis=1))[::-1]
    # Rounding errors can make 0.95 x 20 larger than 19; 1e-9 corrects this.
    kept = min(len(best), int(np.ceil(share_known * (len(best) + 1) - 1e-9)))
    return float(best[kept - 1])
