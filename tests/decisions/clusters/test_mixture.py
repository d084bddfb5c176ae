"""The Gaussian mixture against scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from fingerprints.core.errors import FingerprintsError
from tests.decisions.clusters.drawn import points, same
from tests.decisions.parts import answers, clustering


@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random", "random_from_data"])
def test_mixture_is_scikit_learns(init: Any) -> None:
    own = points()
    reference = GaussianMixture(3, covariance_type="diag", init_params=init, random_state=5)
    expected = reference.fit_predict(own.astype(np.float64))
    assert same(expected, answers(clustering("gmm", 3, seed=5, init=init), own).labels)


def test_a_covariance_that_cannot_be_estimated_says_so() -> None:
    with pytest.raises(FingerprintsError, match=r"full covariance from 9 images of 8 features(.|\n)*diag"):
        answers(clustering("gmm", 3, covariance="full", regularise=0.0), points(n=9))
    assert len(answers(clustering("gmm", 3), points(n=9)).labels) == 9
