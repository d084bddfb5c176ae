"""t-SNE is scikit-learn's, after PCA."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from fingerprints.core.errors import FingerprintsError
from fingerprints.reductions.tsne import TSNEReduction

RNG = np.random.default_rng(0)
CODES = np.arange(60) % 3
POINTS = (RNG.normal(size=(60, 80)) + 2 * RNG.normal(size=(3, 80))[CODES]).astype(np.float32)
FAST = {"iterations": 500, "perplexity": 10.0}


def test_neighbours_stay_neighbours_and_layouts_repeat() -> None:
    reduction = TSNEReduction.fit(POINTS, **FAST)
    plane = reduction.apply(POINTS)
    assert plane.shape == (60, 2)
    assert plane.dtype == np.float32
    assert KNeighborsClassifier(3).fit(plane, CODES).score(plane, CODES) == 1
    np.testing.assert_array_equal(reduction.apply(POINTS), plane)
    assert reduction.describe()["components"] == 2


def test_principal_components_go_in() -> None:
    few = PCA(4, svd_solver="full").fit_transform(POINTS)
    plane = TSNEReduction.fit(POINTS, **FAST, components=4).apply(POINTS)
    # The same distances go in, so that the same neighbours come out, however the plane is turned.
    direct = TSNEReduction.fit(few, **FAST, components=4).apply(few)
    near = [KNeighborsClassifier(1).fit(x, CODES).kneighbors()[1].ravel() for x in (plane, direct)]
    assert np.mean(near[0] == near[1]) > 0.8


@pytest.mark.parametrize("other", [{"perplexity": 5.0}, {"iterations": 300}, {"components": 5}], ids=str)
def test_each_option_changes_the_layout(other: dict) -> None:
    one, two = (TSNEReduction.fit(POINTS, **{**FAST, **o}).apply(POINTS) for o in ({}, other))
    assert not np.allclose(one, two, atol=1e-2)


@pytest.mark.parametrize("options", [{"perplexity": 60.0}, {"perplexity": 0.0}, {"iterations": 100}], ids=str)
def test_options_out_of_range(options: dict) -> None:
    with pytest.raises(FingerprintsError, match="t-SNE cannot lay out 60 images"):
        TSNEReduction.fit(POINTS, **options)


def test_fewer_images_than_perplexity_when_applied() -> None:
    with pytest.raises(FingerprintsError, match="cannot lay out 9 images"):
        TSNEReduction.fit(POINTS, **FAST).apply(POINTS[:9])
