"""One part of the data set as embeddings: what decisions are fitted on and applied to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class EmbeddedPart:
    """Unit embeddings of one part (training, validation or test) of one generator.

    Attributes:
        real: `(n, d)` float32.
        real_labels: `(n,)` labels, empty where unknown.
        generated: `(m, d)` float32.
        generated_labels: `(m,)`.
    """

    real: NDArray[np.float32]
    real_labels: NDArray[np.str_]
    generated: NDArray[np.float32]
    generated_labels: NDArray[np.str_]
