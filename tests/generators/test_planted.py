"""Planted copies: how many, of whom, and how they are changed."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.generators.planted import CHANGES, KINDS, PlantedCopy, plant

SIZE = 32
Images = NDArray[np.uint8]


def smooth(n: int, *, seed: int, size: int = SIZE) -> Images:
    """A blob on a grey field, between 70 and 180: a copy of any kind needs no clipping."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    blobs = [np.exp(-16 * ((y - a) ** 2 + (x - b) ** 2)) for a, b in rng.uniform(0.3, 0.7, (n, 2))]
    return (80 + 95 * np.stack(blobs)).round().astype(np.uint8)


def planted(
    n: int = 40,
    members: int = 12,
    *,
    fraction: float = 1.0,
    kinds: tuple[str, ...] = ("exact",),
    seed: int = 0,
) -> tuple[Images, Images, Images, list[PlantedCopy]]:
    generated, real = smooth(n, seed=1), smooth(members, seed=2)
    out, copies = plant(generated, real, fraction=fraction, kinds=kinds, seed=seed)
    return generated, real, out, copies


@pytest.mark.parametrize(("fraction", "count"), [(0.0, 0), (0.1, 4), (0.33, 13), (1.0, 40)])
def test_fraction_says_how_many_are_replaced_and_the_others_stay(fraction: float, count: int) -> None:
    generated, real, out, copies = planted(fraction=fraction)
    rows = [copy.row for copy in copies]
    assert len(rows) == len(set(rows)) == count
    assert rows == sorted(rows)
    assert (out.shape, out.dtype) == (generated.shape, np.uint8)
    others = np.setdiff1d(np.arange(40), rows)
    assert np.array_equal(out[others], generated[others])
    for copy in copies:
        assert np.array_equal(out[copy.row], real[copy.member])
        assert (copy.kind, copy.second) == ("exact", None)


def test_images_that_are_given_are_left_alone() -> None:
    generated, real, _, _ = planted(kinds=KINDS)
    assert np.array_equal(generated, smooth(40, seed=1))
    assert np.array_equal(real, smooth(12, seed=2))


@pytest.mark.parametrize(("count", "members"), [(40, 12), (12, 12), (5, 12), (36, 12), (7, 1)])
def test_members_are_used_evenly(count: int, members: int) -> None:
    _, _, _, copies = planted(count, members)
    used = Counter(copy.member for copy in copies)
    assert used.total() == count
    assert set(used) <= set(range(members))
    often = [used[member] for member in range(members)]
    assert max(often) - min(often) <= 1


def test_copies_lie_anywhere_and_members_come_in_any_order() -> None:
    _, _, _, copies = planted(200, 60, fraction=0.3)
    rows, members = [copy.row for copy in copies], [copy.member for copy in copies]
    assert rows[-1] > 150
    assert rows[0] < 50
    assert members != sorted(members)


@pytest.mark.parametrize("kind", KINDS)
def test_copy_of_each_kind_is_another_image_that_is_still_much_like_its_member(kind: str) -> None:
    _, real, out, copies = planted(kinds=(kind,))
    assert {copy.kind for copy in copies} == {kind}
    for copy in copies:
        changed, original = out[copy.row], real[copy.member]
        assert np.array_equal(changed, original) == (kind == "exact")
        assert (copy.second is None) == (kind != "blend")
        assert np.corrcoef(changed.ravel(), original.ravel())[0, 1] > (0.9 if kind != "blend" else 0.5)


def test_exact_copy_keeps_every_grey_level() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    out, _ = plant(np.zeros_like(ramp), ramp, fraction=1, kinds=["exact"], seed=0)
    assert np.array_equal(out, ramp)


def test_noise_is_independent_for_every_pixel_and_of_three_hundredths() -> None:
    _, real, out, copies = planted(kinds=("noise",))
    changes = np.stack([out[copy.row].astype(float) - real[copy.member] for copy in copies])
    assert changes.std() == pytest.approx(0.03 * 255, rel=0.03)
    assert changes.mean() == pytest.approx(0, abs=0.2)
    right = np.corrcoef(changes[:, :, 1:].ravel(), changes[:, :, :-1].ravel())[0, 1]
    assert right == pytest.approx(0, abs=0.03)
    assert np.corrcoef(changes[0].ravel(), changes[1].ravel())[0, 1] == pytest.approx(0, abs=0.15)


@pytest.mark.parametrize(("size", "reach"), [(16, 1), (32, 2), (64, 3), (128, 6)])
def test_shift_is_by_whole_pixels_along_both_axes_and_edges_repeat(size: int, reach: int) -> None:
    rng = np.random.default_rng(0)
    member = rng.integers(0, 256, (1, size, size)).astype(np.uint8)
    out, _ = plant(np.zeros((80, size, size), np.uint8), member, fraction=1, kinds=["shift"], seed=0)
    steps = [step for step in range(-reach, reach + 1) if step]
    candidates = {}
    padded = np.pad(member[0], reach, mode="edge")
    for down, right in itertools.product(steps, repeat=2):
        part = padded[reach + down : reach + down + size, reach + right : reach + right + size]
        candidates[part.tobytes()] = (down, right)
    found = {candidates[image.tobytes()] for image in out}
    assert {down for down, _ in found} == {right for _, right in found} == set(steps)


