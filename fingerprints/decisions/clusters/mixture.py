"""Gaussian mixture (Biomedical Imaging Goa in [O24])."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.mixture import GaussianMixture

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.clusters.clustering import Clustering
from fingerprints.decisions.clusters.labels import Labels, cluster_names
from fingerprints.decisions.contract import Embeddings
from fingerprints.decisions.settings import MixtureSettings

ROUNDS = 100  # maximum number of iterations per start


@dataclass(frozen=True, kw_only=True)
class Mixture(Clustering):
    """Gaussian mixture by expectation maximisation; an image gets its most probable component.

    The four initialisations are those of Goa's runs [O24]. A full covariance of 2,048 features has two
    million parameters, too many for a few hundred images: use `diag` unless features are reduced.
    """

    settings: MixtureSettings
    smaller: ClassVar[str] = "give decision.covariance=diag, reduction=pca, or decision=kmeans"

    @classmethod
    def memory(cls, settings: Any, *, images: int, width: int, clusters: int) -> int:
        """Covariances with their factors and inverses, and copies of the embeddings, in float64."""
        matrices = {"full": clusters * width, "tied": width}.get(settings.covariance, clusters)
        kept = 3 if settings.restarts == 1 else 5  # with several starts, the best one is kept aside
        return 8 * (kept * matrices * width + 3 * images * width)

    def cluster(self, embeddings: Embeddings) -> Labels:
        """Clusters of `(n, d)` embeddings; fewer than requested if a component gets no image.

        Raises:
            FingerprintsError: If the covariance cannot be estimated from the images.
        """
        settings = self.settings
        model = GaussianMixture(
            self.clusters,
            covariance_type=settings.covariance,
            init_params=settings.init,
            reg_covar=settings.regularise,
            n_init=settings.restarts,
            max_iter=ROUNDS,
            random_state=self.seed,
        )
        try:
            # float64: densities of a thousand features exceed the range of float32.
            codes = model.fit_predict(embeddings.astype(np.float64))
        except ValueError as error:
            raise FingerprintsError(
                f"The Gaussian mixture cannot estimate its {settings.covariance} covariance from"
                f" {len(embeddings)} images of {embeddings.shape[1]} features: {error}",
                where="decision.covariance, decision.regularise",
                fix="give decision.covariance=diag, a larger decision.regularise, or reduction=pca",
            ) from error
        return cluster_names(codes)
