"""Weighted sum of an image's features (Csmorgan [O24]).

By the source's words no generated image enters, so that the score cannot see what the generator has learnt.
A reduction before it is fitted on training images of both kinds. The source gives no weights: both kinds
here are our reading.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fingerprints.decisions.contract import Fitting, Part
from fingerprints.decisions.scores.settings import FeatureSumSettings

WEIGHTS = "weights"
Weights = NDArray[np.float64]


def learn(settings: FeatureSumSettings, fitting: Fitting) -> dict[str, Weights]:
    """`(d,)` weights that add up to 1; `variance`: by the real training images."""
    features = fitting.part.real.embeddings
    if settings.weights == "equal":
        weights = np.ones(features.shape[1])
    else:
        weights = features.var(axis=0, dtype=np.float64) + np.finfo(np.float64).tiny  # not all zero
    return {WEIGHTS: weights / weights.sum()}


def score(settings: FeatureSumSettings, part: Part, learned: Mapping[str, Weights]) -> NDArray[np.floating]:
    """`(n,)` weighted sum of the features of each query `(n, d)`."""
    return part.queries.embeddings @ learned[WEIGHTS]
