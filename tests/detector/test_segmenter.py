from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fingerprints.core.errors import FingerprintsError
from fingerprints.detector.segmenter import (
    describe,
    held_out,
    read_pairs,
    save_overlays,
    segment,
)
from fingerprints.detector.settings import SegmentSettings
from fingerprints.images.masks import dice, mask_source
from fingerprints.images.settings import LungRegionSettings


@pytest.fixture
def folders(tmp_path, write_image) -> np.ndarray:
    """`images/p<patient>_<k>.png` and `masks/*.png`: dark discs; returns the masks."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:48, :48]
    masks = []
    for number in range(10):
        centre, radius = rng.uniform(16, 32, 2), rng.uniform(8, 12)
        mask = np.hypot(y - centre[0], x - centre[1]) < radius
        noise = 10 * rng.standard_normal(mask.shape)
        image = np.clip(np.where(mask, 60, 180) + noise, 0, 255).astype(np.uint8)
        write_image(tmp_path / f"images/p{number // 2}_{number}.png", image)
        write_image(tmp_path / f"masks/p{number // 2}_{number}.png", mask.astype(np.uint8) * 255)
        masks.append(mask)
    return np.stack(masks)


@pytest.fixture
def settings(folders, tmp_path) -> SegmentSettings:
    return SegmentSettings(
        images=tmp_path / "images",
        masks=tmp_path / "masks",
        out=tmp_path / "run",
        size=32,
        widths=(8, 16),
        lr=1e-2,
        accelerator="cpu",
        epochs=25,
    )


def read_grey(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_figures_are_of_the_held_out_pairs(settings, tmp_path):
    figures = segment(settings)
    held = [row["image"] for row in figures["held_out"]]
    assert len(held) == 2
    assert sorted(held + figures["trained_on"]) == sorted(p.name for p in settings.images.iterdir())
    source = mask_source(LungRegionSettings(mask="unet", weights=settings.out / "segmenter.safetensors"))
    default = mask_source(LungRegionSettings())
    pairs = read_pairs(settings.images, settings.masks, size=32)
    for row in figures["held_out"]:
        at = pairs.names.index(row["image"])
        image, truth = pairs.images[at : at + 1], pairs.masks[at]
        assert row["segmenter"] == dice(source.block(image, 0)[0], truth) > 0.85
        assert row["threshold"] == dice(default.block(image, 0)[0], truth)
        native = read_grey(settings.images / row["image"])
        assert dice(source.block(native[None], 0)[0], read_grey(settings.masks / row["image"]) > 0) > 0.85
    scores = [row["segmenter"] for row in figures["held_out"]]
    assert figures["mean"]["segmenter"] == pytest.approx(np.mean(scores))
    assert figures["least"]["segmenter"] == min(scores)
    assert f"segmenter mean {np.mean(scores):.4f}, lowest {min(scores):.4f}" in describe(
        figures, settings.out
    )
    with pytest.raises(FingerprintsError, match="already exists"):
        segment(settings)


def test_groups_stay_together(settings, tmp_path, write_rows):
    names = sorted(path.name for path in settings.images.iterdir())
    write_rows(tmp_path / "groups.csv", [("file", "patient"), *((name, name[:2]) for name in names)])
    grouped = replace(settings, groups=tmp_path / "groups.csv", validation=0.4)
    held = held_out(names, grouped)
    assert held.sum() == 4
    sides = [
        {name[:2] for name, out in zip(names, held, strict=True) if out is side} for side in (True, False)
    ]
    assert not sides[0] & sides[1]
    assert any(not np.array_equal(held, held_out(names, replace(grouped, seed=seed))) for seed in (1, 2, 3))
    write_rows(tmp_path / "groups.csv", [("file", "patient"), *((name, name[:2]) for name in names[1:])])
    with pytest.raises(FingerprintsError, match="1 images have no group"):
        held_out(names, grouped)
    with pytest.raises(FingerprintsError, match="cannot be split"):
        held_out(names[:1], settings)


def test_pairs_without_a_known_group_are_alone_and_noted(settings, tmp_path, write_rows, capsys):
    names = sorted(path.name for path in settings.images.iterdir())
    write_rows(tmp_path / "groups.csv", [(name, "") for name in names])
    held = held_out(names, replace(settings, groups=tmp_path / "groups.csv", validation=0.4))
    assert 0 < held.sum() < len(names)
    assert f"note: {len(names)} image(s) have an empty group" in capsys.readouterr().err


def test_bad_pairs_are_one_message(settings, tmp_path, write_image):
    write_image(settings.masks / "p0_0.png", size=32)
    write_image(settings.masks / "p0_1.png", 5)
    (settings.images / "p1_2.png").write_bytes(b"broken")
    with pytest.raises(FingerprintsError) as error:
        segment(settings)
    for said in (
        "3 of 10 pairs cannot be used",
        "p0_0.png: the image has 48 x 48 pixels, its mask 32 x 32",
        "p0_1.png: The file is not a mask",
        "p1_2.png: cannot be read",
    ):
        assert said in str(error.value)
    (settings.masks / "p2_4.png").unlink()
    with pytest.raises(FingerprintsError) as error:
        segment(settings)
    assert "1 of 10 images have no mask" in str(error.value)
    assert "p2_4.png" in str(error.value)
    assert not settings.out.exists()


def test_what_does_not_fit_is_said_before_anything_is_written(settings, tmp_path):
    (tmp_path / "empty").mkdir()
    for changed, said in (
        ({"size": 33}, "size=32"),
        ({"widths": ()}, "every level"),
        ({"images": tmp_path / "nowhere"}, "does not exist"),
        ({"masks": tmp_path / "nowhere"}, "does not exist"),
        ({"images": tmp_path / "empty"}, "no images"),
    ):
        with pytest.raises(FingerprintsError, match=said):
            segment(replace(settings, **changed))
    assert not settings.out.exists()


def test_outlines_are_drawn_in_their_colours(folders, tmp_path):
    images = np.full((7, 48, 48), 90, np.uint8)
    save_overlays(tmp_path / "sheet.png", images, [(folders[:7], (255, 0, 0))], side=48)
    sheet = read_grey(tmp_path / "sheet.png")
    assert sheet.shape == (96, 6 * 48, 3)
    tile, mask = sheet[48:, :48], folders[6]
    red = (tile == (255, 0, 0)).all(axis=-1)
    assert red.any()
    assert (mask | ~red).all()
    assert (tile[~red] == 90).all()
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1] = mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:] & mask[1:-1, 1:-1]
    assert np.array_equal(red, mask & ~inner)
