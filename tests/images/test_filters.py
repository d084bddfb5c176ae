from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from skimage.exposure import equalize_adapthist
from skimage.filters import threshold_otsu

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import build_option, registered
from fingerprints.images.filters import contrast, denoise, make_filter, noise
from fingerprints.images.settings import FilterSettings


@pytest.fixture
def images(chest) -> np.ndarray:
    return np.stack([chest(48, seed=seed, dark=50 + 20 * seed)[0] for seed in range(3)])


def filtered(images: np.ndarray, name: str, **options: object) -> np.ndarray:
    return make_filter(build_option("filter", {"name": name, **options}))(images)


VARIANTS = [
    ("equalize", {}),
    ("laplacian", {}),
    ("laplacian", {"signed": True}),
    ("binarize", {}),
    ("binarize", {"threshold": 190}),
    ("contrast", {}),
    ("contrast", {"low": 10.0, "high": 90.0}),
    ("contrast", {"method": "clahe"}),
    ("contrast", {"method": "clahe", "clip_limit": 0.1}),
    ("contrast", {"method": "clahe", "tiles": 2}),
    ("denoise", {}),
    ("denoise", {"radius": 2}),
    ("denoise", {"operation": "closing"}),
    ("denoise", {"operation": "both"}),
    ("noise", {}),
    ("noise", {"amount": 0.2}),
    ("noise", {"seed": 1}),
    ("noise", {"kind": "salt_pepper"}),
    ("colorize", {}),
    ("colorize", {"colormap": "jet"}),
]


def test_every_variant_gives_other_pixels(images):
    before = images.copy()
    made = [filtered(images, name, **options) for name, options in VARIANTS]
    assert {out.dtype for out in made} == {np.dtype(np.uint8)}
    grey = np.broadcast_to(images[:, None], (3, 3, 48, 48))
    coloured = [out if out.ndim == 4 else np.broadcast_to(out[:, None], grey.shape) for out in made]
    assert len({out.tobytes() for out in [grey, *coloured]}) == len(VARIANTS) + 1
    assert np.array_equal(images, before)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_an_image_does_not_depend_on_its_neighbours(images, name, options):
    together = filtered(images, name, **options)
    assert np.array_equal(filtered(images[1:2], name, **options), together[1:2])
    assert len(filtered(images[:0], name, **options)) == 0


@pytest.mark.parametrize(("name", "options"), VARIANTS)
@pytest.mark.parametrize("level", [0, 255])
def test_constant_images_pass(name, options, level):
    assert np.isfinite(filtered(np.full((1, 32, 32), level, np.uint8), name, **options)).all()


def test_none_is_the_same_array(images):
    assert filtered(images, "none") is images


def test_equalize_gives_ranks(images):
    image = images[0]
    ranks = np.array([(image <= value).mean() for value in range(256)])
    assert np.abs(filtered(images, "equalize")[0] - 255 * ranks[image]).max() <= 0.51


def test_laplacian_is_the_five_point_stencil(images):
    padded = np.pad(images.astype(int), ((0, 0), (1, 1), (1, 1)), mode="edge")
    centre = padded[:, 1:-1, 1:-1]
    expected = sum(np.roll(padded, by, axis)[:, 1:-1, 1:-1] for by in (1, -1) for axis in (1, 2)) - 4 * centre
    assert np.array_equal(filtered(images, "laplacian"), np.clip(np.abs(expected), 0, 255))
    signed = filtered(images, "laplacian", signed=True)
    assert np.abs(signed - np.clip(128 + expected / 2, 0, 255)).max() <= 0.5


def test_binarize_is_otsu_or_the_level(images):
    for image, out in zip(images, filtered(images, "binarize"), strict=True):
        assert np.array_equal(out, 255 * (image > threshold_otsu(image)))
    assert np.array_equal(filtered(images, "binarize", threshold=190), 255 * (images > 190))


