"""Augmentation of what the discriminator sees: exact changes, with gradients, from the draws alone."""

from __future__ import annotations

import itertools
from math import floor

import pytest
import torch
from torch import Tensor

from fingerprints.generators.diff_augment import augment, draw_changes
from fingerprints.generators.settings import DiffAugment

SIDE = 12
OFF = {"brightness": 0.0, "contrast": 0.0, "translation": 0.0, "cutout": 0.0}
EVERYTHING = {"brightness": 0.3, "contrast": 0.5, "translation": 0.25, "cutout": 0.5}
EACH = [{name: value} for name, value in EVERYTHING.items()]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 6, *, side: int = SIDE) -> Tensor:
    return torch.rand(n, 1, side, side, generator=rng(99)) * 1.6 - 0.8


def only(options: dict[str, float]) -> DiffAugment:
    return DiffAugment(**{**OFF, **options})


def change(settings: DiffAugment, images: Tensor, seed: int = 0) -> Tensor:
    return augment(images, draw_changes(len(images), rng(seed)), settings=settings)


def naive(images: Tensor, settings: DiffAugment, draws: Tensor) -> Tensor:
    side, changed = images.shape[-1], []
    for image, d in zip(images[:, 0].double().tolist(), draws.double().tolist(), strict=True):
        shift = 2 * settings.brightness * (d[0] - 0.5)
        image = [[value + shift for value in row] for row in image]
        mean = sum(map(sum, image)) / side**2
        factor = 1 + settings.contrast * (d[1] - 0.5)
        image = [[(value - mean) * factor + mean for value in row] for row in image]
        reach = round(settings.translation * side)
        down, right = (min(floor(x * (2 * reach + 1)), 2 * reach) - reach for x in d[2:4])
        moved = [[-1.0] * side for _ in range(side)]
        for y, x in itertools.product(range(side), repeat=2):
            if 0 <= y + down < side and 0 <= x + right < side:
                moved[y][x] = image[y + down][x + right]
        hole = round(settings.cutout * side)
        top, left = (floor(x * side) - hole // 2 for x in d[4:6])
        for y, x in itertools.product(range(top, top + hole), range(left, left + hole)):
            if 0 <= y < side and 0 <= x < side:
                moved[y][x] = 0.0
        changed.append([moved])
    return torch.tensor(changed)


def test_off_is_the_identity() -> None:
    images = pictures()
    assert torch.equal(change(only({}), images), images)


def test_switched_off_it_is_the_identity_whatever_its_ranges() -> None:
    images = pictures()
    assert torch.equal(change(DiffAugment(**EVERYTHING, enabled=False), images), images)
    assert not torch.equal(change(DiffAugment(**EVERYTHING), images), images)


def test_image_is_changed_by_its_own_draws_in_whatever_share_of_the_batch_it_is() -> None:
    images, settings = pictures(8), only(EVERYTHING)
    draws = draw_changes(8, rng())
    whole = augment(images, draws, settings=settings)
    for rank in range(2):
        assert torch.allclose(
            augment(images[rank::2], draws[rank::2], settings=settings), whole[rank::2], atol=1e-6
        )


@pytest.mark.parametrize("options", [*EACH, EVERYTHING], ids=lambda o: "+".join(o))
class TestEvery:
    def test_is_that_of_loops_with_the_same_draws(self, options: dict) -> None:
        images, settings = pictures(20), only(options)
        draws = torch.rand(20, 6, generator=rng(4))
        assert torch.equal(draw_changes(20, rng(4)), draws)
        assert torch.allclose(
            augment(images, draws, settings=settings), naive(images, settings, draws), atol=1e-5
        )

    def test_is_a_function_of_the_draws_alone(self, options: dict) -> None:
        images, settings, state = pictures(), only(options), torch.get_rng_state()
        first = change(settings, images, 1)
        assert torch.equal(torch.get_rng_state(), state)
        torch.rand(3)
        assert torch.equal(change(settings, images, 1), first)
        assert not torch.equal(change(settings, images, 2), first)
        assert not torch.equal(first, images)

    def test_second_draws_of_a_generator_are_others(self, options: dict) -> None:
        images, settings, shared = pictures(), only(options), rng(1)
        first, second = (augment(images, draw_changes(6, shared), settings=settings) for _ in range(2))
        assert not torch.equal(first, second)

    def test_leaves_its_input(self, options: dict) -> None:
        images = pictures()
        before = images.clone()
        change(only(options), images)
        assert torch.equal(images, before)

    def test_images_of_a_batch_are_changed_each_in_its_way_whatever_comes_after(self, options: dict) -> None:
        image, settings = pictures(1), only(options)
        changed = change(settings, image.repeat(12, 1, 1, 1), 3)
        assert len({tuple(one.flatten().tolist()) for one in changed}) > 6
        # Real and generated images go through in one batch: the halves get draws of their own.
        assert sum(torch.equal(changed[row], changed[row + 6]) for row in range(6)) <= 1
        companions = torch.cat([image.repeat(5, 1, 1, 1), pictures(7)])
        assert torch.equal(change(settings, companions, 3)[:5], changed[:5])
        assert torch.equal(change(settings, image.repeat(5, 1, 1, 1), 3), changed[:5])

    def test_gradients_are_those_of_the_pixels_that_are_seen(self, options: dict) -> None:
        settings = only(options)
        images = pictures(2, side=6).double().requires_grad_()
        assert torch.autograd.gradcheck(lambda x: change(settings, x, 5), images, atol=1e-6)
        change(settings, images, 5).square().sum().backward()
        assert images.grad is not None
        assert (images.grad.flatten(1).abs().sum(1) > 0).all()


def test_brightness_is_one_shift_for_all_pixels_across_its_range() -> None:
    images = pictures(400)
    shifts = change(only({"brightness": 0.3}), images) - images
    assert torch.allclose(shifts, shifts[:, :, :1, :1].expand_as(shifts), atol=1e-6)
    # The grey range is 2 wide: 0.3 of it is 0.6, half of it on either side.
    assert -0.3 <= float(shifts.min()) < -0.29
    assert 0.29 < float(shifts.max()) <= 0.3
    assert float(shifts.mean()) == pytest.approx(0, abs=0.03)


def test_contrast_is_a_factor_about_the_mean_of_the_image() -> None:
    images = pictures(400)
    changed = change(only({"contrast": 0.5}), images)
    assert torch.allclose(changed.mean((1, 2, 3)), images.mean((1, 2, 3)), atol=1e-5)
    factors = changed.std((1, 2, 3)) / images.std((1, 2, 3))
    assert 0.7499 < float(factors.min()) < 0.76
    assert 1.24 < float(factors.max()) < 1.2501


def test_translation_is_by_whole_pixels_in_every_direction_and_black_comes_in() -> None:
    side, reach = 8, 2
    images = pictures(250, side=side)
    seen = set()
    for before, after in zip(images[:, 0], change(only({"translation": 0.25}), images)[:, 0], strict=True):
        matches = []
        for down, right in itertools.product(range(-reach, reach + 1), repeat=2):
            expected = torch.full((side, side), -1.0)
            to_y, to_x = slice(max(0, down), side + min(0, down)), slice(max(0, right), side + min(0, right))
            from_y = slice(max(0, -down), side - max(0, down))
            from_x = slice(max(0, -right), side - max(0, right))
            expected[to_y, to_x] = before[from_y, from_x]
            matches += [(down, right)] * torch.equal(after, expected)
        assert len(matches) == 1
        seen.add(matches[0])
    assert len(seen) == 25


def test_cutout_is_one_square_of_mid_grey_that_the_edge_may_cut() -> None:
    side, hole = 8, 4
    images = torch.ones(400, 1, side, side)
    changed = change(only({"cutout": 0.5}), images)[:, 0]
    heights = set()
    for image in changed:
        rows, columns = (image == 0).any(1).nonzero().flatten(), (image == 0).any(0).nonzero().flatten()
        assert len(rows) <= hole
        assert len(columns) <= hole
        assert rows.tolist() == list(range(int(rows[0]), int(rows[-1]) + 1))
        assert columns.tolist() == list(range(int(columns[0]), int(columns[-1]) + 1))
        assert int((image == 0).sum()) == len(rows) * len(columns)
        assert int((image == 1).sum()) == side**2 - len(rows) * len(columns)
        heights.add(len(rows))
    assert heights == {2, 3, 4}
    assert bool((changed == 0).any(0).all())
