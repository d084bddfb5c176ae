"""Reductions by name: fit one from settings, or restore one from its stored state."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.core.options import part_of, plain, settings_class
from fingerprints.reductions.autoencoder import AutoencoderReduction
from fingerprints.reductions.none import NoReduction
from fingerprints.reductions.pca import AskedPCA, PCAReduction
from fingerprints.reductions.settings import NoReductionSettings, ReductionSettings
from fingerprints.reductions.tsne import TSNEReduction

Reduction = NoReduction | PCAReduction | AskedPCA | AutoencoderReduction | TSNEReduction


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
    options = {key: value for key, value in plain(settings).items() if key != "name"}
    return part_of(settings).fit(embeddings, seed=seed, **options)


def restore_reduction(state: FittedState) -> Reduction:
    """The reduction that left this state.

    Raises:
        FingerprintsError: If no reduction has the name of the state.
    """
    return part_of(settings_class("reduction", state.name)).from_state(state)
