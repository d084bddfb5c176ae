"""Decision by the last layer of the encoder, if it was trained as a classifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.fitted_state import FittedState
from fingerprints.decisions.classifiers.classifier import Classifier
from fingerprints.decisions.contract import Embeddings, Fitting
from fingerprints.decisions.settings import DecisionSettings, HeadSettings
from fingerprints.encoders.head import Head


@dataclass(frozen=True, kw_only=True)
class HeadDecision(Classifier):
    """Scores are logits.

    Attributes:
        head: The layer; the decision has the same classes.
    """

    head: Head

    @classmethod
    def fit(cls, settings: DecisionSettings, fitting: Fitting) -> HeadDecision:
        """Use the encoder's head unchanged."""
        assert isinstance(settings, HeadSettings)
        if fitting.head is None:
            raise ValueError("decision 'head' needs a trained classifier")
        return cls(settings=settings, classes=fitting.head.classes, head=fitting.head)

    def scores(self, embeddings: Embeddings) -> NDArray[np.float32]:
        """`(n, C)` logits of `(n, d)` embeddings."""
        return self.head.logits(embeddings)

    def state(self) -> FittedState:
        """The state that `from_state` reads."""
        arrays = {"weight": self.head.weight, "bias": self.head.bias}
        return FittedState(self.settings.name, self._facts(), arrays)

    @classmethod
    def from_state(cls, state: FittedState) -> HeadDecision:
        """Restore the decision from its stored state."""
        known = cls._restored(state)
        return cls(**known, head=Head(state.arrays["weight"], state.arrays["bias"], known["classes"]))
