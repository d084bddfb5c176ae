"""t-SNE to the plane (van der Maaten and Hinton 2008; SDVAHCS/UCSD in [O24])."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.reductions.pca import PCAReduction


@dataclass(frozen=True)
class TSNEReduction:
    """Two dimensions in which neighbours stay neighbours; transductive: every call lays out its own plane.

    Coordinates of two calls have nothing to do with each other, and distances between clusters in the plane
    mean little.

    Attributes:
        perplexity: About how many neighbours count; below the number of images.
        iterations: At least 250.
        components: Principal components that go in.
        seed: Seed of the layout.
    """

    perplexity: float = 30.0
    iterations: int = 1000
    components: int = 50
    seed: int = 0

    name: ClassVar[str] = "tsne"
    transductive: ClassVar[bool] = True

    @classmethod
    def fit(
        cls,
        embeddings: NDArray[np.floating],
        *,
        perplexity: float = 30.0,
        iterations: int = 1000,
        components: int = 50,
        seed: int = 0,
    ) -> TSNEReduction:
        """Nothing is learnt from the embeddings; options that cannot work are refused.

        Raises:
            FingerprintsError: As `apply`.
        """
        reduction = cls(perplexity, iterations, components, seed)
        reduction._check(len(embeddings))
        return reduction

    def _check(self, images: int) -> None:
        if not 0 < self.perplexity < images or self.iterations < 250:
            raise FingerprintsError(
                f"t-SNE cannot lay out {images} images with perplexity={self.perplexity:g} and"
                f" iterations={self.iterations}.",
                where="reduction.perplexity, reduction.iterations",
                fix=f"give a perplexity above 0 and below {images}, and 250 iterations or more",
            )

    def apply(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """`(n, 2)` layout of `(n, d)` embeddings.

        Raises:
            FingerprintsError: If the perplexity is not below the number of images, or there are fewer than
                250 iterations.
        """
        self._check(len(embeddings))
        inputs = embeddings
        kept = min(self.components, *embeddings.shape)
        if kept < embeddings.shape[1]:
            inputs = PCAReduction.fit(embeddings, components=kept, seed=self.seed).apply(embeddings)
        model = TSNE(
            2, perplexity=self.perplexity, max_iter=self.iterations, init="pca", random_state=self.seed
        )
        return np.asarray(model.fit_transform(inputs), dtype=np.float32)

    def describe(self) -> dict[str, Any]:
        """Two components; a layout keeps no share of variance."""
        return {"name": self.name, "components": 2, "variance": None, "perplexity": self.perplexity}

    def state(self) -> FittedState:
        """What `from_state` needs."""
        return FittedState(self.name, asdict(self))

    @classmethod
    def from_state(cls, state: FittedState) -> TSNEReduction:
        """The reduction that left this state."""
        return cls(**state.facts)
