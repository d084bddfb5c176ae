"""PCA against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.reductions import pca
from fingerprints.reductions.pca import PCAReduction


def points(n: int, d: int, *, seed: int = 0) -> np.ndarray:
    """Variances that fall, on mixed axes, far from the origin."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(n, d)) * 0.9 ** np.arange(d)
    return (5 + own @ np.linalg.qr(rng.normal(size=(d, d)))[0]).astype(np.float32)


@pytest.mark.parametrize("shape", [(80, 30), (30, 80), (40, 40)], ids=str)
@pytest.mark.parametrize("options", [{"variance": 0.95}, {"variance": 0.9}, {"components": 7}], ids=str)
def test_agrees_with_scikit_learn(shape: tuple[int, int], options: dict) -> None:
    own, others = points(*shape), points(20, shape[1], seed=1)
    ours = PCAReduction.fit(own, **options)
    kept = options.get("components", options.get("variance"))
    theirs = PCA(kept, svd_solver="full").fit(own.astype(np.float64))
    np.testing.assert_allclose(ours.apply(others), theirs.transform(others), atol=1e-4)
    assert ours.apply(others).dtype == np.float32
    facts = ours.describe()
    assert facts["components"] == theirs.n_components_
    assert facts["variance"] == pytest.approx(theirs.explained_variance_ratio_.sum())
    assert (facts["solver"], facts["name"]) == ("exact", "pca")


@pytest.mark.parametrize("options", [{"variance": 0.9}, {"components": 12}], ids=str)
def test_randomised_agrees_with_exact(options: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    own = points(120, 110)
    exact = PCAReduction.fit(own, **options)
    monkeypatch.setattr(pca, "EXACT", 50)
    monkeypatch.setattr(pca, "FIRST", 3)  # doubled twice
    fast = PCAReduction.fit(own, **options, seed=1)
    assert fast.describe()["solver"] == "randomised"
    assert fast.describe()["variance"] == pytest.approx(exact.describe()["variance"], rel=1e-3)
    np.testing.assert_allclose(fast.apply(own), exact.apply(own), atol=2e-2)
    np.testing.assert_array_equal(fast.apply(own), PCAReduction.fit(own, **options, seed=1).apply(own))


def test_projections_that_would_be_most_of_all_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pca, "EXACT", 10)
    assert PCAReduction.fit(points(80, 30), variance=0.9).describe()["solver"] == "exact"


def test_all_variance_and_fewer_dimensions_than_features() -> None:
    flat = points(50, 3) @ np.ones((3, 10), np.float32)  # one dimension
    assert PCAReduction.fit(flat, variance=0.999).describe()["components"] == 1
    assert PCAReduction.fit(points(50, 6), variance=1.0).describe()["components"] == 6


@pytest.mark.parametrize("options", [{}, {"variance": 0.9, "components": 3}], ids=str)
def test_one_of_variance_and_components(options: dict) -> None:
    with pytest.raises(FingerprintsError, match="not both"):
        PCAReduction.fit(points(20, 5), **options)


@pytest.mark.parametrize(("components", "shape"), [(0, (20, 5)), (6, (20, 5)), (6, (5, 20))], ids=str)
def test_more_components_than_images_or_features(components: int, shape: tuple[int, int]) -> None:
    with pytest.raises(FingerprintsError, match=rf"{components} components(.|\n)*1 to 5"):
        PCAReduction.fit(points(*shape), components=components)


def test_one_image_is_refused() -> None:
    with pytest.raises(FingerprintsError, match="2 images"):
        PCAReduction.fit(points(1, 5), components=1)


def test_arrays_of_an_earlier_version() -> None:
    """Rows of components, float32, with the variance of all features beside them."""
    own = points(80, 30)
    new = PCAReduction.fit(own, variance=0.9)
    arrays = {
        "mean": new.model.mean_.astype(np.float32),
        "components": new.model.components_.astype(np.float32),
        "variances": new.model.explained_variance_,
    }
    total = float(own.astype(np.float64).var(axis=0, ddof=1).sum())
    old = PCAReduction.from_state(FittedState("pca", {"total": total, "solver": "exact"}, arrays))
    np.testing.assert_allclose(old.apply(own), new.apply(own), atol=1e-4)
    assert old.describe() == pytest.approx(new.describe())


@pytest.mark.parametrize("options", [{"variance": 0.95}, {"components": 7}], ids=str)
def test_asked_is_fitted_on_what_it_gets(options: dict, caplog: pytest.LogCaptureFixture) -> None:
    asked = points(60, 30, seed=1)
    reduction = PCAReduction.fit(points(80, 30), **options, scope="asked")
    theirs = PCA(options.get("components", options.get("variance")), svd_solver="full")
    expected = theirs.fit_transform(asked.astype(np.float64))
    with caplog.at_level("INFO", logger="fingerprints"):
        found = reduction.apply(asked)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)
    assert f"PCA of 60 images asked about: {theirs.n_components_} components" in caplog.text
    on_training = PCAReduction.fit(points(80, 30), **options).apply(asked)
    assert on_training.shape != found.shape or not np.allclose(np.abs(on_training), np.abs(found), atol=1e-2)


def test_asked_checks_options_before_it_is_asked() -> None:
    with pytest.raises(FingerprintsError, match="not both"):
        PCAReduction.fit(points(20, 5), scope="asked")
