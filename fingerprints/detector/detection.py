"""What a detector answers, and what else is known of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fingerprints.decisions.contract import Answers, Decision, Part, ScoredReference
from fingerprints.embeddings.sources import Encoder
from fingerprints.reductions.registry import Reduction
from fingerprints.training.fit import FitResult


@dataclass(frozen=True)
class Predictions:
    """Labels and scores of some units.

    Attributes:
        rows: Their rows in the index.
        labels: `(n,)` predicted labels, or clusters.
        scores: `(n, C)`, or `(n,)` for `usage`: higher is more likely; `None` for clusters.
        clusters: Whether labels are names of clusters and not classes.
        real: As in `Answers`.
        reference: As in `Answers`; filled in for images that a finished run labels.
        chosen_on: What of the detector was chosen on these same images with their labels
            (`evidence.estimates.THRESHOLD`, `EPOCHS`).
    """

    rows: pd.DataFrame
    labels: NDArray[np.str_]
    scores: NDArray[np.floating] | None
    clusters: bool = False
    real: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, dtype=str))
    reference: ScoredReference = field(default_factory=ScoredReference)
    chosen_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decider:
    """Turns embeddings into answers.

    Attributes:
        reduction: Applied to embeddings first.
        decision: Applied to the reduced embeddings.
    """

    reduction: Reduction
    decision: Decision

    @property
    def transductive(self) -> bool:
        """Whether images are judged together, so that an answer depends on the other images."""
        return self.decision.settings.transductive

    def answer(self, part: Part) -> Answers:
        """Answers for the part's queries."""
        reduced = replace(part, queries=part.queries.map(self.reduction.apply))
        if self.decision.settings.uses_references:
            reduced = replace(reduced, references=part.references.map(self.reduction.apply))
        return self.decision.predict(reduced)


@dataclass(frozen=True)
class Detection:
    """A finished detector and its predictions.

    Attributes:
        generator: The generator that it belongs to (empty if there is only one).
        encoder: The encoder.
        decider: The fitted reduction and decision.
        validation: Predictions of units unseen in training (held out, or out of fold). If the decision
            clusters, the units of the whole training part, unless the encoder was trained on them. `None`
            if there are none.
        test: Predictions of the test part; `None` if there is none.
        held_out_real: `subset` only, a control: held-out *real* images, judged by the same decision. Their
            generator was trained on them. If the detector recognises the data, they should get their own
            subset; if it recognises the generator, they need not.
        fits: Trainings by title, folds included; empty for a frozen encoder.
        train_part: Embedded training part.
        test_part: Embedded test part, or `None`.
        pair_distances: Distances of unseen real to unseen generated images: positive, negative; empty
            unless the encoder was trained on pairs.
    """

    generator: str
    encoder: Encoder
    decider: Decider
    validation: Predictions | None
    test: Predictions | None
    held_out_real: Predictions | None
    fits: dict[str, FitResult]
    train_part: Part
    test_part: Part | None
    pair_distances: tuple[NDArray[np.float32], NDArray[np.float32]]

    @property
    def decision(self) -> Decision:
        """The fitted decision."""
        return self.decider.decision

    @property
    def images_encoded(self) -> int:
        """Encoder budget of all trainings, including folds."""
        return sum(result.images_encoded for result in self.fits.values())

    @property
    def pair_accuracy(self) -> float | None:
        """Accuracy on unseen pairs at the threshold, last epoch, mean over folds; `None` without them."""
        last = [
            float(result.history["val_pair_accuracy"].iloc[-1])
            for result in self.fits.values()
            if "val_pair_accuracy" in result.history
        ]
        return sum(last) / len(last) if last else None

    @property
    def training_seconds(self) -> float:
        """Wall time of all trainings, including folds."""
        return sum(result.seconds for result in self.fits.values())
