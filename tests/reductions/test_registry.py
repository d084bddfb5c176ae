"""Reductions by name, from settings and from disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState, load_fitted, save_fitted
from fingerprints.core.options import build_option, registered
from fingerprints.reductions.registry import fit_reduction, restore_reduction

POINTS = np.random.default_rng(0).normal(size=(40, 9)).astype(np.float32)
SETTINGS = [
    {"name": "none"},
    {"name": "pca", "variance": 0.9, "components": None},
    {"name": "pca", "variance": None, "components": 3},
    {"name": "pca", "variance": None, "components": 4, "scope": "asked"},
    {"name": "autoencoder", "latent": 2, "hidden": 5, "epochs": 2},
    {"name": "tsne", "perplexity": 5.0, "iterations": 250},
]


def fit(settings: dict, *, seed: int = 0):
    return fit_reduction(build_option("reduction", settings), POINTS, seed=seed)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_what_settings_make_survives_the_disk(settings: dict, tmp_path: Path) -> None:
    reduction = fit(settings, seed=3)
    assert reduction.name == settings["name"]
    save_fitted(reduction.state(), tmp_path, stem="reduction")
    again = restore_reduction(load_fitted(tmp_path, stem="reduction"))
    assert type(again) is type(reduction)
    assert again.describe() == reduction.describe()
    one, two = reduction.apply(POINTS[:30]), again.apply(POINTS[:30])
    assert one.dtype == np.float32
    assert one.shape == (30, reduction.describe()["components"])
    np.testing.assert_array_equal(one, two)


def test_every_reduction_is_here() -> None:
    known = registered("reduction")
    assert {*known} == {settings["name"] for settings in SETTINGS}
    made = [build_option("reduction", settings) for settings in SETTINGS]
    together = [settings for settings, kind in zip(SETTINGS, made, strict=True) if kind.transductive]
    assert [(s["name"], s.get("scope")) for s in together] == [("pca", "asked"), ("tsne", None)]


def test_none_changes_nothing() -> None:
    np.testing.assert_array_equal(fit({"name": "none"}).apply(POINTS), POINTS)


def test_the_seed_reaches_the_reduction() -> None:
    one, two = (fit(SETTINGS[4], seed=seed).apply(POINTS) for seed in (0, 1))
    assert not np.allclose(one, two)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(FingerprintsError, match="no reduction 'x'"):
        restore_reduction(FittedState("x"))


@pytest.mark.parametrize("name", ["pca", "autoencoder", "tsne"])
def test_constant_embeddings_are_refused(name: str) -> None:
    with pytest.raises(FingerprintsError, match="All 40 embeddings are the same"):
        fit_reduction(build_option("reduction", {"name": name}), np.ones_like(POINTS), seed=0)
