"""Embeddings as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.fitted_state import FittedState


@dataclass(frozen=True)
class NoReduction:
    """Embeddings as they are, flattened.

    Attributes:
        width: Numbers of each.
    """

    width: int

    name: ClassVar[str] = "none"
    transductive: ClassVar[bool] = False

    @classmethod
    def fit(cls, embeddings: NDArray[np.floating], *, seed: int = 0) -> NoReduction:
        """Learns the width of `(n, d)` embeddings, and nothing else."""
        return cls(embeddings.shape[1])

    def apply(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """The `(n, d)` embeddings, float32."""
        return np.asarray(embeddings, dtype=np.float32)

    def describe(self) -> dict[str, Any]:
        """All numbers and all variance."""
        return {"name": self.name, "components": self.width, "variance": 1.0}

    def state(self) -> FittedState:
        """What `from_state` needs."""
        return FittedState(self.name, {"width": self.width})

    @classmethod
    def from_state(cls, state: FittedState) -> NoReduction:
        """The reduction that left this state."""
        return cls(state.facts["width"])
