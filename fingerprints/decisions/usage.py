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
from fingerprints.decisions.contract import (
    Answers,
    Calibration,
    Decision,
    Explanation,
    Fitting,
    Images,
    Part,
    ScoredReference,
)
from fingerprints.decisions.cuts import above_reference, allowed_alarms, best_threshold, threshold_of
from fingerprints.decisions.references import named, nobody, reference_images
from fingerprints.decisions.scores.settings import ScoreSettings
from fingerprints.decisions.settings import DecisionSettings

LEARNED = "learned."  # prefix of the names of a score's arrays on disk
Scores = NDArray[np.floating]


@dataclass(frozen=True)
class UsageDecision(Decision):
    """A score and a cut.

    Attributes:
        settings: Settings with the score and the cut.
        learned: Arrays that the score has learnt from the training part, by name.
        threshold: Threshold of `cut=out_of_fold`, `fixed`, `zero`; NaN before calibration and for other cuts.
        source: Where the threshold comes from.
        reference: m real images that the generator was not trained on and the score has not learnt from;
            scored together with the images asked about.
        elsewhere: Members of the training part; they join the reference for images of another generator.
    """

    settings: ScoreSettings
    learned: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    threshold: float = float("nan")
    source: str = ""
    reference: Images = field(default_factory=nobody)
    elsewhere: Images = field(default_factory=nobody)

    @classmethod
    def fit(cls, settings: DecisionSettings, fitting: Fitting) -> UsageDecision:
        """Choose the reference and call the score's `learn`, if it has one; `calibrate` sets the threshold.

        `learn` finds in `fitting.reference` the reference images that it may learn from: none unless
        the settings say `learns_reference`, and never one that sets the cut.

        Raises:
            FingerprintsError: If the settings want reference images that there are not.
        """
        assert isinstance(settings, ScoreSettings)
        found = reference_images(settings, fitting)
        fitting = replace(fitting, reference=found.learnt)
        learned = load(settings.learn)(settings, fitting) if settings.learn else {}
        known = 0.0 if settings.cut == "zero" else settings.cut_at
        threshold = float("nan") if known is None else known
        return cls(settings, learned, threshold, settings.cut, found.scored, found.elsewhere)

    def scores(self, part: Part) -> Scores:
        """`(n,)` score of each query; higher means more likely used."""
        return self._scored(part)[0]

    def _scored(self, part: Part) -> tuple[Scores, Scores]:
        """`(n,)` scores of the queries and `(m,)` scores of the reference, from one scoring of both."""
        count, both = len(part.queries), part
        if len(self.reference) and count:
            both = replace(part, queries=part.queries.joined(self.reference))
        found = load(self.settings.score)(self.settings, both, self.learned)
        return found[:count], found[count:]

    def predict(self, part: Part) -> Answers:
        """Label and `(n,)` score of each query, and the scores of the reference."""
        scores, reference = self._scored(part)
        if self.settings.cut != "reference" or not len(part.queries):
            answers = self.decide(scores)
        else:
            answers = _labelled(scores, above_reference(reference, rate=self.settings.cut_rate))
        groups = self.reference.groups[: len(reference)]  # without queries nothing is scored
        return replace(answers, reference=ScoredReference(reference, groups))

    def decide(self, scores: Scores) -> Answers:
        """`used` for scores at or above the threshold; before calibration every label is `not_used`."""
        return _labelled(scores, threshold_of(self.settings.cut, scores, known=self.threshold))

    def calibrate(self, unseen: Calibration) -> UsageDecision:
        """With `cut=out_of_fold`: set the threshold with the highest kappa on these scores."""
        if self.settings.cut != "out_of_fold":
            return self
        return replace(self, threshold=best_threshold(unseen.scores, unseen.labels), source=unseen.source)

    def for_other_generator(self) -> UsageDecision:
        """The same decision for images of another generator: the members here join the reference."""
        if not len(self.elsewhere):
            return self
        return replace(self, reference=self.reference.joined(self.elsewhere), elsewhere=nobody())

    @property
    def calibrated(self) -> bool:
        """Whether the threshold is known, or is computed from the queries' scores."""
        return self.settings.cut != "out_of_fold" or bool(np.isfinite(self.threshold))

    def explain(self) -> Explanation:
        """The threshold, where it comes from, and what the score says of itself."""
        known = float(self.threshold) if np.isfinite(self.threshold) else None
        source = self.source
        if self.settings.cut == "reference":
            source = _alarms(len(self.reference), self.settings.cut_rate)
        elif self.settings.cut in ("half", "mode", "mean"):
            source = f"{self.source} of the scores: ranks only, no error rate is known"
        note = load(self.settings.tell)(self.settings, self.learned) if self.settings.tell else ""
        return Explanation(threshold=known, source=source, note=note)

    def state(self) -> FittedState:
        """The state that `from_state` reads; the threshold is an array, because JSON has no NaN.

        Groups of the reference are stored as numbers: a run folder needs no names of patients.
        """
        arrays = {f"{LEARNED}{name}": value for name, value in self.learned.items()}
        arrays["threshold"] = np.array([self.threshold], dtype=np.float64)
        if len(self.reference):
            arrays["reference"] = self.reference.embeddings
            if len(self.reference.groups):
                arrays["reference_groups"] = np.unique(self.reference.groups, return_inverse=True)[1]
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
        threshold = float(state.arrays["threshold"][0])
        reference = nobody()
        if "reference" in state.arrays:
            # Runs of earlier versions have no groups.
            groups = named(state.arrays.get("reference_groups", np.empty(0, int)))
            reference = Images(state.arrays["reference"], groups=groups)
        return cls(settings, learned, threshold, state.facts["source"], reference)


def _labelled(scores: Scores, threshold: float) -> Answers:
    return Answers(np.where(scores.astype(np.float64) >= threshold, USED, NOT_USED), scores)


def _alarms(count: int, rate: float) -> str:
    """Where the cut of `count` reference images lies, and how often it is wrong."""
    k = allowed_alarms(count, rate=rate)
    which = "the highest" if k == 1 else f"number {k} from the top"
    found = f"above {which} of {count:,} reference images: false alarms {k / (count + 1):.3g}"
    return found if k <= rate * (count + 1) else f"{found}, not {rate:g}, which needs more reference images"
