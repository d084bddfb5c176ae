"""Features brought to mean 0 and deviation 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scaling:
    """Features less their mean, divided by their standard deviation.

    Attributes:
        mean: `(d,)`.
        scale: `(d,)`; 1 for a constant feature.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def fit(cls, embeddings: NDArray[np.floating], *, standardise: bool = True) -> Scaling:
        """Mean and deviation of `(n, d)` embeddings; without `standardise` one that changes nothing."""
        if not standardise:
            width = embeddings.shape[1]
            return cls(np.zeros(width, np.float32), np.ones(width, np.float32))
        deviation = embeddings.std(axis=0, dtype=np.float64)
        # A constant's deviation is rounding, not information.
        constant = (embeddings == embeddings[:1]).all(axis=0)
        scale = np.where(constant | (deviation == 0), 1.0, deviation)
        return cls(embeddings.mean(axis=0, dtype=np.float64).astype(np.float32), scale.astype(np.float32))

    def __call__(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """`(n, d)` scaled embeddings."""
        return (embeddings - self.mean) / self.scale
