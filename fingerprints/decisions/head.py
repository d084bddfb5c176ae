"""A trained classifier's own last layer as a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.fitted_state import FittedState
from fingerprints.decisions.part import Answers


@dataclass(frozen=True)
class HeadDecision:
    """Labels are those of the highest logit; scores are logits.

    Attributes:
        weight: `(C, d)`.
        bias: `(C,)`.
        classes: C labels.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    classes: tuple[str, ...]

    name: ClassVar[str] = "head"
    transductive: ClassVar[bool] = False

    def answer(self, embeddings: NDArray[np.float32]) -> Answers:
        """Label and `(n, C)` logits of each of `(n, d)` embeddings, as the classifier was trained on."""
        logits = embeddings @ self.weight.T + self.bias
        return Answers(np.array(self.classes)[logits.argmax(axis=1)], logits)

    def state(self) -> FittedState:
        """What `from_state` needs."""
        arrays = {"weight": self.weight, "bias": self.bias}
        return FittedState(self.name, {"classes": list(self.classes)}, arrays)

    @classmethod
    def from_state(cls, state: FittedState) -> HeadDecision:
        """The decision that left this state."""
        return cls(state.arrays["weight"], state.arrays["bias"], tuple(state.facts["classes"]))
