"""Figures of a generator, against loops and scikit-learn."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist
from sklearn.neighbors import NearestNeighbors

from fingerprints.core.errors import FingerprintsError
from fingerprints.generators.quality import (
    FLOOR,
    Quality,
    below_floor,
    coverage,
    mean_distance,
    nearest,
    precision,
    quality,
    roughness,
    two_sample,
)

SIZE = 8
Points = NDArray[np.float32]
Images = NDArray[np.uint8]


def points(n: int, *, seed: int, d: int = 6, centre: float = 0.0) -> Points:
    return (centre + np.random.default_rng(seed).standard_normal((n, d))).astype(np.float32)


def images(n: int, *, seed: int, low: int = 0, high: int = 256) -> Images:
    return np.random.default_rng(seed).integers(low, high, (n, SIZE, SIZE)).astype(np.uint8)


def vectors(pictures: Images) -> NDArray[np.float64]:
    return pictures.reshape(len(pictures), -1) / 255


def distance(first: Any, second: Any) -> float:
    return sum((float(a) - float(b)) ** 2 for a, b in zip(first, second, strict=True)) ** 0.5


def naive_coverage(made: Any, real: Any, k: int = 5) -> float:
    covered = 0
    for i, point in enumerate(real):
        to_real = sorted(distance(point, other) for j, other in enumerate(real) if j != i)
        reach = to_real[min(k, len(to_real)) - 1]
        covered += min(distance(point, other) for other in made) <= reach
    return covered / len(real)


def naive_precision(made: Any, real: Any, k: int = 5) -> float:
    reaches = []
    for i, point in enumerate(real):
        to_real = sorted(distance(point, other) for j, other in enumerate(real) if j != i)
        reaches.append(to_real[min(k, len(to_real)) - 1])
    inside = 0
    for point in made:
        inside += any(distance(point, other) <= reach for other, reach in zip(real, reaches, strict=True))
    return inside / len(made)


def reference_accuracy(first: Any, second: Any) -> tuple[float, float, float]:
    both = np.concatenate([first, second])
    own = np.repeat([True, False], [len(first), len(second)])
    neighbours = NearestNeighbors(n_neighbors=1).fit(both).kneighbors(return_distance=False)[:, 0]
    right = own[neighbours] == own
    return right.mean(), right[own].mean(), right[~own].mean()


class TestAgainstReferences:
    def test_two_sample_is_that_of_nearest_neighbours(self) -> None:
        for seed, centre in ((0, 0.0), (1, 0.5), (2, 1.5)):
            first, second = points(40, seed=seed), points(40, seed=seed + 10, centre=centre)
            found = two_sample(first, second)
            assert (found.accuracy, found.first, found.second) == reference_accuracy(first, second)
            assert found.n == 40

    def test_nearest_is_that_of_loops(self) -> None:
        queries, others = points(20, seed=0), points(31, seed=1)
        expected = [min(distance(query, other) for other in others) for query in queries]
        assert nearest(queries, others) == pytest.approx(expected, rel=1e-4)

    def test_mean_distance_is_that_of_all_pairs(self) -> None:
        some = points(33, seed=0)
        assert mean_distance(some) == pytest.approx(pdist(some.astype(float)).mean(), rel=1e-5)

    def test_coverage_is_that_of_loops(self) -> None:
        real = points(40, seed=0)
        found = []
        for seed, n, centre in ((1, 40, 0.0), (2, 10, 0.5), (3, 40, 2.0), (4, 3, 0.0)):
            made = points(n, seed=seed, centre=centre)
            found.append(coverage(made, real))
            assert found[-1] == naive_coverage(made, real)
        assert coverage(points(10, seed=1), real, k=2) == naive_coverage(points(10, seed=1), real, 2)
        assert len(set(found)) == 4

    def test_precision_is_that_of_loops(self) -> None:
        real = points(40, seed=0)
        found = []
        for seed, n, centre in ((1, 40, 0.0), (2, 11, 0.7), (3, 40, 1.5), (4, 3, 0.0)):
            made = points(n, seed=seed, centre=centre)
            found.append(precision(made, real))
            assert found[-1] == naive_precision(made, real)
        assert precision(points(20, seed=1), real, k=2) == naive_precision(points(20, seed=1), real, 2)
        assert precision(made, points(3, seed=5)) == naive_precision(made, points(3, seed=5))
        assert len(set(found)) > 2

    def test_whole_is_made_of_its_parts(self) -> None:
        generated, training, kept_out = (images(30, seed=seed) for seed in range(3))
        generated[:10] = np.clip(training[:10].astype(int) + images(10, seed=7, high=30), 0, 255)
        made, known, unseen = vectors(generated), vectors(training), vectors(kept_out)
        found = quality(generated, training, kept_out, kind="other_groups", seed=0)
        two, real = found.two_sample, found.two_sample_real
        assert (two.accuracy, two.first, two.second) == reference_accuracy(made, unseen)
        assert (real.accuracy, real.first, real.second) == reference_accuracy(known, unseen)
        assert found.diversity == pytest.approx(pdist(made).mean() / pdist(known).mean(), rel=1e-5)
        assert found.coverage == naive_coverage(made, known)
        assert found.precision == naive_precision(made, unseen)
        assert found.precision_real == naive_precision(known, unseen)
        steps = [
            np.square(np.diff(x.reshape(30, SIZE, SIZE), axis=axis)) for x in (made, known) for axis in (1, 2)
        ]
        rough = [step.mean() for step in steps]
        assert found.sharpness == pytest.approx((rough[0] + rough[1]) / (rough[2] + rough[3]), rel=1e-5)
        nearer = cdist(made, known).min(1) < cdist(made, unseen).min(1)
        assert nearer[:10].all()
        assert found.nearer_to_training == nearer.mean()
        assert (found.kept_out, found.collapsed) == ("other_groups", False)


def test_sets_of_one_distribution_cannot_be_told_apart() -> None:
    found = two_sample(points(400, seed=0), points(400, seed=1))
    assert found.accuracy == pytest.approx(0.5, abs=0.07)
    assert found.first == pytest.approx(0.5, abs=0.1)
    assert found.second == pytest.approx(0.5, abs=0.1)


def test_separate_sets_are_told_apart_without_fail() -> None:
    found = two_sample(points(50, seed=0), points(50, seed=1, centre=20))
    assert (found.accuracy, found.first, found.second) == (1, 1, 1)


def test_jittered_copy_is_nearer_to_its_original_than_that_to_its_own_set() -> None:
    first = points(100, seed=0)
    assert two_sample(first, first + 0.01 * points(100, seed=1)).accuracy < 0.2


def test_collapsed_set_in_the_middle_of_the_other_is_nearest_to_both() -> None:
    spread, alike = points(60, seed=0, d=100), 0.001 * points(60, seed=1, d=100)
    found = two_sample(spread, alike)
    assert found.second == 1
    assert found.first < 0.2


def test_coverage_is_full_for_copies_and_low_where_a_kind_is_missing() -> None:
    real = np.concatenate([points(30, seed=0), points(10, seed=1, centre=30)])
    assert coverage(real + 0.001, real) == 1
    assert coverage(points(200, seed=2), real) <= 0.75
    assert coverage(points(40, seed=2, centre=-50), real) == 0
    assert coverage(points(3, seed=3), points(2, seed=4)) in (0, 0.5, 1)


@pytest.mark.parametrize("copied", ["training", "kept out"])
def test_nearer_to_training_tells_what_was_copied(copied: str) -> None:
    training, kept_out = images(40, seed=0), images(40, seed=1)
    source = training if copied == "training" else kept_out
    generated = np.clip(source.astype(int) + images(40, seed=2, high=8), 0, 255).astype(np.uint8)
    found = quality(generated, training, kept_out, kind="same_groups", seed=0)
    assert found.nearer_to_training == (copied == "training")
    assert found.coverage == 1 or copied == "kept out"
    assert (found.two_sample.accuracy < 0.2) == (copied == "kept out")


def test_images_of_one_kind_score_as_training_images_do() -> None:
    generated, training, kept_out = (images(300, seed=seed) for seed in range(3))
    found = quality(generated, training, kept_out, kind="same_groups", seed=0)
    assert found.nearer_to_training == pytest.approx(0.5, abs=0.1)
    assert found.diversity == pytest.approx(1, abs=0.02)
    assert found.two_sample.accuracy == pytest.approx(found.two_sample_real.accuracy, abs=0.1)
    assert not found.collapsed


def test_image_as_near_to_either_counts_half() -> None:
    same, generated = images(20, seed=0), images(20, seed=1)
    assert quality(generated, same, same, kind="same_groups", seed=0).nearer_to_training == 0.5


@pytest.mark.parametrize("spread", [0, 30])
def test_collapse_is_flagged(spread: int) -> None:
    one = images(1, seed=0, low=60, high=200)
    generated = (one + images(30, seed=1, high=spread + 1)).astype(np.uint8)
    found = quality(generated, images(30, seed=2), images(30, seed=3), kind="same_groups", seed=0)
    assert found.collapsed
    assert found.diversity == pytest.approx(
        pdist(vectors(generated)).mean() / pdist(vectors(images(30, seed=2))).mean(), abs=0.01
    )
    assert found.line().endswith("COLLAPSED: its images are too similar to each other")


def test_every_comparison_is_between_as_many() -> None:
    generated, training, kept_out = images(50, seed=0), images(30, seed=1), images(12, seed=2)
    found = quality(generated, training, kept_out, kind="same_groups", seed=0)
    assert found.two_sample.n == found.two_sample_real.n == 12
    limited = quality(generated, training, kept_out, kind="same_groups", seed=0, limit=5)
    assert limited.two_sample.n == limited.two_sample_real.n == 5


def test_choice_is_the_seeds() -> None:
    sets = images(50, seed=0), images(40, seed=1), images(20, seed=2)
    first, again = (quality(*sets, kind="same_groups", seed=3) for _ in range(2))
    assert first == again
    assert any(quality(*sets, kind="same_groups", seed=seed) != first for seed in range(4, 8))


def test_small_distances_between_large_images_survive_single_precision() -> None:
    rng = np.random.default_rng(0)
    training, kept_out = (rng.integers(100, 256, (20, 64, 64)).astype(np.uint8) for _ in range(2))
    generated = training.copy()
    generated[:, 0, 0] ^= 1
    found = quality(generated, training, kept_out, kind="same_groups", seed=0)
    assert found.nearer_to_training == 1
    assert found.coverage == 1
    assert two_sample(*(vectors(x).astype(np.float32) for x in (generated, training))).accuracy == 0


@pytest.mark.parametrize("counts", [(1, 5, 5), (5, 1, 5), (5, 5, 1), (5, 5, 0)])
def test_single_image_has_no_quality(counts: tuple[int, int, int]) -> None:
    sets = [images(n, seed=n) for n in counts]
    message = f"{counts[0]} generated, {counts[1]} training and {counts[2]} kept-out"
    with pytest.raises(FingerprintsError, match=message):
        quality(*sets, kind="same_groups", seed=0)


def test_two_images_of_each_kind_are_enough() -> None:
    sets = [images(2, seed=seed) for seed in range(3)]
    assert 0 <= quality(*sets, kind="same_groups", seed=0).two_sample.accuracy <= 1


def test_training_images_that_are_all_one_do_not_divide_by_nothing() -> None:
    same = np.repeat(images(1, seed=0), 10, axis=0)
    found = quality(images(10, seed=1), same, images(10, seed=2), kind="same_groups", seed=0)
    assert np.isfinite(found.diversity)
    assert not found.collapsed


def test_description_is_plain_and_rounded() -> None:
    found = quality(*(images(9, seed=seed) for seed in range(3)), kind="same_groups", seed=0)
    described = json.loads(json.dumps(found.describe()))
    assert described["two_sample"]["accuracy"] == round(found.two_sample.accuracy, 4)
    assert described["diversity"] == round(found.diversity, 4)
    assert set(described) == set(Quality.__dataclass_fields__)
    assert f"accuracy {found.two_sample.accuracy:.2f}" in found.line()
    assert "kept-out images of same groups" in found.line()
    assert "COLLAPSED" not in found.line()


SIDE = 16


def blurred(pictures: Images, times: int) -> Images:
    """Each pixel the mean of its neighbourhood, again and again; the grey range is left alone."""
    soft = pictures.astype(float)
    for _ in range(times):
        padded = np.pad(soft, ((0, 0), (1, 1), (1, 1)), mode="edge")
        soft = sum(padded[:, y : y + SIDE, x : x + SIDE] for y in range(3) for x in range(3)) / 9
    return soft.round().astype(np.uint8)


def bodies(n: int, *, seed: int) -> Images:
    """A bright ellipse of its own place and extent in each image, with a fine grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    made = []
    for a, b, high, wide in rng.uniform([0.4, 0.4, 0.2, 0.2], [0.6, 0.6, 0.4, 0.4], (n, 4)):
        inside = ((y - a) / high) ** 2 + ((x - b) / wide) ** 2 < 1
        made.append(40 + 140 * inside + rng.normal(0, 6, (SIDE, SIDE)))
    return np.clip(made, 0, 255).round().astype(np.uint8)


