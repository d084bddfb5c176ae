from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fingerprints.core.errors import FingerprintsError
from fingerprints.images.lungs import lung_masks
from fingerprints.images.masks import (
    dice,
    image_files,
    mask_source,
    match_masks,
    read_mask,
    resized_mask,
)
from fingerprints.images.settings import LungRegionSettings
from fingerprints.images.unet import UNet, predict_masks, save_unet


@pytest.fixture
def slices(chest) -> tuple[np.ndarray, np.ndarray]:
    made = [chest(48, seed=seed, shift=0.03 * seed) for seed in range(3)]
    return np.stack([image for image, _ in made]), np.stack([mask for _, mask in made])


def test_dice_counts_twice_what_both_have():
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert dice(a, b) is None  # 0 / 0
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


KINDS = {
    "8 bits, 0 and 1": lambda m: Image.fromarray(m.astype(np.uint8)),
    "8 bits, 0 and 255": lambda m: Image.fromarray(m.astype(np.uint8) * 255),
    "8 bits, 1 and 2": lambda m: Image.fromarray(m.astype(np.uint8) + 1),
    "16 bits, 0 and 1": lambda m: Image.fromarray(m.astype(np.uint16)),
    "16 bits, 0 and 255": lambda m: Image.fromarray(m.astype(np.uint16) * 255),
    "16 bits, 0 and 65535": lambda m: Image.fromarray(m.astype(np.uint16) * 65_535),
    "32 bits, 0 and 1": lambda m: Image.fromarray(m.astype(np.int32)),
    "32 bits, 0 and 100000": lambda m: Image.fromarray(m.astype(np.int32) * 100_000),
    "floats, 0 and 1": lambda m: Image.fromarray(m.astype(np.float32)),
    "floats, 0 and 255": lambda m: Image.fromarray(m.astype(np.float32) * 255),
    "1 bit": lambda m: Image.fromarray(m),
    "colour, 0 and 1": lambda m: Image.fromarray(np.stack([m.astype(np.uint8)] * 3, axis=-1)),
    "red on black": lambda m: Image.fromarray(m[..., None] * np.array([200, 0, 0], np.uint8)),
    "with alpha": lambda m: Image.fromarray(m.astype(np.uint8) * 255).convert("RGBA"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_masks_of_two_values_are_read_in_every_format(chest, tmp_path, kind):
    _, lungs = chest(96)
    names = ("a.tif",) if "32 bits" in kind or "floats" in kind else ("a.tif", "a.png")
    for name in names:
        KINDS[kind](lungs).save(tmp_path / name)
        assert np.array_equal(read_mask(tmp_path / name), lungs), name
        assert dice(resized_mask(read_mask(tmp_path / name), size=48), chest(48)[1]) > 0.9


@pytest.mark.parametrize("colours", [(0, 255), (0, 1), (20, 90)])
def test_masks_with_a_palette_are_bright_where_it_is(chest, tmp_path, colours):
    _, lungs = chest(96)
    for order in (1, -1):  # also if the first entry is the bright one, as some programs write it
        image = Image.fromarray(lungs.astype(np.uint8) if order == 1 else 1 - lungs.astype(np.uint8))
        image.putpalette([value for colour in colours[::order] for value in (colour, colour, colour)])
        image.save(tmp_path / "a.png")
        assert np.array_equal(read_mask(tmp_path / "a.png"), lungs)


def test_masks_saved_as_jpeg_or_with_soft_outlines_are_read(chest, tmp_path, write_image):
    _, lungs = chest(96)
    grey = lungs.astype(np.uint8) * 255
    assert dice(read_mask(write_image(tmp_path / "a.jpg", grey, quality=70)), lungs) > 0.99
    soft = Image.fromarray(grey).resize((64, 64), Image.Resampling.BILINEAR)
    soft.save(tmp_path / "b.png")
    assert dice(read_mask(tmp_path / "b.png"), resized_mask(lungs, size=64)) > 0.99
    deep = np.asarray(soft).astype(np.uint16) * 257
    assert np.array_equal(
        read_mask(write_image(tmp_path / "c.png", deep, mode="I;16")), np.asarray(soft) > 127
    )


def test_empty_and_full_masks(tmp_path, write_image):
    for dtype in (np.uint8, np.uint16, bool):
        mode = Image.fromarray(np.zeros((9, 9), dtype)).mode
        assert not read_mask(write_image(tmp_path / "e.png", np.zeros((9, 9), dtype), mode=mode)).any()
        assert read_mask(write_image(tmp_path / "f.png", np.ones((9, 9), dtype), mode=mode)).all()
    tiny = write_image(tmp_path / "t.png", np.array([[0, 200, 255]], np.uint8))
    assert read_mask(tiny).tolist() == [[False, True, True]]


@pytest.mark.parametrize("values", [(0, 1, 2), (0, 3, 4, 5), (0, 9, 10), (0, 85, 170, 255), (0, 100, 255)])
def test_a_map_of_labels_is_no_mask(tmp_path, write_image, values):
    labels = np.full((64, 64), values[0], np.uint8)
    for number, value in enumerate(values[1:]):  # small areas, too
        labels[10 + 12 * number :, 8:18][:8] = value
    for dtype, mode in ((np.uint8, "L"), (np.uint16, "I;16")):
        with pytest.raises(FingerprintsError, match="map of labels") as error:
            read_mask(write_image(tmp_path / "a.png", labels.astype(dtype), mode=mode))
    assert ", ".join(map(str, values)) in str(error.value)


def test_a_mask_in_what_grey_leaves_out_is_no_empty_mask(chest, tmp_path):
    _, lungs = chest(48)
    black = Image.new("RGB", (48, 48))
    alpha = black.copy()
    alpha.putalpha(Image.fromarray(lungs.astype(np.uint8) * 255))
    alpha.save(tmp_path / "alpha.png")
    same = Image.fromarray(lungs.astype(np.uint8))
    same.putpalette([0, 0, 0, 0, 0, 0])
    same.save(tmp_path / "palette.png")
    for name in ("alpha.png", "palette.png"):
        with pytest.raises(FingerprintsError, match="transparency or in colours of one brightness"):
            read_mask(tmp_path / name)


def test_pictures_and_broken_files_are_no_masks(chest, tmp_path, write_image):
    with pytest.raises(FingerprintsError, match="not a mask"):
        read_mask(write_image(tmp_path / "a.png", 5))
    (tmp_path / "b.png").write_bytes(b"broken")
    with pytest.raises(FingerprintsError, match="cannot be read"):
        read_mask(tmp_path / "b.png")
    pages = [Image.fromarray(np.full((9, 9), number, np.uint8)) for number in range(2)]
    pages[0].save(tmp_path / "c.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(FingerprintsError, match="several pages"):
        read_mask(tmp_path / "c.tif")
    Image.fromarray(np.full((9, 9), -1, np.int32)).save(tmp_path / "d.tif")
    with pytest.raises(FingerprintsError, match="negative"):
        read_mask(tmp_path / "d.tif")


def test_files_below_links_and_links_to_nowhere_are_found(tmp_path, write_image):
    write_image(tmp_path / "elsewhere/1.png")
    (tmp_path / "in/@eaDir").mkdir(parents=True)
    write_image(tmp_path / "in/@eaDir/9.png")
    write_image(tmp_path / "in/._2.png")
    (tmp_path / "in/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/gone.png").symlink_to("/not/fetched.png")
    assert [path.name for path in image_files(tmp_path / "in")] == ["gone.png", "1.png"]
    with pytest.raises(FingerprintsError, match=r"1 mask\(s\) are links that lead nowhere"):
        mask_source(LungRegionSettings(mask="folder", folder=tmp_path / "in"), names=["gone.png"])


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
