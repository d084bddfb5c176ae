from __future__ import annotations

import numpy as np
import pytest
import torch

from fingerprints.core.errors import FingerprintsError
from fingerprints.images.masks import dice
from fingerprints.images.unet import predict_masks
from fingerprints.training.segmenter import (
    SegmenterSettings,
    augmented,
    fit_segmenter,
    segmentation_loss,
    soft_dice_loss,
)
from fingerprints.training.settings import TrainerSettings

CPU = TrainerSettings(accelerator="cpu", max_epochs=20)


def discs(n: int, seed: int = 0, side: int = 32) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    centres, radii = rng.uniform(10, 22, (n, 2)), rng.uniform(5, 8, n)
    masks = np.stack([np.hypot(y - c[0], x - c[1]) < r for c, r in zip(centres, radii, strict=True)])
    images = np.where(masks, 60, 180) + 15 * rng.standard_normal(masks.shape)
    return np.clip(images, 0, 255).astype(np.uint8), masks


def test_losses_are_their_formulas():
    rng = np.random.default_rng(0)
    logits, masks = rng.standard_normal((2, 1, 4, 4)), (rng.random((2, 1, 4, 4)) < 0.4).astype(float)
    p = 1 / (1 + np.exp(-logits))
    expected = [1 - (2 * (a * m).sum() + 1) / (a.sum() + m.sum() + 1) for a, m in zip(p, masks, strict=True)]
    given = torch.from_numpy(logits), torch.from_numpy(masks)
    assert np.allclose(soft_dice_loss(*given), expected)
    entropy = -(masks * np.log(p) + (1 - masks) * np.log(1 - p)).mean()
    assert segmentation_loss(*given).item() == pytest.approx(entropy + np.mean(expected))
    nothing = torch.zeros(1, 1, 4, 4)
    assert soft_dice_loss(nothing - 50, nothing).item() == pytest.approx(0)


def test_augmentation_moves_mask_and_image_alike():
    images, masks = (torch.from_numpy(part)[:, None].float() for part in discs(4))
    images = images / 255
    settings = SegmenterSettings(shift=0.25, brightness=0.5)
    still = torch.tensor([[0.9, 0.5, 0.5, 0.5]]).expand(4, 4)
    for part, kept in zip(augmented(images, masks, still, settings=settings), (images, masks), strict=True):
        assert torch.allclose(part, kept)
    flipped = augmented(images, masks, torch.tensor([[0.1, 0.5, 0.5, 0.5]]).expand(4, 4), settings=settings)
    assert torch.equal(flipped[0], images.flip(3))
    assert torch.equal(flipped[1], masks.flip(3))
    moved = augmented(images, masks, torch.tensor([[0.9, 0.75, 0.25, 0.5]]).expand(4, 4), settings=settings)
    for part, before in zip(moved, (images, masks), strict=True):
        assert torch.equal(part[:, :, :-4, 4:], before[:, :, 4:, :-4])
    bright = augmented(images, masks, torch.tensor([[0.9, 0.5, 0.5, 0.0]]).expand(4, 4), settings=settings)
    assert torch.allclose(bright[0], images ** (1 / 1.5))
    assert torch.equal(bright[1], masks)


def test_it_learns_a_disc_in_a_few_steps():
    settings = SegmenterSettings(widths=(8, 16), lr=1e-2, batch_size=8, shift=0.0, brightness=0.1)
    images, masks = discs(16)
    network = fit_segmenter(images, masks, settings=settings, trainer=CPU, seed=0)
    unseen, truth = discs(8, seed=1)
    found = predict_masks(network, unseen, size=32)
    scores = [dice(a, b) for a, b in zip(found, truth, strict=True)]
    assert min(scores) > 0.85
    assert np.mean(scores) > 0.92


def test_the_seed_decides_every_weight_and_the_global_one_is_left_alone():
    settings, short = SegmenterSettings(widths=(2, 4)), TrainerSettings(accelerator="cpu", max_epochs=1)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, again, other = (
        torch.cat(
            [
                w.flatten()
                for w in fit_segmenter(*discs(6), settings=settings, trainer=short, seed=s).parameters()
            ]
        )
        for s in (0, 0, 1)
    )
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_side_that_does_not_fit():
    with pytest.raises(FingerprintsError, match="size="):
        fit_segmenter(*discs(2, side=30), settings=SegmenterSettings(), trainer=CPU)