def figures_of(generated: Images) -> Quality:
    return quality(generated, bodies(200, seed=1), bodies(200, seed=2), kind="same_groups", seed=0)


def test_real_images_are_above_the_floor_in_every_figure() -> None:
    found = figures_of(bodies(200, seed=0))
    assert found.below_floor == ()
    assert "BELOW" not in found.line()
    assert found.precision == pytest.approx(found.precision_real, abs=0.1)
    assert found.sharpness == pytest.approx(1, abs=0.1)


def test_noise_is_caught_as_unlike_any_real_image() -> None:
    rng = np.random.default_rng(0)
    found = figures_of(rng.integers(0, 256, (200, SIDE, SIDE)).astype(np.uint8))
    assert set(found.below_floor) >= {"two_sample", "precision", "sharpness"}
    assert found.precision == 0
    assert found.line().endswith(f"; BELOW THE FLOOR: {', '.join(found.below_floor)}")


def test_noise_over_real_images_is_caught_by_precision_and_sharpness() -> None:
    noisy = bodies(200, seed=0) + np.random.default_rng(0).normal(0, 40, (200, SIDE, SIDE))
    found = figures_of(np.clip(noisy, 0, 255).astype(np.uint8))
    assert set(found.below_floor) >= {"precision", "sharpness"}
    assert found.sharpness > 1.5


