"""Figures of copying, against loops over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans

from fingerprints.core.errors import FingerprintsError
from fingerprints.evidence.copying import copying, data_copying


def sets(seed: int = 0, *, copied: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Generated, training and held-out points of one distribution with two cells and few points elsewhere."""
    rng = np.random.default_rng(seed)

    def draw(count: int) -> np.ndarray:
        return rng.normal(size=(count, 4)) + 8.0 * (np.arange(count) % 2)[:, None]

    generated, training, held_out = draw(40), draw(30), draw(36)
    generated[:copied] = training[rng.integers(0, 30, copied)] + 0.01 * rng.normal(size=(copied, 4))
    return generated, training, held_out


def near(point: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.sort([np.sqrt(((point - other) ** 2).sum()) for other in others])


def test_the_statistic_against_all_pairs() -> None:
    generated, training, held_out = sets(copied=15)
    found, counted = data_copying(generated, training, held_out, cells=2, seed=0)
    cells = KMeans(2, n_init=4, random_state=0).fit(training)
    total = weights = 0.0
    for cell in (0, 1):
        inside = training[cells.labels_ == cell]
        made = [near(point, inside)[0] for point in generated[cells.predict(generated) == cell]]
        usual = [near(point, inside)[0] for point in held_out[cells.predict(held_out) == cell]]
        u = sum((a > b) + 0.5 * (a == b) for a in made for b in usual)
        n, k = len(made), len(usual)
        total += k * (u - n * k / 2) / np.sqrt(n * k * (n + k + 1) / 12)
        weights += k
    assert found == pytest.approx(total / weights)
    assert counted == 2


def test_the_other_figures_against_all_pairs() -> None:
    generated, training, held_out = sets(copied=15)
    found = copying(generated, training, held_out, cells=2)
    for some, authenticity, ratio in (
        (generated, found.authenticity, found.ratio),
        (held_out, found.authenticity_held_out, found.ratio_held_out),
    ):
        authentic, ratios = [], []
        for point in some:
            distances = near(point, training)
            nearest = min(training, key=lambda other: ((point - other) ** 2).sum())
            authentic.append(distances[0] > near(nearest, training)[1])
            ratios.append(distances[0] / distances[1])
        assert authenticity == pytest.approx(np.mean(authentic))
        assert ratio == pytest.approx(np.median(ratios))


def test_copies_are_seen_and_words_say_so() -> None:
    plain, copied = copying(*sets(), cells=2), copying(*sets(copied=30), cells=2)
    assert plain.z is not None
    assert copied.z is not None
    assert abs(plain.z) < 2 < -copied.z
    assert copied.authenticity < 0.2 < plain.authenticity
    assert copied.ratio < 0.1 < plain.ratio
    assert f"z {copied.z:.2f} over 2 cells" in copied.line()
    assert copied.describe()["cells"] == 2


def test_cells_with_few_images_do_not_count() -> None:
    generated, training, held_out = sets()
    assert data_copying(generated[:6], training, held_out, cells=2, seed=0) == (None, 0)
    assert "no cell has enough images" in copying(generated[:6], training, held_out, cells=2).line()
    with pytest.raises(FingerprintsError, match="three training images"):
        copying(generated, training[:2], held_out)
    exact = copying(training[:5].repeat(2, axis=0), training, held_out, cells=2)
    assert exact.ratio == 0
