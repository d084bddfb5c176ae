"""Every reduction by its name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError, nearest
from fingerprints.core.fitted_state import FittedState
from fingerprints.reductions.autoencoder import AutoencoderReduction
from fingerprints.reductions.pca import PCAReduction
from fingerprints.reductions.tsne import TSNEReduction


@dataclass(frozen=True)
class NoReduction:
    """Embeddings as they are, flattened.

    Attributes:
        width: Numbers of each.
    """

    width: int

    name: ClassVar[str] = "none"
    transductive: ClassVar[bool] = False

    @classmethod
    def fit(cls, embeddings: NDArray[np.floating], *, seed: int = 0) -> NoReduction:
        """Learns the width of `(n, d)` embeddings, and nothing else."""
        return cls(embeddings.shape[1])

    def apply(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """The `(n, d)` embeddings, float32."""
        return np.asarray(embeddings, dtype=np.float32)

    def describe(self) -> dict[str, Any]:
        """All numbers and all variance."""
        return {"name": self.name, "components": self.width, "variance": 1.0}

    def state(self) -> FittedState:
        """What `from_state` needs."""
        return FittedState(self.name, {"width": self.width})

    @classmethod
    def from_state(cls, state: FittedState) -> NoReduction:
        """The reduction that left this state."""
        return cls(state.facts["width"])


Reduction = NoReduction | PCAReduction | AutoencoderReduction | TSNEReduction
REDUCTIONS: dict[str, type[Reduction]] = {
    kind.name: kind for kind in (NoReduction, PCAReduction, AutoencoderReduction, TSNEReduction)
}


def _kind(name: str) -> type[Reduction]:
    if name not in REDUCTIONS:
        near = nearest(name, REDUCTIONS)
        raise FingerprintsError(
            f"There is no reduction '{name}'.",
            where="reduction.name",
            fix=f"one of {', '.join(REDUCTIONS)}" + (f"; did you mean '{near[0]}'?" if near else ""),
        )
    return REDUCTIONS[name]


def fit_reduction(settings: Mapping[str, Any], embeddings: NDArray[np.floating], *, seed: int) -> Reduction:
    """Fit a reduction on the training part.

    Args:
        settings: `name`, and the options of that reduction's `fit`.
        embeddings: `(n, d)`.
        seed: Seed of what is random.

    Raises:
        FingerprintsError: If the name or an option is unknown, all embeddings are alike, or as the
            reduction's `fit`.
    """
    kind = _kind(settings["name"])
    options = {key: value for key, value in settings.items() if key != "name"}
    known = [key for key in inspect.signature(kind.fit).parameters if key not in ("embeddings", "seed")]
    for key in options:
        if key not in known:
            near = nearest(key, known)
            raise FingerprintsError(
                f"Reduction '{kind.name}' has no option '{key}'.",
                where=f"reduction.{key}",
                fix=(f"did you mean '{near[0]}'? " if near else "")
                + (f"Options: {', '.join(known)}" if known else "It has none"),
            )
    if kind is not NoReduction and not (embeddings != embeddings[:1]).any():
        raise FingerprintsError(
            f"All {len(embeddings)} embeddings are the same: there is nothing to reduce.",
            where="training part",
            fix="look for a collapsed encoder, or a filter or region that leaves nothing of the images",
        )
    return kind.fit(embeddings, seed=seed, **options)


def restore_reduction(state: FittedState) -> Reduction:
    """The reduction that left this state.

    Raises:
        FingerprintsError: If none has its name.
    """
    return _kind(state.name).from_state(state)
