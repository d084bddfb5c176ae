from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.datamodule import PixelSource
from fingerprints.data.store import ImageStore
from fingerprints.images import derived
from fingerprints.images.derived import cached_masks, derived_store, unpacked
from fingerprints.images.filters import equalize
from fingerprints.images.lungs import lung_masks
from fingerprints.images.masks import mask_source
from fingerprints.images.regions import restrict
from fingerprints.images.settings import (
    ColorizeSettings,
    EqualizeSettings,
    FullRegionSettings,
    LungRegionSettings,
    NoFilterSettings,
    NoiseSettings,
    OuterRegionSettings,
)

NONE, FULL = NoFilterSettings(), FullRegionSettings()
EQUALIZE, LUNG, OUTER = EqualizeSettings(), LungRegionSettings(), OuterRegionSettings()


@pytest.fixture
def store(chest, tmp_path, monkeypatch) -> ImageStore:
    monkeypatch.setattr(derived, "BLOCK", 2)
    images = np.stack([*(chest(44, seed=seed)[0] for seed in range(3)), *np.full((2, 44, 44), 90, np.uint8)])
    return ImageStore(
        folder=tmp_path,
        images=images,
        digests=np.zeros(5, "S32"),
        native_sizes=np.full((5, 2), 44, np.int32),
        errors={4: "unreadable"},
        built=True,
    )


def test_nothing_to_do_gives_the_same_store(store, tmp_path):
    assert derived_store(store, filter=NONE, region=FULL) == (store, [])
    assert list(tmp_path.iterdir()) == []


def test_mask_then_filter_then_region(store):
    out, notes = derived_store(store, filter=EQUALIZE, region=LUNG)
    expected = restrict(equalize(store.images), lung_masks(store.images), region="lung")
    assert np.array_equal(out.images, expected)
    assert not np.array_equal(out.images[:3], store.images[:3])
    assert isinstance(out.images, np.memmap)
    assert not out.images.flags.writeable
    assert notes == ["region 'lung': 1 of 4 images have an empty lung mask and are not cut"]
    assert replace(out, folder=store.folder, images=store.images) == store


@pytest.mark.parametrize(
    ("filter", "region"),
    [
        (NoiseSettings(), FULL),
        (NoiseSettings(amount=0.2), FULL),
        (NONE, LUNG),
        (NONE, LungRegionSettings(crop=False)),
        (NONE, OUTER),
        (NoiseSettings(), LUNG),
    ],
)
def test_settings_have_pixels_and_folders_of_their_own(store, filter, region):
    out, _ = derived_store(store, filter=filter, region=region)
    plain, _ = derived_store(store, filter=EQUALIZE, region=FULL)
    assert out.folder != plain.folder != store.folder
    assert not np.array_equal(out.images, plain.images)
    assert not np.array_equal(out.images, store.images)


def test_nothing_is_computed_twice_and_filters_share_masks(store, monkeypatch):
    calls = []

    def counted(images):
        calls.append(len(images))
        return lung_masks(images)

    monkeypatch.setattr("fingerprints.images.masks.lung_masks", counted)
    first, notes = derived_store(store, filter=NONE, region=LUNG)
    assert sum(calls) == 5
    derived_store(store, filter=EQUALIZE, region=OUTER)
    assert sum(calls) == 5
    monkeypatch.setattr(derived, "restrict", None)
    again, same_notes = derived_store(store, filter=NONE, region=LUNG)
    assert np.array_equal(again.images, first.images)
    assert (again.folder, same_notes) == (first.folder, notes)


def test_packed_masks_come_back(store):
    packed = cached_masks(store, mask_source(LUNG))
    assert packed.shape == (5, 44, 6)
    assert np.array_equal(unpacked(packed, side=44), lung_masks(store.images))


def test_a_failure_leaves_nothing_that_looks_whole(store, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(derived, "restrict", broken)
    with pytest.raises(OSError, match="disk full"):
        derived_store(store, filter=NONE, region=LUNG)
    assert len(list(tmp_path.glob("masks-*.npy"))) == 1
    assert list(tmp_path.glob("derived-*/*.npy")) == []
    monkeypatch.undo()
    out, _ = derived_store(store, filter=NONE, region=LUNG)
    assert np.array_equal(out.images, restrict(store.images, lung_masks(store.images), region="lung"))


@pytest.mark.parametrize(("domain", "at"), [("real", [0, 2]), ("generated", [1, 3])])
def test_a_filter_for_one_domain_leaves_the_others_as_they_are(store, domain, at):
    domains = ["real", "generated", "real", "generated", None]
    one_side = NoiseSettings(domain=domain)
    out, _ = derived_store(store, filter=one_side, region=FULL, domains=domains)
    both, _ = derived_store(store, filter=NoiseSettings(), region=FULL)
    expected = store.images.copy()
    expected[at] = both.images[at]
    assert np.array_equal(out.images, expected)
    others, _ = derived_store(store, filter=one_side, region=FULL, domains=[*domains[1:], "real"])
    assert others.folder != out.folder


def test_colours_reach_the_network_as_three_channels(store):
    out, _ = derived_store(store, filter=ColorizeSettings(), region=OUTER)
    assert out.images.shape == (5, 3, 44, 44)
    rows = np.array([2, 0])
    pixels = PixelSource(out).gather(rows, torch.device("cpu"))
    assert np.array_equal(pixels.numpy(), out.images[rows])
    assert PixelSource(store).gather(rows, torch.device("cpu")).shape == (2, 1, 44, 44)


def test_masks_of_a_folder_are_for_rows_in_use(store, tmp_path, write_image):
    folder = tmp_path / "given"
    for name in "abc":
        mask = np.zeros((44, 44), np.uint8)
        mask[5:20, 10:30] = 255
        write_image(folder / f"{name}.png", mask)
    region = OuterRegionSettings(mask="folder", folder=folder)
    out, _ = derived_store(store, filter=NONE, region=region, names=["a.png", "b.png", "c.png", None, None])
    assert (out.images[:3, 5:20, 10:30] == 0).all()
    assert np.array_equal(out.images[:3, 20:], store.images[:3, 20:])
    with pytest.raises(FingerprintsError, match=r"d\.png"):
        derived_store(store, filter=NONE, region=region, names=["a.png", "b.png", "c.png", "d.png", None])


def test_progress_ends_at_all_images(store):
    seen = []
    derived_store(store, filter=NONE, region=LUNG, progress=lambda *told: seen.append(told))
    assert [told for told in seen if told[1] == 5] == [("lung masks", 5, 5), ("filtering images", 5, 5)]
