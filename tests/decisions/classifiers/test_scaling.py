from __future__ import annotations

import numpy as np
from sklearn.preprocessing import StandardScaler

from fingerprints.decisions.classifiers.scaling import Scaling
from tests.decisions.classifiers.drawn import ASKED


def test_scaling_is_scikit_learns_and_leaves_constants_alone() -> None:
    ours = Scaling.fit(ASKED)(ASKED)
    np.testing.assert_allclose(ours, StandardScaler().fit_transform(ASKED.astype(float)), atol=1e-4)
    assert Scaling.fit(ASKED).scale[-1] == 1.0  # the constant feature
    np.testing.assert_array_equal(Scaling.fit(ASKED, standardise=False)(ASKED), ASKED)