def test_blur_is_caught_by_sharpness() -> None:
    found = figures_of(blurred(bodies(200, seed=0), 4))
    assert "sharpness" in found.below_floor
    assert found.sharpness < 0.25


def test_collapse_is_caught_by_diversity_and_coverage() -> None:
    found = figures_of(np.repeat(bodies(4, seed=0), 50, axis=0)[:200] // 2 + bodies(1, seed=9) // 2)
    assert {"diversity", "coverage"} <= set(found.below_floor)
    assert found.line().endswith("too similar to each other") == found.collapsed


def test_missing_half_of_the_kinds_is_caught_by_coverage() -> None:
    def two_kinds(seed: int) -> Images:
        return np.concatenate([bodies(100, seed=seed), 255 - bodies(100, seed=seed + 50)])

    one, rest = bodies(200, seed=0), (two_kinds(1), two_kinds(2))
    found = quality(one, *rest, kind="same_groups", seed=0)
    assert "coverage" not in quality(two_kinds(3), *rest, kind="same_groups", seed=0).below_floor
    assert found.coverage <= 0.5
    assert found.precision > 0.85 * found.precision_real


FINE = {"two_sample": 0.7, "precision": 0.9, "diversity": 1.0, "coverage": 0.8, "sharpness": 1.0}


@pytest.mark.parametrize("name", FLOOR)
def test_each_figure_has_a_floor_of_its_own(name: str) -> None:
    least, most = FLOOR[name]
    assert below_floor(precision_real=1.0, **FINE) == ()
    for edge, step in ((least, -0.01), (most, 0.01)):
        if edge != float("inf"):
            assert below_floor(precision_real=1.0, **{**FINE, name: edge}) == ()
            assert below_floor(precision_real=1.0, **{**FINE, name: edge + step}) == (name,)


def test_precision_counts_as_a_share_of_that_of_the_training_images() -> None:
    low = {**FINE, "precision": 0.5}
    assert below_floor(precision_real=1.0, **low) == ("precision",)
    assert below_floor(precision_real=0.55, **low) == ()
    assert below_floor(precision_real=0.0, **{**FINE, "precision": 0.0}) == ("precision",)


def test_roughness_is_that_of_loops_and_of_flat_images_nothing() -> None:
    some = images(3, seed=0)
    down = [
        (int(p[y + 1, x]) - int(p[y, x])) ** 2 for p in some for y in range(SIZE - 1) for x in range(SIZE)
    ]
    across = [
        (int(p[y, x + 1]) - int(p[y, x])) ** 2 for p in some for y in range(SIZE) for x in range(SIZE - 1)
    ]
    expected = (sum(down) / len(down) + sum(across) / len(across)) / 255**2
    assert roughness(some) == pytest.approx(expected, rel=1e-5)
    assert roughness(np.full((2, SIZE, SIZE), 9, np.uint8)) == 0
