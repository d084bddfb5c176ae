"""One part of the data set as embeddings, what decisions are fitted on, and what they answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FitOn = Literal["real", "generated", "both"]


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
