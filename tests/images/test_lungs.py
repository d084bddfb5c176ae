from __future__ import annotations

import numpy as np
import pytest

from fingerprints.images.lungs import lung_mask, lung_masks
from fingerprints.images.masks import dice


@pytest.mark.parametrize("side", [32, 64, 128, 256, 300, 512])
def test_lungs_of_a_drawn_chest(chest, side):
    image, lungs = chest(side)
    assert dice(lung_mask(image), lungs) > (0.93 if side == 32 else 0.96)


@pytest.mark.parametrize(("dark", "bright"), [(0, 100), (90, 255), (10, 60)])
def test_the_window_does_not_matter(chest, dark, bright):
    image, lungs = chest(dark=dark, bright=bright)
    assert dice(lung_mask(image), lungs) > 0.96


def test_vessels_are_filled_and_the_windpipe_is_left_out(chest):
    image, _ = chest(256)
    mask = lung_mask(image)
    assert image[115, 77] > 150
    assert mask[115, 77]
    assert image[102, 128] < 100
    assert not mask[102, 128]


def test_air_around_the_body_is_none_of_it(chest):
    image, _ = chest(128)
    mask = lung_mask(image)
    assert not mask[[0, -1]].any()
    assert image[[0, -1]].max() < 30


def test_a_lung_at_the_border_is_kept_and_a_strip_of_air_is_not(chest):
    image, _ = chest(128)
    cut = image[:, 24:100]
    square = np.pad(cut, ((0, 0), (0, 52)), constant_values=200)
    mask = lung_mask(square)
    assert square[64, 0] < 100
    assert mask[64, 0]
    strip = np.full((128, 128), 200, np.uint8)
    strip[:6, 10:118] = 20
    assert not lung_mask(strip).any()


@pytest.mark.parametrize("side", [1, 2, 32, 65])
def test_pictures_without_lungs_are_empty(side):
    rng = np.random.default_rng(0)
    assert not lung_mask(np.full((side, side), 7, np.uint8)).any()
    mask = lung_mask(rng.integers(0, 256, (side, side)).astype(np.uint8))
    assert mask.shape == (side, side)
    assert mask.dtype == bool


def test_many_are_each_by_itself(chest):
    images = np.stack([chest(64, seed=seed)[0] for seed in range(3)])
    assert np.array_equal(lung_masks(images)[2], lung_mask(images[2]))
    assert lung_masks(images[:0]).shape == (0, 64, 64)
