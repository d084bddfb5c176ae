"""Normalised features against scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from fingerprints.core.fitted_state import load_fitted, save_fitted
from fingerprints.core.options import build_option
from fingerprints.reductions.normalise import Normaliser
from fingerprints.reductions.registry import fit_reduction, restore_reduction

RNG = np.random.default_rng(0)
TRAIN, OTHERS = (
    (3 + RNG.normal(size=(n, 9)) * 10.0 ** np.arange(-4, 5)).astype(np.float32) for n in (40, 11)
)


@pytest.mark.parametrize(("how", "theirs"), [("l2", Normalizer()), ("standard", StandardScaler())])
def test_a_reduction_of_normalised_features_is_scikit_learns_pipeline(
    how: str, theirs: object, tmp_path: Path
) -> None:
    settings = {"name": "pca", "variance": None, "components": 4, "normalise": how}
    reduction = fit_reduction(build_option("reduction", settings), TRAIN, seed=0)
    expected = make_pipeline(theirs, PCA(4, svd_solver="full")).fit(TRAIN.astype(np.float64))
    wanted = np.abs(expected.transform(OTHERS.astype(np.float64)))
    np.testing.assert_allclose(np.abs(reduction.apply(OTHERS)), wanted, atol=1e-4)
    assert (reduction.describe()["name"], reduction.describe()["normalised"]) == ("pca", how)
    save_fitted(reduction.state(), tmp_path, stem="reduction")
    again = restore_reduction(load_fitted(tmp_path, stem="reduction"))
    np.testing.assert_array_equal(again.apply(OTHERS), reduction.apply(OTHERS))


def test_constant_features_and_empty_rows_stay_finite() -> None:
    flat = np.zeros((5, 3), np.float32)
    for how in ("l2", "standard"):
        assert (Normaliser.fit(flat, how=how).apply(flat) == 0).all()


def test_none_is_the_identity_and_is_not_wrapped() -> None:
    assert Normaliser.fit(TRAIN, how="none").apply(OTHERS) is OTHERS
    assert fit_reduction(build_option("reduction", {"name": "none"}), TRAIN, seed=0).name == "none"
