"""PCA: the number of components, or the share of variance, is given ([A24]: 95 and 90 % of the variance).

[A24] prints 351, 235, 152, ... components of the 600 training images, and clusters these. For its test part
it does not say on which images the PCA was fitted, so `scope` is an option: the training part, or the images
asked about.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.core.memory import require_memory

log = logging.getLogger(__name__)

# If the smaller of images and features is at most this, all components are computed: a minute at most.
EXACT = 4096
# Number of components to try first if a share of the variance is given.
FIRST = 256
MODEL = "model"  # name of the estimator on disk


@dataclass(frozen=True)
class PCAReduction:
    """Projection on principal components.

    Attributes:
        model: The fitted estimator; components are float64.
    """

    model: PCA

    name: ClassVar[str] = "pca"

    @classmethod
    def fit(
        cls,
        embeddings: NDArray[np.floating],
        *,
        variance: float | None = None,
        components: int | None = None,
        scope: Literal["training", "asked"] = "training",
        seed: int = 0,
    ) -> PCAReduction | AskedPCA:
        """Components of `(n, d)` embeddings; with `scope=asked`, a PCA to be fitted on what it gets later.

        Raises:
            FingerprintsError: As `of`.
        """
        if scope == "training":
            return cls.of(embeddings, variance=variance, components=components, seed=seed)
        _check(variance=variance, components=components, images=len(embeddings), width=embeddings.shape[1])
        return AskedPCA(variance, components, seed)

    @classmethod
    def of(
        cls,
        embeddings: NDArray[np.floating],
        *,
        variance: float | None = None,
        components: int | None = None,
        seed: int = 0,
    ) -> PCAReduction:
        """Components of `(n, d)` embeddings.

        If there are more than 4,096 images and more than 4,096 features, components come from randomised
        projections; their number is doubled until they hold the share of variance.

        Args:
            embeddings: `(n, d)`, n of at least 2, not all the same.
            variance: Keep the fewest components with this share of the variance, in (0, 1].
            components: Keep this number of components instead, from 1 to min(n, d).
            seed: Seed of the randomised projections.

        Raises:
            FingerprintsError: If both or neither of `variance` and `components` are given, if images or
                features are too few, or if there is not enough memory.
        """
        n, d = embeddings.shape
        limit = min(n, d)
        _check(variance=variance, components=components, images=n, width=d)
        guess = FIRST if components is None else components
        require_memory(
            _memory(n, d, guess=guess),
            purpose=f"PCA of {n:,} images with {d:,} features",
            where="reduction",
            fix="use fewer images, an encoder with fewer features, or reduction.variance=null with fewer"
            " reduction.components",
        )
        # Randomised projections are faster only if they compute at most half of all components.
        while limit > EXACT and 2 * guess <= limit:
            model = PCA(guess, svd_solver="randomized", random_state=seed).fit(embeddings)
            if variance is None:
                return cls(model)
            reached = np.flatnonzero(np.cumsum(model.explained_variance_ratio_) >= variance)
            if len(reached):
                return cls(_first(model, int(reached[0]) + 1))
            guess *= 2
        # scikit-learn accepts only a share below 1; for 1, keep all components.
        kept = components if variance is None else variance if variance < 1 else limit
        solver = "covariance_eigh" if n > d else "full"
        # float64: in float32, sums over thousands of images lose digits.
        return cls(PCA(kept, svd_solver=solver).fit(embeddings.astype(np.float64)))

    def apply(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """`(n, k)` coordinates of `(n, d)` embeddings."""
        return self.model.transform(embeddings.astype(np.float64)).astype(np.float32)

    def describe(self) -> dict[str, Any]:
        """Number of components, their share of the variance, and the solver."""
        return {
            "name": self.name,
            "components": len(self.model.components_),
            "variance": float(self.model.explained_variance_ratio_.sum()),
            "solver": "randomised" if self.model.svd_solver == "randomized" else "exact",
        }

    def state(self) -> FittedState:
        """The state that `from_state` reads."""
        return FittedState(self.name, estimators={MODEL: self.model})

    @classmethod
    def from_state(cls, state: FittedState) -> PCAReduction | AskedPCA:
        """Restore the reduction from its stored state; earlier versions stored arrays, not an estimator."""
        if "seed" in state.facts:
            return AskedPCA(**state.facts)
        if MODEL in state.estimators:
            return cls(state.estimators[MODEL])
        model = PCA(svd_solver="randomized" if state.facts["solver"] == "randomised" else "full")
        model.mean_ = state.arrays["mean"].astype(np.float64)
        model.components_ = state.arrays["components"].astype(np.float64)
        model.explained_variance_ = state.arrays["variances"]
        model.explained_variance_ratio_ = model.explained_variance_ / state.facts["total"]
        model.n_components_, model.n_features_in_ = model.components_.shape
        return cls(model)


@dataclass(frozen=True)
class AskedPCA:
    """A PCA of the images that are asked about, fitted anew on each set of them; `fit` describes the options.

    Coordinates of two calls cannot be compared.
    """

    variance: float | None
    components: int | None
    seed: int

    name: ClassVar[str] = "pca"

    def apply(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """`(n, k)` coordinates of `(n, d)` embeddings.

        Raises:
            FingerprintsError: As `PCAReduction.of`.
        """
        model = PCAReduction.of(
            embeddings, variance=self.variance, components=self.components, seed=self.seed
        )
        facts = model.describe()
        log.info(
            *("PCA of %s images asked about: %s components, %.1f %% of the variance", f"{len(embeddings):,}"),
            *(facts["components"], 100 * facts["variance"]),
        )
        return model.apply(embeddings)

    def describe(self) -> dict[str, Any]:
        """What is given; the number of components depends on the images, and is in the log."""
        return {
            "name": self.name,
            "scope": "asked",
            "components": self.components,
            "variance": self.variance,
        }

    def state(self) -> FittedState:
        """The state that `PCAReduction.from_state` reads."""
        return FittedState(self.name, asdict(self))


def _memory(images: int, width: int, *, guess: int) -> int:
    """Bytes for `guess` components: copies of the embeddings, and for the exact solvers a square matrix."""
    if min(images, width) > EXACT and 2 * guess <= min(images, width):
        return 4 * (2 * images * width + 4 * guess * (images + width))
    square = 4 * min(images, width) ** 2
    return 8 * ((1 if images > width else 3) * images * width + square)


def _first(model: PCA, count: int) -> PCA:
    """The same estimator, changed in place to have only its first `count` components."""
    for name in ("components_", "explained_variance_", "explained_variance_ratio_", "singular_values_"):
        setattr(model, name, getattr(model, name)[:count])
    model.n_components_ = count
    return model


def _check(*, variance: float | None, components: int | None, images: int, width: int) -> None:
    if (variance is None) == (components is None):
        raise FingerprintsError(
            "PCA needs either a share of the variance or a number of components, not both.",
            where="reduction.variance, reduction.components",
            fix="give reduction.variance=0.95 reduction.components=null, or "
            "reduction.variance=null reduction.components=NUMBER",
        )
    if images < 2:
        raise FingerprintsError(
            f"PCA needs at least 2 images; there are {images}.", where="training part", fix="give more images"
        )
    check_components(components, images=images, width=width, where="reduction.components")


def check_components(components: int | None, *, images: int, width: int, where: str) -> None:
    """Refuse more components than images or features; `None` is accepted.

    Raises:
        FingerprintsError: If `components` is not from 1 to min(images, width).
    """
    most = min(images, width)
    if components is not None and not 1 <= components <= most:
        raise FingerprintsError(
            f"{components} components cannot be computed from {images} images with {width} features.",
            where=where,
            fix=f"give a number from 1 to {most}, or more images",
        )
