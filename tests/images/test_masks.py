from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fingerprints.core.errors import FingerprintsError
from fingerprints.images.lungs import lung_masks
from fingerprints.images.masks import dice, image_files, mask_source, match_masks, read_mask
from fingerprints.images.settings import LungRegionSettings
from fingerprints.images.unet import UNet, predict_masks, save_unet


@pytest.fixture
def slices(chest) -> tuple[np.ndarray, np.ndarray]:
    made = [chest(48, seed=seed, shift=0.03 * seed) for seed in range(3)]
    return np.stack([image for image, _ in made]), np.stack([mask for _, mask in made])


def test_dice_counts_twice_what_both_have():
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert dice(a, b) == 1
    a[0], b[:, 0] = True, True
    assert dice(a, b) == 2 / 8
    assert dice(a, ~a) == 0
    assert dice(a, a) == 1


def test_default_masks(slices):
    source = mask_source(LungRegionSettings())
    assert np.array_equal(source.block(slices[0], 0), lung_masks(slices[0]))


def test_unet_masks_are_known_by_their_weights(slices, tmp_path):
    torch.manual_seed(0)
    network = UNet((4, 8))
    path = tmp_path / "w.safetensors"
    save_unet(path, network, size=32)
    source = mask_source(LungRegionSettings(mask="unet", weights=path))
    assert np.array_equal(source.block(slices[0], 0), predict_masks(network, slices[0], size=32))
    save_unet(path, UNet((4, 8)), size=32)
    assert mask_source(LungRegionSettings(mask="unet", weights=path)).facts != source.facts


def test_folder_masks_go_with_their_rows(slices, tmp_path, write_image):
    images, masks = slices
    for name, mask in zip(("a/1", "a/2", "b/1"), masks, strict=True):
        write_image(tmp_path / f"{name}.png", mask.astype(np.uint8) * 255)
    names = ["b/1.jpg", None, "a/2.png", "a/1.png"]
    source = mask_source(LungRegionSettings(mask="folder", folder=tmp_path), names=names)
    assert np.array_equal(source.block(images[[2, 0]], 0), np.stack([masks[2], np.zeros_like(masks[0])]))
    assert np.array_equal(source.block(images[[1, 0]], 2), masks[[1, 0]])
    before = source.facts
    write_image(tmp_path / "a/1.png", masks[1].astype(np.uint8) * 255)
    assert mask_source(LungRegionSettings(mask="folder", folder=tmp_path), names=names).facts != before


def test_names_match_by_path_else_by_a_file_name_of_which_there_is_one(tmp_path, write_image):
    for name in ("real/1.png", "real/2.png", "made/1.png", "deep/er/3.tif"):
        write_image(tmp_path / name)
    found = match_masks(tmp_path, ["made/1.jpeg", "real/1.png", "elsewhere/2.png", "3.png"])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "made/1.png",
        "real/1.png",
        "real/2.png",
        "deep/er/3.tif",
    ]
    for names, lacking in (
        (["real/1.png", "other/1.png"], "other/1.png"),
        (["real/4.png"], "real/4.png"),
        (["x/2.png", "y/2.png"], "2 of 2 images"),
    ):
        with pytest.raises(FingerprintsError) as error:
            match_masks(tmp_path, names)
        assert lacking in str(error.value)
    with pytest.raises(FingerprintsError, match="does not exist"):
        match_masks(tmp_path / "nowhere", ["1.png"])
    write_image(tmp_path / "real/1.bmp")
    with pytest.raises(FingerprintsError, match="only by their extension"):
        match_masks(tmp_path, ["real/1.png"])
    assert len(image_files(tmp_path)) == 5


@pytest.mark.parametrize("bright", [1, 255])
def test_masks_of_two_levels_are_read_at_any_size(chest, tmp_path, write_image, bright):
    _, lungs = chest(96)
    path = write_image(tmp_path / "m.png", lungs.astype(np.uint8) * bright)
    assert np.array_equal(read_mask(path, size=96), lungs)
    assert dice(read_mask(path, size=48), chest(48)[1]) > 0.9
    empty = write_image(tmp_path / "e.png", np.zeros((96, 96), np.uint8))
    assert not read_mask(empty, size=96).any()


def test_pictures_and_broken_files_are_no_masks(chest, tmp_path, write_image):
    with pytest.raises(FingerprintsError, match="not a mask"):
        read_mask(
            write_image(
                tmp_path / "a.png", np.full((32, 32), 100, np.uint8) + np.eye(32, dtype=np.uint8) * 99
            ),
            size=32,
        )
    (tmp_path / "b.png").write_bytes(b"broken")
    with pytest.raises(FingerprintsError, match="cannot be read"):
        read_mask(tmp_path / "b.png", size=32)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mask": "unet"}, "needs region.weights"),
        ({"mask": "folder"}, "needs region.folder"),
        ({"mask": "folder", "folder": Path("x")}, "names of the images"),
    ],
)
def test_what_is_missing_is_said(settings, said):
    with pytest.raises(FingerprintsError) as error:
        mask_source(LungRegionSettings(**settings))
    assert said in str(error.value)
