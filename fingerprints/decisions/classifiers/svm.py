"""Support vector machine [A25]."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import linear_kernel, rbf_kernel
from sklearn.svm import SVC

from fingerprints.decisions.classifiers.cost import SEARCH_IMAGES, SEARCH_STEPS, choose_cost
from fingerprints.decisions.classifiers.fit_set import FitSet
from fingerprints.decisions.classifiers.pipeline import PipelineClassifier, class_weight
from fingerprints.decisions.contract import Embeddings
from fingerprints.decisions.settings import SVMSettings

# 3.2 GB of kernel values. With more rows, libsvm computes them itself, which is several times slower.
KERNEL_ROWS = 20_000


@dataclass(frozen=True, kw_only=True)
class SVM(PipelineClassifier):
    """Support vector machine: the published one is linear, C = 1, on raw features [A25].

    Several classes are decided one against one. Scores are numbers of votes plus a confidence below one vote
    (scikit-learn's `decision_function_shape="ovr"`), so that the confidence decides ties.
    """

    smaller: ClassVar[str] = (
        "fit on fewer images (decision.fit_on=real or generated), or choose decision=logistic or centroid"
    )

    @classmethod
    def memory(cls, settings: Any, *, images: int, width: int, clusters: int) -> int:
        """The kernel matrix in float32 and in float64; libsvm keeps none for more than `KERNEL_ROWS`."""
        searched = min(images, SEARCH_IMAGES) if settings.C is None else 0
        return 12 * max(searched, images if images <= KERNEL_ROWS else 0) ** 2

    @classmethod
    def estimator(
        cls, settings: SVMSettings, images: FitSet, *, classes: int, seed: int
    ) -> tuple[SVC, dict[str, Any]]:
        """The support vector machine; it is not random: the seed is only for the folds of `choose_cost`.

        Raises:
            FingerprintsError: As `choose_cost`.
        """
        x = images.embeddings
        gamma = settings.gamma
        if gamma is None:  # scikit-learn's `scale`
            gamma = 1.0 / (x.shape[1] * float(x.var(dtype=np.float64)))
        kernel = kernel_function(settings.kernel, gamma)
        weight = class_weight(settings.class_weight)
        cost, chosen = settings.C, dict[str, Any]()
        if cost is None:
            search = SVC(kernel="precomputed", class_weight=weight, max_iter=SEARCH_STEPS)
            # One matrix of kernel values serves all folds and costs.
            cost, chosen = choose_cost(search, images, features=kernel, classes=classes, seed=seed)
        if len(x) > KERNEL_ROWS:
            return SVC(C=cost, kernel=settings.kernel, gamma=gamma, class_weight=weight), chosen
        return SVC(C=cost, kernel=kernel, class_weight=weight), chosen

    def _scores(self, embeddings: Embeddings) -> NDArray[np.floating]:
        decision = self.model.decision_function(embeddings)
        # For two classes, scikit-learn returns one column, positive for the second class.
        return decision if decision.ndim == 2 else np.column_stack([-decision, decision])


def kernel_function(name: str, gamma: float) -> Callable[..., NDArray[np.floating]]:
    """Function that computes kernel values of two sets of vectors by matrix products.

    libsvm's own loops over features take 6 to 30 times as long on wide features (docs/decisions.md).
    """
    return linear_kernel if name == "linear" else functools.partial(rbf_kernel, gamma=gamma)
