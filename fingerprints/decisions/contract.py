"""What every decision is given and what it answers: one contract for all tasks.

A part is oriented once, from the task: its queries are the images that get a label, its references those that
they are held against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.fitted_state import FittedState
from fingerprints.core.tasks import Domain
from fingerprints.decisions.settings import DecisionSettings
from fingerprints.encoders.head import Head

Embeddings = NDArray[np.float32]
Labels = NDArray[np.str_]


def _unknown() -> Labels:
    return np.empty(0, dtype=str)


@dataclass(frozen=True)
class Images:
    """Images of one domain.

    Attributes:
        embeddings: `(n, *shape)` float32.
        labels: `(n,)`, empty strings where unknown; `(0,)` where nobody asks for them.
        groups: `(n,)` group (patient) of each; `(0,)` where nobody asks for them.
    """

    embeddings: Embeddings
    labels: Labels = field(default_factory=_unknown)
    groups: Labels = field(default_factory=_unknown)

    def __len__(self) -> int:
        return len(self.embeddings)

    def map(self, change: Callable[[Embeddings], Embeddings]) -> Images:
        """The same images with other embeddings; without images nothing changes."""
        return replace(self, embeddings=change(self.embeddings)) if len(self) else self


@dataclass(frozen=True)
class Part:
    """One part (training, validation or test) of one generator.

    Attributes:
        queries: The images asked about.
        references: Those that they are held against.
        unit: Domain of the queries, as the task states it.
    """

    queries: Images
    references: Images
    unit: Domain

    @classmethod
    def of(cls, *, real: Images, generated: Images, unit: Domain) -> Part:
        """The part of these images, oriented by the task's unit."""
        return cls(real, generated, unit) if unit == "real" else cls(generated, real, unit)

    @property
    def real(self) -> Images:
        """Its real images."""
        return self.queries if self.unit == "real" else self.references

    @property
    def generated(self) -> Images:
        """Its generated images."""
        return self.references if self.unit == "real" else self.queries

    def swapped(self) -> Part:
        """The same part with the references asked about."""
        return Part(self.references, self.queries, "generated" if self.unit == "real" else "real")


@dataclass(frozen=True)
class Fitting:
    """What a decision may learn from.

    Attributes:
        part: The training part, reduced.
        classes: Its labels, sorted.
        head: The last layer of the encoder, where it was trained as a classifier.
        seed: Seed of the run.
        reference: Real images that are known not to be members, for scores and cuts that are calibrated by
            them; `None` where there are none.
        generators: Parts of shadow generators, each with its own generated images as references and the
            candidates, labelled by whether they trained it, as queries.
    """

    part: Part
    classes: tuple[str, ...]
    head: Head | None = None
    seed: int = 0
    reference: Images | None = None
    generators: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Answers:
    """What a decision says of n queries.

    Attributes:
        labels: `(n,)` labels, or names of clusters.
        scores: `(n, C)`, or `(n,)` for `usage`: higher is more likely; `None` of clusters.
    """

    labels: Labels
    scores: NDArray[np.floating] | None


@dataclass(frozen=True)
class Calibration:
    """Scores of labelled images that the decision was not fitted on.

    Attributes:
        scores: `(n,)` or `(n, C)`, as the decision gave them.
        labels: `(n,)` true labels.
        source: `validation`, or `out_of_fold` where each score is by a decision of its own.
    """

    scores: NDArray[np.floating]
    labels: Sequence[str]
    source: str


@dataclass(frozen=True)
class Explanation:
    """What a report shows of how a decision decides.

    Attributes:
        threshold: Scores from here on are used; `None` where there is no one number.
        source: Where the threshold comes from, in words; empty where there is none.
        prototypes: `(C, d)` embedding that stands for each class, in the order of the classes; or `None`.
    """

    threshold: float | None = None
    source: str = ""
    prototypes: Embeddings | None = None


class Decision(Protocol):
    """A fitted decision. What does not concern it, it leaves as it is."""

    settings: DecisionSettings

    @property
    def calibrated(self) -> bool:
        """Whether it can be asked: its thresholds, if it has any, are known."""
        return True

    @classmethod
    def fit(cls, settings: DecisionSettings, fitting: Fitting) -> Self:
        """The decision with these settings, fitted on a training part as far as it is fitted at all.

        Raises:
            FingerprintsError: If the part has no images that it can be fitted on.
        """
        ...

    def predict(self, part: Part) -> Answers:
        """What it says of the part's queries."""
        ...

    def decide(self, scores: NDArray[np.floating]) -> Answers:
        """What it says of queries that it, or its like of another fold, gave these scores."""
        raise TypeError(f"decision '{self.settings.name}' gives no scores")

    def calibrate(self, unseen: Calibration) -> Self:
        """The same decision with thresholds that these scores give."""
        return self

    def for_clusters(self, count: int) -> Self:
        """The same decision for a part with so many clusters, unless its settings say how many."""
        return self

    def explain(self) -> Explanation:
        """What a report shows of it."""
        return Explanation()

    def state(self) -> FittedState:
        """What `from_state` needs."""
        ...

    @classmethod
    def from_state(cls, state: FittedState) -> Self:
        """The decision that left this state."""
        ...
