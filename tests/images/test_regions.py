from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fingerprints.core.errors import FingerprintsError
from fingerprints.images.regions import mask_box, restrict


@pytest.fixture
def slices(chest) -> tuple[np.ndarray, np.ndarray]:
    made = [chest(48, seed=seed, shift=0.03 * seed) for seed in range(2)]
    return np.stack([image for image, _ in made]), np.stack([mask for _, mask in made])


def test_full_changes_nothing(slices):
    assert restrict(*slices, region="full") is slices[0]


def test_lung_without_crop_and_outer_share_the_pixels(slices):
    images, masks = slices
    lung = restrict(images, masks, region="lung", crop=False)
    outer = restrict(images, masks, region="outer")
    assert np.array_equal(lung, images * masks)
    assert np.array_equal(outer, images * ~masks)
    assert np.array_equal(lung + outer, images)


def test_lung_fills_the_picture_with_the_masks_box(slices):
    images, masks = slices
    out = restrict(images, masks, region="lung")
    for image, mask, made in zip(images, masks, out, strict=True):
        rows, columns = np.nonzero(mask)
        cut = (image * mask)[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert np.array_equal(
            made, np.asarray(Image.fromarray(cut).resize((48, 48), Image.Resampling.BILINEAR))
        )
    assert out.shape == images.shape
    assert not np.array_equal(out, restrict(images, masks, region="lung", crop=False))


def test_box_of_one_pixel():
    mask = np.zeros((8, 8), bool)
    mask[5, 2] = True
    assert mask_box(mask) == (2, 5, 3, 6)
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert (restrict(image[None], mask[None], region="lung") == image[5, 2]).all()


@pytest.mark.parametrize("region", ["lung", "outer"])
def test_an_empty_mask_keeps_the_image(slices, region):
    images, masks = slices
    masks[0] = False
    out = restrict(images, masks, region=region)
    assert np.array_equal(out[0], images[0])
    assert not np.array_equal(out[1], images[1])


@pytest.mark.parametrize("region", ["lung", "outer"])
def test_colours_go_channel_by_channel(slices, region):
    images, masks = slices
    colours = np.stack([images, 255 - images, images // 2], axis=1)
    out = restrict(colours, masks, region=region)
    for channel in range(3):
        assert np.array_equal(out[:, channel], restrict(colours[:, channel], masks, region=region))


def test_unknown_region(slices):
    with pytest.raises(FingerprintsError, match="full, lung, outer"):
        restrict(*slices, region="heart")
