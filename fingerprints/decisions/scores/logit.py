"""The answer of a trained classifier: used, or something else (unused, or generated)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.tasks import USED
from fingerprints.decisions.contract import Fitting, Part
from fingerprints.decisions.scores.settings import LogitSettings

Vectors = Mapping[str, NDArray[np.float32]]


def learn(settings: LogitSettings, fitting: Fitting) -> dict[str, NDArray[np.float32]]:
    """`(d,)` weight and `(1,)` bias: the classifier's last layer, its class `used` minus its other class."""
    head = fitting.head
    if head is None or len(head.classes) != 2 or USED not in head.classes:
        raise ValueError("decision 'logit' needs a trained classifier of two classes, one of them used")
    used = head.classes.index(USED)
    return {
        "weight": head.weight[used] - head.weight[1 - used],
        "bias": head.bias[[used]] - head.bias[[1 - used]],
    }


def score(settings: LogitSettings, part: Part, learned: Vectors) -> NDArray[np.float32]:
    """`(n,)` log odds of `used` by softmax; 0 or more where `used` has the higher logit."""
    return part.queries.embeddings @ learned["weight"] + learned["bias"]
