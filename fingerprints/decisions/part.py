"""One part of the data set as embeddings, what decisions are fitted on, and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.core.tasks import FitOn
from fingerprints.embeddings.check import check_features


def _nobody() -> NDArray[np.str_]:
    return np.empty(0, dtype=str)


@dataclass(frozen=True)
class EmbeddedPart:
    """Embeddings of one part (training, validation or test) of one generator.

    Attributes:
        real: `(n, d)` float32.
        real_labels: `(n,)` labels, empty where unknown.
        generated: `(m, d)` float32.
        generated_labels: `(m,)`.
        real_groups: `(n,)` group (patient) of each; empty where nobody asks for it.
        generated_groups: `(m,)`.
    """

    real: NDArray[np.float32]
    real_labels: NDArray[np.str_]
    generated: NDArray[np.float32]
    generated_labels: NDArray[np.str_]
    real_groups: NDArray[np.str_] = field(default_factory=_nobody)
    generated_groups: NDArray[np.str_] = field(default_factory=_nobody)

    def map(self, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> EmbeddedPart:
        """The same part with other embeddings; `change` gets each domain's, if it has any."""
        return replace(
            self,
            real=change(self.real) if len(self.real) else self.real,
            generated=change(self.generated) if len(self.generated) else self.generated,
        )


@dataclass(frozen=True)
class Answers:
    """What a decision says of n units.

    Attributes:
        labels: `(n,)` labels, or names of clusters.
        scores: `(n, C)`, or `(n,)` for `usage`: higher is more likely; `None` of clusters.
    """

    labels: NDArray[np.str_]
    scores: NDArray[np.floating] | None


class Decides(Protocol):
    """A fitted decision that answers for embeddings alone, whatever their domain."""

    name: ClassVar[str]
    transductive: ClassVar[bool]

    def answer(self, embeddings: NDArray[np.float32]) -> Answers:
        """What it says of `(n, d)` embeddings."""

    def state(self) -> FittedState:
        """What its `from_state` needs."""


class Classifies(Decides, Protocol):
    """One with classes of its own: scores are `(n, C)` in their order."""

    @property
    def classes(self) -> tuple[str, ...]:
        """C labels."""


@dataclass(frozen=True)
class FitSet:
    """The images that a decision is fitted on.

    Attributes:
        embeddings: `(n, d)` float32.
        codes: `(n,)` position of each label in the classes.
        groups: `(n,)` group of each; one of its own where the part knows none.
    """

    embeddings: NDArray[np.float32]
    codes: NDArray[np.int64]
    groups: NDArray[np.str_]


def fit_set(part: EmbeddedPart, classes: Sequence[str], *, fit_on: FitOn, constant: bool = False) -> FitSet:
    """The part's real or generated images, or both, that belong to `classes`.

    `constant` lets embeddings through that are all the same, as those of a network that has collapsed.

    Raises:
        FingerprintsError: If there are fewer than two classes, a class has no image, a feature is NaN or
            infinite, or all features are constant.
    """
    sides = {
        "real": (part.real, part.real_labels, part.real_groups),
        "generated": (part.generated, part.generated_labels, part.generated_groups),
    }
    chosen = list(sides) if fit_on == "both" else [fit_on]
    chosen = [name for name in chosen if len(sides[name][0])]
    kind = "real or generated" if fit_on == "both" else fit_on
    other = [name for name, (embeddings, _, _) in sides.items() if len(embeddings) and name not in chosen]
    where = f"training part, decision.fit_on={fit_on}"
    if not chosen:
        raise FingerprintsError(
            f"There are no {kind} images to fit the decision on.",
            where=where,
            fix=" or ".join(f"decision.fit_on={name}" for name in other) or "give images with labels",
        )
    embeddings = np.concatenate([sides[name][0] for name in chosen])
    labels = np.concatenate([sides[name][1] for name in chosen])
    groups = np.concatenate(
        [
            sides[name][2]
            if len(sides[name][2])
            else np.char.add(f"{name} ", np.arange(len(sides[name][0])).astype(str))
            for name in chosen
        ]
    )
    codes = np.full(len(labels), -1, dtype=np.int64)
    for code, name in enumerate(classes):
        codes[labels == name] = code
    empty = [name for code, name in enumerate(classes) if not (codes == code).any()]
    if len(classes) < 2 or len(classes) - len(empty) < 2:
        found = [name for name in classes if name not in empty]
        raise FingerprintsError(
            f"A classifier needs two classes or more; the {kind} images have"
            f" {'only ' + repr(found[0]) if found else 'none'}.",
            where=where,
            fix="give images of another class, or look at the labels",
        )
    if empty:
        raise FingerprintsError(
            f"Classes without a {kind} image: {', '.join(empty)}.",
            where=where,
            fix="give images of them, leave the class out"
            + "".join(f", or decision.fit_on={name}" for name in other),
        )
    inside = codes >= 0
    check_features(embeddings[inside], where=where, constant=constant)
    return FitSet(embeddings[inside], codes[inside], groups[inside])
