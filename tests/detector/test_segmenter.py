from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fingerprints.core.errors import FingerprintsError
from fingerprints.detector.segmenter import (
    _summary,
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


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_masks_of_0_and_1_are_the_same_in_every_type(settings, folders, dtype):
    expected = read_pairs(settings.images, settings.masks, size=48).masks
    assert np.array_equal(expected.sum(axis=(1, 2)), np.array(sorted_areas(settings, folders)))
    for path in settings.masks.iterdir():
        mask = read_grey(path) > 0
        path.unlink()
        Image.fromarray(mask.astype(dtype)).save(path.with_suffix(".tif"))
    assert np.array_equal(read_pairs(settings.images, settings.masks, size=48).masks, expected)


def sorted_areas(settings: SegmentSettings, folders: np.ndarray) -> list[int]:
    names = sorted(path.name for path in settings.images.iterdir())
    return [int(folders[int(name.split("_")[1].removesuffix(".png"))].sum()) for name in names]


def test_empty_masks_are_counted_and_have_no_dice(settings, write_image):
    empty = [path for number, path in enumerate(sorted(settings.masks.iterdir())) if number % 2]
    for path in empty:
        write_image(path, np.zeros((48, 48), np.uint8))
        write_image(settings.images / path.name, np.full((48, 48), 128, np.uint8))
    figures = segment(replace(settings, validation=0.5, epochs=1))
    assert "5 of 10 masks are empty" in figures["notes"]
    held = figures["held_out"]
    none = [row for row in held if row["threshold"] is None]  # the default mask of an even image is empty
    assert 0 < len(none) < len(held)
    assert {row["image"] for row in none} <= {path.name for path in empty}
    assert figures["undefined"]["threshold"] == len(none)
    rest = [row["threshold"] for row in held if row["threshold"] is not None]
    assert figures["mean"]["threshold"] == pytest.approx(np.mean(rest))
    said = describe(figures, settings.out)
    assert f"(without {len(none)} pairs of two empty masks)" in said
    assert "note: 5 of 10 masks are empty" in said


def test_no_dice_at_all_is_no_figure():
    rows = [{"image": "a", "segmenter": None, "threshold": 0.5}] * 2
    found = _summary(rows)
    assert found["mean"] == {"segmenter": None, "threshold": 0.5}
    assert found["undefined"] == {"segmenter": 2, "threshold": 0}
    figures = {**found, "trained_on": ["b"], "seconds": 1.0, "held_out": rows, "notes": []}
    assert "segmenter undefined (without 2 pairs of two empty masks)" in describe(figures, Path("out"))


def test_masks_that_are_all_empty_are_refused(settings, write_image):
    for path in settings.masks.iterdir():
        write_image(path, np.zeros((48, 48), np.uint8))
    with pytest.raises(FingerprintsError, match="All masks are empty"):
        segment(settings)
    assert not settings.out.exists()


def test_files_that_are_no_pairs_are_counted(settings, write_image):
    write_image(settings.images / "more.webp", 1, format="PNG")
    write_image(settings.masks / "unused.png", np.zeros((48, 48), np.uint8))
    for path in list(settings.images.glob("*.png"))[:3]:
        write_image(path, np.full((48, 48), 4000, np.uint16), mode="I;16")
    notes = read_pairs(settings.images, settings.masks, size=32).notes
    assert len(notes) == 3
    assert "1 file(s) are not images and were left out: .webp (1)" in notes[0]
    assert notes[1] == "1 of 11 masks belong to no image"
    assert notes[2].startswith("3 of 10 images have 16 bits but no value above 4,095")
    (settings.images / "gone.png").symlink_to("/not/fetched.png")
    write_image(settings.masks / "gone.png", np.zeros((48, 48), np.uint8))
    with pytest.raises(FingerprintsError, match=r"gone\.png: cannot be read: it is a link"):
        read_pairs(settings.images, settings.masks, size=32)
