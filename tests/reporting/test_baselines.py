"""What the blind baselines of each task see, and on which images they are fitted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from skimage.feature import local_binary_pattern

from fingerprints.evidence.settings import EvidenceSettings
from fingerprints.reporting import baselines
from fingerprints.reporting.baselines import appearance_features

FEW = EvidenceSettings(permutations=9)


def test_appearance_is_a_thumbnail_and_the_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)
    monkeypatch.setattr(baselines, "_CHUNK", 2)  # chunks have edges
    features = appearance_features(images)
    assert features.shape == (3, 266)
    for row, image in zip(features, images, strict=True):
        assert row[:256].reshape(16, 16).mean() == pytest.approx(image.mean() / 255, abs=0.01)
        codes = local_binary_pattern(image, 8, 1, method="uniform").astype(int)
        assert row[256:] == pytest.approx(np.bincount(codes.ravel(), minlength=10) / codes.size)


def test_a_rule_of_the_test_part_alone_is_found_within_it(usage_root: Any, prepared: Any) -> None:
    """Used images of the test part, and only of it, are dark."""
    index, store = prepared(usage_root(), "usage")
    pixels = np.random.default_rng(0).integers(100, 140, store.images.shape, dtype=np.uint8)
    dark = index.table.index[(index.table["split"] == "test") & (index.table["label"] == "used")]
    pixels[dark] //= 2
    found = baselines.baselines(index, replace(store, images=pixels), "", settings=FEW, seed=0)
    for name in ("histogram", "appearance"):
        assert found[f"{name}_within_test"].metrics["accuracy"].value == 1
        assert found[name].metrics["accuracy"].value < 1  # type: ignore[operator]


def test_no_baseline_has_a_p_among_images(usage_root: Any, prepared: Any) -> None:
    index, store = prepared(usage_root(), "usage")
    index.table.loc[:, "group"] = index.table["group"].str[-1]  # several images of each
    found = baselines.baselines(index, store, "", settings=FEW, seed=0)
    assert {one.n_groups < one.n for one in found.values()} == {True}
    assert not any(one.image_nulls for one in found.values())


def test_few_groups_leave_a_reason_and_the_other_figures(usage_root: Any, prepared: Any) -> None:
    index, store = prepared(usage_root(), "usage")
    index.table.loc[index.table["split"] == "test", "group"] = index.table["label"]
    found = baselines.baselines(index, store, "", settings=FEW, seed=0)
    assert "has 1 group(s)" in str(found["file_within_test"].metrics["kappa"].reason)
    assert found["file"].metrics["kappa"].value is not None
