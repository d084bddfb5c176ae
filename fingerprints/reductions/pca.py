"""Principal components by share of variance or by number ([A24]: 95 and 90 % of the variance)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState

Matrix = NDArray[np.float64]

# Up to this many images or features (the fewer of both) all eigenvectors are computed: a minute at most.
EXACT = 4096
# Components that are tried first where a share of the variance is wanted.
FIRST = 256
# Columns turned into float64 at a time.
BLOCK = 2048


def exact_components(embeddings: NDArray[np.floating], mean: Matrix) -> tuple[Matrix, Matrix]:
    """All variances `(r,)` and components `(r, d)`, largest first; r = min(n, d).

    From the eigenvectors of the smaller of the covariance (d x d) and the table of products of images
    (n x n), summed in float64 over blocks: 600 images of 25,088 features need a 600 x 600 table, and no
    float64 copy of the features.

    Args:
        embeddings: `(n, d)`.
        mean: `(d,)`.
    """
    n, d = embeddings.shape
    table = np.zeros((min(n, d), min(n, d)))
    by_images = n < d
    step = BLOCK if by_images else max(1, BLOCK * BLOCK // d)
    for start in range(0, d if by_images else n, step):
        columns = slice(start, start + step) if by_images else slice(None)
        rows = slice(None) if by_images else slice(start, start + step)
        block = embeddings[rows, columns].astype(np.float64) - mean[columns]
        table += block @ block.T if by_images else block.T @ block
    values, vectors = np.linalg.eigh(table)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    if not by_images:
        return values / (n - 1), vectors.T
    components = np.empty((n, d))
    for start in range(0, d, BLOCK):
        columns = slice(start, start + BLOCK)
        components[:, columns] = vectors.T @ (embeddings[:, columns].astype(np.float64) - mean[columns])
    lengths = np.linalg.norm(components, axis=1, keepdims=True)
    return values / (n - 1), components / np.where(lengths > 0, lengths, 1.0)


def randomised_components(
    embeddings: NDArray[np.floating], mean: Matrix, *, count: int, seed: int
) -> tuple[Matrix, Matrix]:
    """The first `count` variances and components by randomised projections (Halko et al. 2011)."""
    centred = embeddings.astype(np.float32) - mean.astype(np.float32)
    _, singular, components = randomized_svd(centred, count, random_state=seed, n_iter=4)
    return singular.astype(np.float64) ** 2 / (len(embeddings) - 1), components.astype(np.float64)


def how_many(variances: Matrix, *, total: float, share: float) -> int | None:
    """The fewest components whose share of the variance is at least `share`; `None` if all are too few."""
    reached = np.flatnonzero(np.cumsum(variances) / total >= share - 1e-12)
    return int(reached[0]) + 1 if len(reached) else None


@dataclass(frozen=True)
class PCAReduction:
    """Projection on principal components.

    Attributes:
        mean: `(d,)` float32.
        components: `(k, d)` float32, orthonormal; the largest loading of each is positive.
        variances: `(k,)` float64, variance along each.
        total: Variance of all features together.
        solver: `exact` or `randomised`.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    variances: Matrix
    total: float
    solver: str

    name: ClassVar[str] = "pca"
    transductive: ClassVar[bool] = False

    @classmethod
    def fit(
        cls,
        embeddings: NDArray[np.floating],
        *,
        variance: float | None = None,
        components: int | None = None,
        seed: int = 0,
    ) -> PCAReduction:
        """Components of `(n, d)` embeddings.

        Where both images and features are more than 4,096, components come from randomised projections,
        twice as many each time until they hold the variance.

        Args:
            embeddings: `(n, d)`, n of at least 2, not all alike.
            variance: The fewest components with this share of the variance, in (0, 1], are kept.
            components: Or so many, from 1 to min(n, d).
            seed: Of the randomised projections.

        Raises:
            FingerprintsError: If not one of both is given, or it is out of range.
        """
        n, d = embeddings.shape
        limit = min(n, d)
        _check(variance=variance, components=components, images=n, width=d)
        mean = embeddings.mean(axis=0, dtype=np.float64)
        total = float(embeddings.var(axis=0, dtype=np.float64).sum() * n / (n - 1))
        wanted = components
        guess = min(wanted if wanted is not None else FIRST, limit)
        # Projections pay only while they are few of all.
        while limit > EXACT and 2 * guess <= limit:
            values, vectors = randomised_components(embeddings, mean, count=guess, seed=seed)
            kept = wanted if variance is None else how_many(values, total=total, share=variance)
            if kept is not None:
                return cls._of(mean, vectors[:kept], values[:kept], total, "randomised")
            guess *= 2
        values, vectors = exact_components(embeddings, mean)
        kept = wanted if variance is None else how_many(values, total=total, share=variance)
        kept = limit if kept is None else kept  # rounding at a share of 1
        return cls._of(mean, vectors[:kept], values[:kept], total, "exact")

    @classmethod
    def _of(
        cls, mean: Matrix, components: Matrix, variances: Matrix, total: float, solver: str
    ) -> PCAReduction:
        largest = np.abs(components).argmax(axis=1)
        signs = np.sign(components[np.arange(len(components)), largest])
        signs[signs == 0] = 1.0
        turned = (components * signs[:, None]).astype(np.float32)
        return cls(mean.astype(np.float32), turned, variances, total, solver)

    def apply(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """`(n, k)` coordinates of `(n, d)` embeddings."""
        return ((embeddings - self.mean) @ self.components.T).astype(np.float32)

    def describe(self) -> dict[str, Any]:
        """Components and share of variance kept, and how they were found."""
        return {
            "name": self.name,
            "components": len(self.components),
            "variance": float(self.variances.sum() / self.total),
            "solver": self.solver,
        }

    def state(self) -> FittedState:
        """What `from_state` needs."""
        return FittedState(
            self.name,
            {"total": self.total, "solver": self.solver},
            {"mean": self.mean, "components": self.components, "variances": self.variances},
        )

    @classmethod
    def from_state(cls, state: FittedState) -> PCAReduction:
        """The reduction that left this state."""
        arrays, facts = state.arrays, state.facts
        return cls(arrays["mean"], arrays["components"], arrays["variances"], facts["total"], facts["solver"])


def _check(*, variance: float | None, components: int | None, images: int, width: int) -> None:
    if (variance is None) == (components is None):
        raise FingerprintsError(
            "PCA keeps a share of the variance or a number of components: one of both.",
            where="reduction.variance, reduction.components",
            fix="reduction.variance=0.95 reduction.components=null, or the other way round",
        )
    if variance is not None and not 0 < variance <= 1:
        raise FingerprintsError(
            f"A share of variance of {variance} cannot be kept.",
            where="reduction.variance",
            fix="give a share above 0 and at most 1, such as 0.95",
        )
    if images < 2:
        raise FingerprintsError(
            f"PCA needs 2 images or more; there are {images}.", where="training part", fix="give more images"
        )
    check_components(components, images=images, width=width, where="reduction.components")


def check_components(components: int | None, *, images: int, width: int, where: str) -> None:
    """Refuse more components than images or features; `None` passes.

    Raises:
        FingerprintsError: If `components` is not from 1 to min(images, width).
    """
    most = min(images, width)
    if components is not None and not 1 <= components <= most:
        raise FingerprintsError(
            f"{components} components cannot be made of {images} images of {width} features.",
            where=where,
            fix=f"give a number from 1 to {most}, or more images",
        )
