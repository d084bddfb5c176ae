"""Input and output of every decision: one contract for all tasks.

The task decides which images of a part are queries and which are references. Queries get a label; they are
compared with the references.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.fitted_state import FittedState
from fingerprints.core.memory import require_memory
from fingerprints.core.tasks import Domain, Task
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
        labels: `(n,)`, empty strings where unknown; `(0,)` if labels are not needed.
        groups: `(n,)` group (patient) of each image; `(0,)` if groups are not needed.
        ids: `(n,)` id of each image, as in run files; `(0,)` if ids are not needed.
    """

    embeddings: Embeddings
    labels: Labels = field(default_factory=_unknown)
    groups: Labels = field(default_factory=_unknown)
    ids: Labels = field(default_factory=_unknown)

    def __len__(self) -> int:
        return len(self.embeddings)

    def map(self, change: Callable[[Embeddings], Embeddings]) -> Images:
        """The same images with changed embeddings; an empty set is returned unchanged."""
        return replace(self, embeddings=change(self.embeddings)) if len(self) else self

    def only(self, keep: NDArray[np.bool_]) -> Images:
        """The images of a mask `(n,)`."""
        labels, groups = (own[keep] if len(own) else own for own in (self.labels, self.groups))
        return Images(self.embeddings[keep], labels, groups)

    def joined(self, other: Images) -> Images:
        """These images, then the others, without labels; with groups if both have them."""
        embeddings = np.concatenate([self.embeddings, other.embeddings]) if len(self) else other.embeddings
        known = len(self.groups) == len(self) and len(other.groups) == len(other)
        return Images(embeddings, groups=np.concatenate([self.groups, other.groups]) if known else _unknown())


@dataclass(frozen=True)
class Part:
    """One part (training, validation or test) of one generator.

    Attributes:
        queries: The images that get a label.
        references: The images that queries are compared with.
        unit: Domain of the queries, from the task.
    """

    queries: Images
    references: Images
    unit: Domain

    @classmethod
    def of(cls, *, real: Images, generated: Images, unit: Domain) -> Part:
        """Make a part; images of the domain `unit` are the queries, the others the references."""
        return cls(real, generated, unit) if unit == "real" else cls(generated, real, unit)

    @property
    def real(self) -> Images:
        """The real images of the part."""
        return self.queries if self.unit == "real" else self.references

    @property
    def generated(self) -> Images:
        """The generated images of the part."""
        return self.references if self.unit == "real" else self.queries

    def map(self, change: Callable[[Embeddings], Embeddings]) -> Part:
        """The same part with changed embeddings."""
        return replace(self, queries=self.queries.map(change), references=self.references.map(change))

    def swapped(self) -> Part:
        """The same part with queries and references exchanged."""
        return Part(self.references, self.queries, "generated" if self.unit == "real" else "real")


@dataclass(frozen=True)
class Fitting:
    """Data that a decision is fitted on.

    Attributes:
        part: The training part, with reduced embeddings.
        classes: The labels of the training part, sorted.
        head: The last layer of the encoder, if it was trained as a classifier.
        seed: Seed of the run.
        reference: Real images that are known not to be members, for scores and cuts that use them for
            calibration; `None` if there are none. The `learn` of a score finds only those that it may
            learn from (`decisions/references.py`).
        generators: Parts of shadow generators. References are the images of the shadow generator; queries
            are the candidates, labelled by whether the shadow generator was trained on them.
        others: Training parts of the run's other generators, if the settings choose one thing for all
            generators (`one_for_all_generators`).
    """

    part: Part
    classes: tuple[str, ...]
    head: Head | None = None
    seed: int = 0
    reference: Images | None = None
    generators: tuple[Part, ...] = ()
    others: tuple[Part, ...] = ()


@dataclass(frozen=True)
class ScoredReference:
    """Scores of a decision's own reference images, which are known not to be members.

    Attributes:
        scores: `(m,)`, on one scale with the scores of the queries.
        groups: `(m,)` group (patient) of each; `(0,)` if unknown.
    """

    scores: NDArray[np.floating] = field(default_factory=lambda: np.empty(0))
    groups: Labels = field(default_factory=_unknown)


