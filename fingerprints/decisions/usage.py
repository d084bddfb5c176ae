"""Decide whether a real image was used: a score of each image, and a cut that turns scores into labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.fitted_state import FittedState
from fingerprints.core.options import build_option, load, plain
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Answers, Calibration, Decision, Explanation, Fitting, Part
from fingerprints.decisions.cuts import best_threshold, check_cut, threshold_of
from fingerprints.decisions.settings import DecisionSettings, ScoreSettings

LEARNED = "learned."  # prefix of the names of a score's arrays on disk


@dataclass(frozen=True)
class UsageDecision(Decision):
    """A score and a cut.

    Attributes:
        settings: Settings with the score and the cut.
        learned: Arrays that the score has learnt from the training part, by name.
        threshold: Threshold of `cut=out_of_fold` and `cut=fixed`; NaN before calibration and for other cuts.
        source: Where the threshold comes from.
    """

    settings: ScoreSettings
    learned: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    threshold: float = float("nan")
    source: str = ""

    @classmethod
    def fit(cls, settings: DecisionSettings, fitting: Fitting) -> UsageDecision:
        """Call the score's `learn`, if it has one; `calibrate` sets the threshold."""
        assert isinstance(settings, ScoreSettings)
        check_cut(settings.cut, settings.cut_at)
        learned = load(settings.learn)(settings, fitting) if settings.learn else {}
        threshold = float("nan") if settings.cut_at is None else settings.cut_at
        return cls(settings, learned, threshold, settings.cut)

    def scores(self, part: Part) -> NDArray[np.floating]:
        """`(n,)` score of each query; higher means more likely used."""
        return load(self.settings.score)(self.settings, part, self.learned)

    def predict(self, part: Part) -> Answers:
        """Label and `(n,)` score of each query."""
        return self.decide(self.scores(part))

    def decide(self, scores: NDArray[np.floating]) -> Answers:
        """`used` for scores at or above the threshold; before calibration every label is `not_used`."""
        threshold = threshold_of(self.settings.cut, scores, known=self.threshold)
        return Answers(np.where(scores.astype(np.float64) >= threshold, USED, NOT_USED), scores)

    def calibrate(self, unseen: Calibration) -> UsageDecision:
        """With `cut=out_of_fold`: set the threshold with the highest kappa on these scores."""
        if self.settings.cut != "out_of_fold":
            return self
        return replace(self, threshold=best_threshold(unseen.scores, unseen.labels), source=unseen.source)

    @property
    def calibrated(self) -> bool:
        """Whether the threshold is known, or is computed from the queries' scores."""
        return self.settings.cut != "out_of_fold" or bool(np.isfinite(self.threshold))

    def explain(self) -> Explanation:
        """The threshold and where it comes from."""
        known = float(self.threshold) if np.isfinite(self.threshold) else None
        return Explanation(threshold=known, source=self.source)

    def state(self) -> FittedState:
        """The state that `from_state` reads; the threshold is an array, because JSON has no NaN."""
        arrays = {f"{LEARNED}{name}": value for name, value in self.learned.items()}
        arrays["threshold"] = np.array([self.threshold], dtype=np.float64)
        facts = {"settings": plain(self.settings), "source": self.source}
        return FittedState(self.settings.name, facts, arrays)

    @classmethod
    def from_state(cls, state: FittedState) -> UsageDecision:
        """Restore the decision from its stored state."""
        learned = {
            name.removeprefix(LEARNED): value
            for name, value in state.arrays.items()
            if name.startswith(LEARNED)
        }
        settings = build_option("decision", state.facts["settings"])
        return cls(settings, learned, float(state.arrays["threshold"][0]), state.facts["source"])
