"""Augmentation: exact geometry, and nothing but (seed, epoch, step, position) decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import build
from fingerprints.data.datamodule import ImageBatch
from fingerprints.training.augment import Augmentation, resampled
from fingerprints.training.settings import AUGMENTATIONS, AugmentSettings

SIZE = 12
EVERYTHING = {
    "flip": True,
    "shift": 3,
    "rotation": 20.0,
    "zoom": 0.2,
    "random_crop": 0.3,
    "brightness": 0.2,
    "contrast": 0.3,
    "noise": 0.1,
}
EACH = [{name: value} for name, value in EVERYTHING.items()]


def pictures(n: int = 40, low: float = 0.3, high: float = 0.7) -> Tensor:
    return low + (high - low) * torch.rand(n, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def batch(n: int = 40, *, epoch: int = 0, step: int = 0) -> ImageBatch:
    rows, classes = torch.arange(n // 2), torch.zeros(n // 2, dtype=torch.int64)
    pixels = torch.zeros(n // 2, 1, SIZE, SIZE, dtype=torch.uint8)
    return ImageBatch(
        left=pixels,
        right=pixels,
        left_classes=classes,
        right_classes=classes,
        left_rows=rows,
        right_rows=rows,
        positions=torch.arange(n),
        images=n,
        aligned=True,
        epoch=epoch,
        step=step,
    )


def test_off_is_the_identity() -> None:
    images = torch.randn(4, 1, SIZE, SIZE)
    assert Augmentation(seed=3)(images, batch(4)) is images


@pytest.mark.parametrize("options", [*EACH, EVERYTHING], ids=lambda o: "+".join(o))
class TestEvery:
    def test_is_a_function_of_seed_epoch_and_step(self, options: dict) -> None:
        images, augment = pictures(), Augmentation(seed=1, **options)
        torch.manual_seed(5)
        reference = augment(images, batch(epoch=2, step=3))
        torch.manual_seed(6)
        assert torch.equal(augment(images, batch(epoch=2, step=3)), reference)
        assert not torch.equal(reference, images)
        for other, at in (
            (Augmentation(seed=2, **options), batch(epoch=2, step=3)),
            (augment, batch(epoch=3, step=3)),
            (augment, batch(epoch=3, step=2)),
            (augment, batch(epoch=2, step=4)),
        ):
            assert not torch.equal(other(images, at), reference)

    @pytest.mark.parametrize("world", [2, 3])
    def test_shares_are_augmented_as_the_whole(self, options: dict, world: int) -> None:
        images, whole, augment = pictures(), batch(step=1), Augmentation(seed=1, **options)
        reference = augment(images, whole)
        for rank in range(world):
            positions = torch.arange(rank, 40, world)
            share = augment(images[positions], replace(whole, positions=positions))
            assert torch.equal(share, reference[positions])

    def test_images_differ_from_each_other(self, options: dict) -> None:
        same = pictures(1).expand(40, -1, -1, -1)
        changed = Augmentation(seed=1, **options)(same, batch())
        assert len({image.numpy().tobytes() for image in changed}) >= (2 if options == {"flip": True} else 20)

    def test_range_is_kept(self, options: dict) -> None:
        changed = Augmentation(seed=1, **options)(pictures(low=0.0, high=1.0), batch())
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert changed.shape == (40, 1, SIZE, SIZE)

    def test_each_channel_changes_as_a_grey_image_does(self, options: dict) -> None:
        images = pictures()
        colour = torch.cat([images, 1 - images, images], dim=1)
        grey, found = (Augmentation(seed=1, **options)(side, batch()) for side in (images, colour))
        torch.testing.assert_close(found[:, [0, 2]], grey.expand(-1, 2, -1, -1))
        assert found.shape == (40, 3, SIZE, SIZE)

    def test_input_is_left_alone(self, options: dict) -> None:
        images = pictures()
        before = images.clone()
        Augmentation(seed=1, **options)(images, batch())
        assert torch.equal(images, before)


def test_flip_mirrors_about_half_of_the_images() -> None:
    images = pictures(400)
    changed = Augmentation(flip=True)(images, batch(400)).numpy()
    before = images.numpy()
    kinds = [
        "kept" if np.array_equal(a, b) else "mirrored" if np.array_equal(a, b[:, :, ::-1]) else "other"
        for a, b in zip(changed, before, strict=True)
    ]
    assert set(kinds) == {"kept", "mirrored"}
    assert 160 < kinds.count("mirrored") < 240


def test_shift_repeats_the_edges() -> None:
    reach, images = 2, pictures(400)
    changed = Augmentation(shift=reach)(images, batch(400)).numpy()
    seen = set()
    for before, after in zip(images[:, 0].numpy(), changed[:, 0], strict=True):
        padded = np.pad(before, reach, mode="edge")
        found = {
            (y, x)
            for y in range(2 * reach + 1)
            for x in range(2 * reach + 1)
            if np.array_equal(padded[y : y + SIZE, x : x + SIZE], after)
        }
        assert len(found) == 1
        seen |= found
    assert len(seen) == (2 * reach + 1) ** 2


def test_turning_and_growing_is_about_the_centre_and_bilinear() -> None:
    images = pictures(5)
    degrees, factor = torch.tensor([0.0, 90.0, 17.0, -40.0, 5.0]), torch.tensor([1.0, 1.0, 1.0, 0.7, 1.3])
    found = resampled(images, degrees=degrees, factor=factor)[:, 0].numpy()
    np.testing.assert_allclose(found[0], images[0, 0], atol=1e-6)
    np.testing.assert_allclose(found[1], np.rot90(images[1, 0]), atol=1e-5)
    for image, angle, size, own in zip(images[:, 0].numpy(), degrees, factor, found, strict=True):
        turn = np.deg2rad(float(angle))
        matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) / float(size)
        middle = np.full(2, (SIZE - 1) / 2)
        expected = ndimage.affine_transform(
            image, matrix, offset=middle - matrix @ middle, order=1, mode="nearest"
        )
        np.testing.assert_allclose(own, expected, atol=1e-5)


def test_rotation_and_zoom_reach_both_ways_and_leave_other_draws_alone() -> None:
    images = pictures(400)
    moved, turned = (Augmentation(shift=2, rotation=angle)(images, batch(400)) for angle in (0, 1e-6))
    torch.testing.assert_close(turned, moved, atol=1e-4, rtol=0)
    wide = torch.zeros(400, 1, SIZE, SIZE)
    wide[:, :, 3:9, 3:9] = 1
    mass = Augmentation(zoom=0.5)(wide, batch(400)).sum(dim=(1, 2, 3)) / 36
    assert 0.25 <= mass.min() < 0.4
    assert 1.9 < mass.max() <= 2.25 + 1e-3


def test_brightness_moves_all_pixels_alike_and_not_far() -> None:
    images = pictures()
    moved = (Augmentation(brightness=0.2)(images, batch()) - images).flatten(1)
    assert (moved.max(1).values - moved.min(1).values).max() < 1e-6
    assert 0.1 < moved.abs().max() <= 0.2 + 1e-6
    assert moved.min() < 0 < moved.max()


def test_contrast_scales_about_the_mean() -> None:
    images = pictures()
    changed = Augmentation(contrast=0.3)(images, batch())
    torch.testing.assert_close(changed.mean(dim=(1, 2, 3)), images.mean(dim=(1, 2, 3)))
    factor = changed.flatten(1).std(1) / images.flatten(1).std(1)
    assert factor.min() >= 0.7 - 1e-4
    assert factor.max() <= 1.3 + 1e-4
    assert factor.min() < 0.9
    assert factor.max() > 1.1
    centred = (images - images.mean(dim=(1, 2, 3), keepdim=True)) * factor[:, None, None, None]
    torch.testing.assert_close(
        changed - changed.mean(dim=(1, 2, 3), keepdim=True), centred, atol=1e-5, rtol=1e-3
    )


def test_noise_has_the_deviation_asked_for() -> None:
    images = pictures(200)
    noise = Augmentation(noise=0.05)(images, batch(200)) - images
    assert noise.std().item() == pytest.approx(0.05, rel=0.03)
    assert abs(noise.mean().item()) < 0.002


def test_a_central_crop_is_resized_back() -> None:
    images = pictures(4)
    changed = Augmentation(centre_crop=0.5)(images, batch(4))
    middle = images[:, :, SIZE // 4 : -SIZE // 4, SIZE // 4 : -SIZE // 4]
    expected = functional.interpolate(middle, size=SIZE, mode="bilinear", align_corners=False)
    torch.testing.assert_close(changed[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1])


def test_random_crops_stay_inside_and_reach_all_corners() -> None:
    ramp = torch.linspace(0, 1, 48).expand(48, 48)
    images = torch.stack([ramp, ramp.T]).unsqueeze(1).repeat(200, 1, 1, 1)
    changed = Augmentation(random_crop=0.5)(images, batch(400))
    spans = (changed[::2, 0, 0, -1] - changed[::2, 0, 0, 0]).clamp(0, 1)
    assert (spans - 0.5).abs().max() < 0.03  # half of the side, never repeated edges
    starts = torch.stack([changed[::2, 0, 0, 0], changed[1::2, 0, 0, 0]])
    assert starts.min(dim=1).values.max() < 0.05
    assert starts.max(dim=1).values.min() > 0.45


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_named_sets_are_their_changes_and_take_no_others(name: str) -> None:
    settings = build(AugmentSettings, {"set": name})
    assert settings.resolved() == AugmentSettings(**AUGMENTATIONS[name])
    assert AugmentSettings().resolved() == AugmentSettings()
    with pytest.raises(FingerprintsError, match="noise would be ignored"):
        build(AugmentSettings, {"set": name, "noise": 0.1})
