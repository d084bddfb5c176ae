"""Density of the generated images over that of a reference (DOMIAS).

Where a generator is denser than real images are, it overfits: an image there was probably used (van Breugel
et al. 2023, arXiv 2302.12580). Everything is computed in logs, so that no density underflows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.neighbors import KernelDensity

from fingerprints.decisions.contract import Embeddings, Fitting, Part
from fingerprints.decisions.scores.density_settings import DomiasSettings
from fingerprints.decisions.scores.needed import needed, needed_reference

REFERENCE = "reference"
LEAST = 2  # images that have a covariance
FLOOR = 1e-6  # added to variances, of coordinates whose overall variance is 1
EMPTY = 1e-4  # standard deviation, as a share of the largest, up to which a component is rounding

LogDensity = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def learn(settings: DomiasSettings, fitting: Fitting) -> dict[str, NDArray]:
    """The reference images `(m, d)`; densities follow with the generated images of each part.

    Raises:
        FingerprintsError: If there are fewer than 2 reference images.
    """
    return {REFERENCE: needed_reference(fitting, least=LEAST)}


def score(settings: DomiasSettings, part: Part, learned: Mapping[str, NDArray]) -> NDArray[np.float64]:
    """`(n,)` log p_G(x) - log p_R(x) of each query x (equation 2 of the source).

    Both densities are of the same coordinates: principal components of the generated and the reference images
    together (never of images asked about), scaled to variance 1. The source estimates densities of a few
    dozen columns; pixels and features have too many, hence the components (ours).

    Each density has its own covariance, shrunk (Ledoit and Wolf 2004), so that it also exists for fewer
    images than components. `kde` is a mean of Gaussian kernels with this covariance times the square of
    Scott's factor n^(-1 / (d + 4)), as in SciPy's `gaussian_kde`, which the source uses.

    Raises:
        FingerprintsError: If there are fewer than 2 generated images.
    """
    made, known = needed(part.references.embeddings, least=LEAST, kind="generated"), learned[REFERENCE]
    if not len(part.queries):
        return np.empty(0)
    place = _space(settings, np.concatenate([made, known]))
    of_made, of_known = (log_density(settings, place(images)) for images in (made, known))
    asked = place(part.queries.embeddings)
    return of_made(asked) - of_known(asked)


def log_density(settings: DomiasSettings, images: NDArray[np.float64]) -> LogDensity:
    """The log density of images `(n, d)`, as a function of points `(k, d)` -> `(k,)`."""
    found = LedoitWolf().fit(images)
    width = images.shape[1]
    lower = np.linalg.cholesky(found.covariance_ + FLOOR * np.eye(width))
    volume = np.log(np.diag(lower)).sum()

    def standard(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return solve_triangular(lower, (points - found.location_).T, lower=True).T

    if settings.density == "gaussian":
        constant = volume + width / 2 * np.log(2 * np.pi)
        return lambda points: -0.5 * np.square(standard(points)).sum(axis=1) - constant
    kernels = KernelDensity(bandwidth="scott").fit(standard(images))
    return lambda points: kernels.score_samples(standard(points)) - volume


def _space(settings: DomiasSettings, images: Embeddings) -> Callable[[Embeddings], NDArray[np.float64]]:
    """Coordinates of images `(n, d)`, of variance 1; constant features have none."""
    if not np.ptp(images, axis=0).any():  # all images are the same
        return lambda points: np.zeros((len(points), 1))
    most = min(len(images) - 1, images.shape[1])
    count = most if settings.components is None else min(settings.components, most)
    # Randomised projections, the default, find the last components only roughly, in no less time.
    solver = "arpack" if 2 * count < min(images.shape) else "full"
    space = PCA(count, svd_solver=solver, random_state=0).fit(images)
    deviation = np.sqrt(space.explained_variance_)
    kept = deviation > EMPTY * deviation[0]
    return lambda points: space.transform(points)[:, kept].astype(np.float64) / deviation[kept]
