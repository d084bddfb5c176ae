"""The autoencoder learns, repeats, and has working options."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fingerprints.core.errors import FingerprintsError
from fingerprints.reductions.autoencoder import AutoencoderReduction
from fingerprints.reductions.pca import PCAReduction

OPTIONS = {"latent": 3, "hidden": 16, "epochs": 3, "batch_size": 32, "learning_rate": 3e-3}


def points(n: int = 200, *, seed: int = 0) -> np.ndarray:
    """A curved surface of three dimensions in twenty."""
    rng = np.random.default_rng(seed)
    inner = rng.normal(size=(n, 3))
    mix = np.random.default_rng(9).normal(size=(6, 20))
    return (4 + np.column_stack([inner, inner**2]) @ mix).astype(np.float32)


def test_learns_the_variance() -> None:
    own = points(200)
    trained = AutoencoderReduction.fit(own, **{**OPTIONS, "hidden": 64, "epochs": 60})
    untrained = AutoencoderReduction.fit(own, **{**OPTIONS, "hidden": 64, "epochs": 0})
    assert untrained.describe()["variance"] < 0.3 < 0.9 < trained.describe()["variance"] <= 1
    # A curved surface: three straight axes keep less.
    assert trained.variance > PCAReduction.fit(own, components=3).describe()["variance"]
    assert trained.apply(own).shape == (200, 3)
    assert trained.apply(own).dtype == np.float32
    assert trained.describe()["components"] == 3


def test_the_seed_decides_and_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one, two, three = (AutoencoderReduction.fit(points(), **OPTIONS, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(one.apply(points()), two.apply(points()))
    assert not np.allclose(one.apply(points()), three.apply(points()))


@pytest.mark.parametrize(
    "other",
    [{"latent": 2}, {"hidden": 8}, {"epochs": 4}, {"batch_size": 16}, {"learning_rate": 1e-3}],
    ids=str,
)
def test_each_option_changes_numbers(other: dict) -> None:
    one, two = (
        AutoencoderReduction.fit(points(), **o).apply(points()) for o in (OPTIONS, {**OPTIONS, **other})
    )
    assert one.shape != two.shape or not np.allclose(one, two, atol=1e-4)


@pytest.mark.parametrize("latent", [0, 21])
def test_latent_size_out_of_range(latent: int) -> None:
    with pytest.raises(FingerprintsError, match=rf"{latent} components(.|\n)*1 to 20"):
        AutoencoderReduction.fit(points(), latent=latent)


def test_divergence_is_an_error() -> None:
    with pytest.raises(FingerprintsError, match=r"diverged(.|\n)*learning_rate"):
        AutoencoderReduction.fit(points(), **{**OPTIONS, "learning_rate": 1e30})