@dataclass(frozen=True)
class Answers:
    """Labels and scores of n queries.

    Attributes:
        labels: `(n,)` labels, or names of clusters.
        scores: `(n, C)`, or `(n,)` for `usage`: higher is more likely; `None` for clusterings.
        real: `(m,)` clusters of the real training images, if these were clustered; else `(0,)`.
        reference: The reference images that were scored together with the queries; empty without any.
    """

    labels: Labels
    scores: NDArray[np.floating] | None
    real: Labels = field(default_factory=_unknown)
    reference: ScoredReference = field(default_factory=ScoredReference)


@dataclass(frozen=True)
class Calibration:
    """Scores of labelled images that the decision was not fitted on.

    Attributes:
        scores: `(n,)` or `(n, C)`, as returned by the decision.
        labels: `(n,)` true labels.
        source: `validation`, or `out_of_fold` if each score comes from a decision fitted on the other folds.
    """

    scores: NDArray[np.floating]
    labels: Sequence[str]
    source: str


@dataclass(frozen=True)
class Explanation:
    """How a decision decides, for the report.

    Attributes:
        threshold: Images with this score or more are called used; `None` if there is no single number.
        source: Where the threshold comes from, in words; empty if there is no threshold.
        note: What else a reader must know of the decision; empty if nothing.
        prototypes: `(C, d)` one typical embedding of each class, in the order of the classes; or `None`.
    """

    threshold: float | None = None
    source: str = ""
    note: str = ""
    prototypes: Embeddings | None = None


class Decision(Protocol):
    """A fitted decision. Default methods are for decisions without scores and thresholds."""

    settings: DecisionSettings
    smaller: ClassVar[str] = "use fewer images, or reduction=pca"  # how to need less memory

    @classmethod
    def memory(cls, settings: Any, *, images: int, width: int, clusters: int) -> int:
        """Bytes needed beside the embeddings, if they can be more than a machine has.

        Args:
            settings: Settings of the decision.
            images: Images that it is fitted on, or that it clusters.
            width: Features of each.
            clusters: Number of clusters or classes.
        """
        return 0

    @classmethod
    def check(cls, settings: Any, *, task: Task, asked: Collection[str], known: Collection[str]) -> None:
        """Refuse settings that do not fit the task or the images, before anything is trained.

        Args:
            settings: Settings of the decision.
            task: The task of the run.
            asked: Ids of the images of the test part that get a label; empty before images are read.
            known: Ids of the other images of their domain.

        Raises:
            FingerprintsError: If they do not fit.
        """
        return None

    @property
    def calibrated(self) -> bool:
        """Whether the decision can predict: all its thresholds are known."""
        return True

    @classmethod
    def fit(cls, settings: DecisionSettings, fitting: Fitting) -> Self:
        """Fit a decision with these settings; some decisions learn nothing from the training part.

        Raises:
            FingerprintsError: If the part has no images that the decision can be fitted on.
        """
        ...

    def predict(self, part: Part) -> Answers:
        """Labels and scores of the part's queries."""
        ...

    def decide(self, scores: NDArray[np.floating]) -> Answers:
        """Labels of queries with these scores; the scores may come from the same decision in another fold."""
        raise TypeError(f"decision '{self.settings.name}' gives no scores")

    def calibrate(self, unseen: Calibration) -> Self:
        """The same decision with thresholds computed from these scores."""
        return self

    def for_clusters(self, count: int) -> Self:
        """The same decision with `count` clusters, unless its settings give a number of clusters."""
        return self

    def for_other_generator(self) -> Self:
        """The same decision for images of a generator that did not make the training part's images."""
        return self

    def explain(self) -> Explanation:
        """Threshold and prototypes for the report."""
        return Explanation()

    def state(self) -> FittedState:
        """The state that `from_state` reads."""
        ...

    @classmethod
    def from_state(cls, state: FittedState) -> Self:
        """Restore the decision from its stored state."""
        ...


def check_memory(
    kind: type[Decision], settings: DecisionSettings, *, images: int, width: int, clusters: int
) -> None:
    """Refuse a decision that needs more memory than there is, before it starts.

    Args:
        kind: Class of the decision.
        settings: Its settings.
        images: As in `Decision.memory`, with the next two.
        width: Features of each image.
        clusters: Number of clusters or classes.

    Raises:
        FingerprintsError: If there is not enough memory.
    """
    require_memory(
        kind.memory(settings, images=images, width=width, clusters=clusters),
        purpose=f"decision={settings.name} on {images:,} images",
        where="decision",
        fix=kind.smaller,
    )