def test_contrast_stretches_percentiles_and_equalises_tiles(images):
    out = filtered(images, "contrast", low=10.0, high=90.0)[0]
    low, high = np.percentile(images[0], (10, 90))
    assert (out[images[0] <= low] == 0).all()
    assert (out[images[0] >= high] == 255).all()
    inner = (images[0] > low) & (images[0] < high)
    assert np.abs(out[inner] - (images[0][inner] - low) / (high - low) * 255).max() <= 0.51
    clahe = filtered(images, "contrast", method="clahe", tiles=4, clip_limit=0.02)[0]
    expected = 255 * equalize_adapthist(images[0], kernel_size=12, clip_limit=0.02)
    assert np.abs(clahe - expected).max() <= 0.51


def test_denoise_removes_specks_smaller_than_the_disc():
    image = np.full((1, 32, 32), 100, np.uint8)
    image[0, 8, 8], image[0, 20, 20] = 250, 10
    for operation, left in (("opening", [(20, 20)]), ("closing", [(8, 8)]), ("both", [])):
        out = filtered(image, "denoise", operation=operation)
        changed = [(int(row), int(column)) for row, column in np.argwhere(out[0] != 100)]
        assert changed == left
    wide = np.full((1, 32, 32), 100, np.uint8)
    wide[0, 14:17, 14:17] = 250
    assert filtered(wide, "denoise").max() == 250
    assert filtered(wide, "denoise", radius=3).max() == 100


def test_noise_is_the_images_own(images):
    twice = np.concatenate([images, images[::-1]])
    out = filtered(twice, "noise")
    assert np.array_equal(out[:3], out[:2:-1])
    assert not np.array_equal(out[0].astype(int) - images[0], out[1].astype(int) - images[1])


def test_noise_has_the_amount():
    grey = np.full((1, 256, 256), 128, np.uint8)
    assert filtered(grey, "noise", amount=0.1).astype(float).std() == pytest.approx(25.5, rel=0.02)
    salted = filtered(grey, "noise", kind="salt_pepper", amount=0.1)
    assert (salted == 0).mean() == pytest.approx(0.05, abs=0.005)
    assert (salted == 255).mean() == pytest.approx(0.05, abs=0.005)
    assert np.array_equal(filtered(grey, "noise", amount=0.0), grey)


def test_colorize_is_matplotlibs_map(images):
    out = filtered(images, "colorize", colormap="jet")
    assert out.shape == (3, 3, 48, 48)
    expected = matplotlib.colormaps["jet"](images / 255.0, bytes=True)[..., :3]
    assert np.abs(out.transpose(0, 2, 3, 1).astype(int) - expected).max() <= 1
    assert np.array_equal(filtered(images, "colorize", colormap="gray")[:, 0], images)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "equalise"}, "filter=equalize"),
        ({"name": "noise", "radius": 2}, "no configuration key 'filter.radius'"),
        ({"name": "noise", "kind": "speckle"}, "gaussian, salt_pepper"),
        ({"name": "contrast", "method": "gamma"}, "stretch, clahe"),
        ({"name": "contrast", "low": 60.0, "high": 40.0}, "below the high one"),
        ({"name": "denoise", "operation": "erosion"}, "opening, closing, both"),
        ({"name": "colorize", "colormap": "virids"}, "viridis"),
    ],
)
def test_unknown_settings_are_said(images, settings, said):
    with pytest.raises(FingerprintsError) as error:
        make_filter(build_option("filter", settings))(images)
    assert said in str(error.value)


@pytest.mark.parametrize("kind", registered("filter").values(), ids=lambda kind: kind.name)
def test_every_registered_filter_takes_its_own_settings(images, kind):
    assert issubclass(kind, FilterSettings)
    out = make_filter(kind())(images)
    assert out.dtype == np.uint8
    assert (out.shape == images.shape) == (kind.name != "colorize")


@pytest.mark.parametrize(
    ("call", "right"),
    [
        (lambda images: contrast(images, method="strech"), "stretch or clahe"),
        (lambda images: denoise(images, operation="open"), "opening, closing, both"),
        (lambda images: noise(images, kind="salt"), "gaussian or salt_pepper"),
    ],
)
def test_functions_name_what_they_know(call, right):
    with pytest.raises(FingerprintsError) as error:
        call(np.zeros((1, 8, 8), dtype=np.uint8))
    assert error.value.fix in (f"use {right}", f"use one of {right}")
