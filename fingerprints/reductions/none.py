"""No reduction: embeddings are used unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.fitted_state import FittedState


@dataclass(frozen=True)
class NoReduction:
    """No reduction: embeddings stay unchanged.

    Attributes:
        width: Number of features of each embedding.
    """

    width: int

    name: ClassVar[str] = "none"

    @classmethod
    def fit(cls, embeddings: NDArray[np.floating], *, seed: int = 0) -> NoReduction:
        """Learn only the width of `(n, d)` embeddings."""
        return cls(embeddings.shape[1])

    def apply(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """The `(n, d)` embeddings as float32."""
        return np.asarray(embeddings, dtype=np.float32)

    def describe(self) -> dict[str, Any]:
        """All features are kept, with the whole variance."""
        return {"name": self.name, "components": self.width, "variance": 1.0}

    def state(self) -> FittedState:
        """The state that `from_state` reads."""
        return FittedState(self.name, {"width": self.width})

    @classmethod
    def from_state(cls, state: FittedState) -> NoReduction:
        """Restore the reduction from its stored state."""
        return cls(state.facts["width"])
