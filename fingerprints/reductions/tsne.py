"""t-SNE to two dimensions (van der Maaten and Hinton 2008; SDVAHCS/UCSD in [O24])."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.core.memory import require_memory
from fingerprints.reductions.pca import PCAReduction


@dataclass(frozen=True)
class TSNEReduction:
    """t-SNE to two dimensions: neighbours stay neighbours. It is transductive: each call makes a new layout.

    Coordinates of two calls cannot be compared, and distances between clusters in a layout mean little.

    Attributes:
        perplexity: Approximate number of neighbours to preserve; below the number of images.
        iterations: Number of iterations, at least 250.
        components: Number of principal components that t-SNE gets.
        seed: Seed of the layout.
    """

    perplexity: float = 30.0
    iterations: int = 1000
    components: int = 50
    seed: int = 0

    name: ClassVar[str] = "tsne"

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
        """Check the options; nothing is learnt from the embeddings.

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
                fix=f"give a perplexity above 0 and below {images}, and at least 250 iterations",
            )

    def apply(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """`(n, 2)` layout of `(n, d)` embeddings.

        Raises:
            FingerprintsError: If the perplexity is not below the number of images, there are fewer than
                250 iterations, or there is not enough memory.
        """
        self._check(len(embeddings))
        # Barnes-Hut: each image has 3 x perplexity neighbours, in several sparse matrices and their sum.
        require_memory(
            int(len(embeddings) * (3 * self.perplexity + 1) * 5 * 12),
            purpose=f"t-SNE of {len(embeddings):,} images",
            where="reduction",
            fix="use fewer images, a smaller reduction.perplexity, or reduction=pca",
        )
        inputs = embeddings
        kept = min(self.components, *embeddings.shape)
        if kept < embeddings.shape[1]:
            inputs = PCAReduction.of(embeddings, components=kept, seed=self.seed).apply(embeddings)
        model = TSNE(
            2, perplexity=self.perplexity, max_iter=self.iterations, init="pca", random_state=self.seed
        )
        return np.asarray(model.fit_transform(inputs), dtype=np.float32)

    def describe(self) -> dict[str, Any]:
        """Two components; t-SNE has no share of variance."""
        return {"name": self.name, "components": 2, "variance": None, "perplexity": self.perplexity}

    def state(self) -> FittedState:
        """The state that `from_state` reads."""
        return FittedState(self.name, asdict(self))

    @classmethod
    def from_state(cls, state: FittedState) -> TSNEReduction:
        """Restore the reduction from its stored state."""
        return cls(**state.facts)