def test_contrast_is_a_factor_about_the_mean_either_way() -> None:
    _, real, out, copies = planted(kinds=("contrast",))
    factors = []
    for copy in copies:
        changed, original = out[copy.row].astype(float), real[copy.member].astype(float)
        assert changed.mean() == pytest.approx(original.mean(), abs=0.25)
        factors.append(changed.std() / original.std())
    assert all(0.745 < factor < 0.905 or 1.095 < factor < 1.255 for factor in factors)
    assert min(factors) < 0.95
    assert max(factors) > 1.05


def turned(image: Images, degrees: float) -> NDArray[np.float64]:
    """Bilinear interpolation about the centre, by hand; edges repeat."""
    size = len(image)
    centre, angle = (size - 1) / 2, np.deg2rad(degrees)
    y, x = np.mgrid[:size, :size] - centre
    rows = np.clip(np.cos(angle) * y - np.sin(angle) * x + centre, 0, size - 1)
    columns = np.clip(np.sin(angle) * y + np.cos(angle) * x + centre, 0, size - 1)
    top, left = (np.minimum(part.astype(int), size - 2) for part in (rows, columns))
    down, right = rows - top, columns - left
    pixels = image.astype(float)
    upper = (1 - right) * pixels[top, left] + right * pixels[top, left + 1]
    lower = (1 - right) * pixels[top + 1, left] + right * pixels[top + 1, left + 1]
    return (1 - down) * upper + down * lower


def test_rotation_is_by_two_to_eight_degrees_either_way_about_the_centre() -> None:
    member = np.random.default_rng(0).integers(0, 256, (1, 25, 25)).astype(np.uint8)
    out, _ = plant(np.zeros((40, 25, 25), np.uint8), member, fraction=1, kinds=["rotation"], seed=0)
    angles = np.arange(-10, 10.01, 0.1)
    candidates = np.stack([turned(member[0], angle) for angle in angles])
    found = []
    for image in out:
        errors = np.abs(candidates - image).mean(axis=(1, 2))
        assert errors.min() < 1.5  # the true angle is within 0.05 of one of them
        found.append(angles[errors.argmin()])
        assert image[12, 12] == member[0, 12, 12]
    assert all(1.9 < abs(angle) < 8.1 for angle in found)
    assert min(found) < -5
    assert max(found) > 5
    assert min(map(abs, found)) < 3.5


def test_rotation_brings_in_no_grey_level_beyond_those_of_the_image() -> None:
    _, real, out, copies = planted(kinds=("rotation",))
    for copy in copies:
        assert real[copy.member].min() <= out[copy.row].min()
        assert out[copy.row].max() <= real[copy.member].max()


@pytest.mark.parametrize("members", [2, 12])
def test_blend_is_more_of_its_member_and_less_of_a_second_one(members: int) -> None:
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (members, 16, 16)).astype(np.uint8)
    out, copies = plant(np.zeros((60, 16, 16), np.uint8), real, fraction=1, kinds=["blend"], seed=0)
    shares = []
    for copy in copies:
        assert copy.second in set(range(members)) - {copy.member}
        first, second = real[copy.member].astype(float), real[copy.second].astype(float)
        share = ((out[copy.row] - second) * (first - second)).sum() / np.square(first - second).sum()
        assert (
            np.abs(share * first + (1 - share) * second - out[copy.row]).max() < 0.75
        )  # it was rounded, and so is the share
        shares.append(share)
    assert 0.498 < min(shares) < 0.53
    assert 0.67 < max(shares) < 0.702
    assert {copy.second for copy in copies} == set(range(members))


def test_blend_of_a_single_training_image_is_refused_unless_nothing_is_planted() -> None:
    with pytest.raises(FingerprintsError, match="needs two training images") as error:
        planted(members=1, kinds=("exact", "blend"))
    assert error.value.where == "planted.kinds"
    generated, _, out, copies = planted(members=1, kinds=("blend",), fraction=0.0)
    assert copies == []
    assert np.array_equal(out, generated)


def test_every_kind_of_one_image_has_its_change() -> None:
    assert set(KINDS) - set(CHANGES) == {"blend"}


def test_bright_and_dark_copies_are_clipped_not_wrapped() -> None:
    real = np.tile(np.array([[0, 255]], np.uint8), (1, SIZE, SIZE // 2))
    out, _ = plant(
        np.zeros((60, SIZE, SIZE), np.uint8), real, fraction=1, kinds=["contrast", "noise"], seed=0
    )
    assert (np.abs(out.astype(int) - real.astype(int)) < 60).all()


def test_each_copy_is_of_one_kind_at_random() -> None:
    _, _, _, copies = planted(400, kinds=KINDS)
    often = Counter(copy.kind for copy in copies)
    assert set(often) == set(KINDS)
    assert all(40 < count < 95 for count in often.values())


def test_seed_decides_everything() -> None:
    first, again, other = (planted(fraction=0.5, kinds=KINDS, seed=seed)[2:] for seed in (3, 3, 4))
    assert first[1] == again[1]
    assert np.array_equal(first[0], again[0])
    assert [copy.row for copy in first[1]] != [copy.row for copy in other[1]]
    assert [copy.member for copy in first[1]] != [copy.member for copy in other[1]]
