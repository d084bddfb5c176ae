"""Reductions by name: fit one from settings, or restore one from its stored state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.core.options import part_of, plain, settings_class
from fingerprints.reductions.autoencoder import AutoencoderReduction
from fingerprints.reductions.none import NoReduction
from fingerprints.reductions.normalise import Normaliser
from fingerprints.reductions.pca import AskedPCA, PCAReduction
from fingerprints.reductions.settings import NoReductionSettings, ReductionSettings
from fingerprints.reductions.tsne import TSNEReduction


@dataclass(frozen=True)
class Normalised:
    """A reduction of normalised features."""

    normaliser: Normaliser
    inner: Reduction

    name: ClassVar[str] = "normalised"

    def apply(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """As the inner reduction, of normalised `(n, d)` embeddings."""
        return self.inner.apply(self.normaliser.apply(embeddings))

    def describe(self) -> dict[str, Any]:
        """The inner reduction, and how features are normalised before it."""
        return {**self.inner.describe(), "normalised": self.normaliser.how}

    def state(self) -> FittedState:
        """The state that `restore_reduction` reads."""
        facts, arrays = self.normaliser.stored()
        return FittedState(self.name, facts, arrays).holding(inner=self.inner.state())


Reduction = NoReduction | PCAReduction | AskedPCA | AutoencoderReduction | TSNEReduction | Normalised


def fit_reduction(settings: ReductionSettings, embeddings: NDArray[np.floating], *, seed: int) -> Reduction:
    """Fit a reduction on the training part.

    Args:
        settings: Settings of the reduction.
        embeddings: `(n, d)`.
        seed: Seed of random steps.

    Raises:
        FingerprintsError: If all embeddings are the same, or if the reduction's `fit` raises it.
    """
    if not isinstance(settings, NoReductionSettings) and not (embeddings != embeddings[:1]).any():
        raise FingerprintsError(
            f"All {len(embeddings)} embeddings are the same, so they cannot be reduced.",
            where="training part",
            fix="check whether the encoder collapsed, or a filter or region makes all images the same",
        )
    normaliser = Normaliser.fit(embeddings, how=settings.normalise)
    options = {key: value for key, value in plain(settings).items() if key not in ("name", "normalise")}
    inner = part_of(settings).fit(normaliser.apply(embeddings), seed=seed, **options)
    return inner if settings.normalise == "none" else Normalised(normaliser, inner)


def restore_reduction(state: FittedState) -> Reduction:
    """The reduction that left this state.

    Raises:
        FingerprintsError: If no reduction has the name of the state.
    """
    if state.name == Normalised.name:
        return Normalised(Normaliser.from_state(state), restore_reduction(state.inside("inner")))
    return part_of(settings_class("reduction", state.name)).from_state(state)
