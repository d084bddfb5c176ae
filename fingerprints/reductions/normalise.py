"""Features normalised before they are reduced (Csmorgan in [O24]).

The source says no more than "normalised". The choice between unit length and standardised features is ours:
with joined encoders, unit length keeps the larger one dominant, and standardised features weigh alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler, normalize

from fingerprints.core.fitted_state import FittedState

How = Literal["none", "l2", "standard"]


@dataclass(frozen=True)
class Normaliser:
    """Features `(n, d)` of unit length, or with the mean and deviation of the training part removed.

    Attributes:
        how: `none`, `l2` or `standard`.
        mean: `(d,)` float64; zeros unless `standard`.
        scale: `(d,)` float64, 1 for a constant feature; ones unless `standard`.
    """

    how: How
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, embeddings: NDArray[np.floating], *, how: How) -> Normaliser:
        """Learn mean and deviation of `(n, d)` embeddings, if they are needed."""
        width = embeddings.shape[1]
        if how != "standard":
            return cls(how, np.zeros(width), np.ones(width))
        model = StandardScaler().fit(embeddings.astype(np.float64))
        return cls(how, model.mean_, model.scale_)

    def apply(self, embeddings: NDArray[np.floating]) -> NDArray[np.floating]:
        """`(n, d)` normalised embeddings, float32 unless unchanged; a row of zeros stays zero."""
        if self.how == "none":
            return embeddings
        if self.how == "l2":
            return np.asarray(normalize(embeddings), dtype=np.float32)
        return ((embeddings - self.mean) / self.scale).astype(np.float32)

    def stored(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Facts and arrays that `from_state` reads."""
        return {"how": self.how}, {"mean": self.mean, "scale": self.scale}

    @classmethod
    def from_state(cls, state: FittedState) -> Normaliser:
        """Restore it from the state that holds its facts and arrays."""
        return cls(state.facts["how"], state.arrays["mean"], state.arrays["scale"])
