"""Distances against naive loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from fingerprints.decisions import distances
from fingerprints.decisions.distances import distance_to_set, euclidean


def vectors(seed: int, n: int, d: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def naive(
    queries: np.ndarray, references: np.ndarray, nearest: int | None, leave_one_out: bool
) -> list[float]:
    out = []
    for i, query in enumerate(queries):
        own = [
            float(np.sqrt(sum((float(a) - float(b)) ** 2 for a, b in zip(query, reference, strict=True))))
            for j, reference in enumerate(references)
            if not (leave_one_out and i == j)
        ]
        out.append(float(np.mean(sorted(own)[:nearest])))
    return out


def test_euclidean_agrees_with_scipy() -> None:
    left, right = vectors(0, 7), vectors(1, 5)
    np.testing.assert_allclose(euclidean(left, right), cdist(left, right), rtol=1e-5)
    assert euclidean(left, right).dtype == np.float32


def test_distance_to_itself_is_near_zero_and_never_nan() -> None:
    unit = vectors(0, 200, 64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    own = np.diag(euclidean(unit, unit))
    assert np.isfinite(own).all()
    assert own.max() < 2e-3


@pytest.mark.parametrize("nearest", [None, 1, 3, 50])
@pytest.mark.parametrize("leave_one_out", [False, True])
@pytest.mark.parametrize("cells", [9, 30, 10_000])
def test_distance_to_set_agrees_with_loops(
    monkeypatch: pytest.MonkeyPatch, nearest: int | None, leave_one_out: bool, cells: int
) -> None:
    monkeypatch.setattr(distances, "CELLS", cells)
    references = vectors(1, 9)
    queries = references if leave_one_out else vectors(0, 7)
    found = distance_to_set(queries, references, nearest=nearest, leave_one_out=leave_one_out)
    np.testing.assert_allclose(found, naive(queries, references, nearest, leave_one_out), rtol=1e-4)


def test_copies_are_neighbours_when_an_image_is_left_out() -> None:
    references = np.repeat(vectors(1, 3), 2, axis=0)
    found = distance_to_set(references, references, nearest=1, leave_one_out=True)
    assert found.max() < 5e-3
