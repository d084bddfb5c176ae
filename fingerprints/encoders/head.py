"""The last layer of an encoder that was trained as a classifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Head:
    """A linear layer that maps embeddings to logits.

    Attributes:
        weight: `(C, d)`.
        bias: `(C,)`.
        classes: C labels.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    classes: tuple[str, ...]

    def logits(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """`(n, C)` logits of `(n, d)` embeddings from the encoder that was trained with this layer."""
        return embeddings @ self.weight.T + self.bias
