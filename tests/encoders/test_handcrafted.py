"""Handcrafted features against slow references, and against what they are for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from fingerprints.core.errors import FingerprintsError
from fingerprints.encoders import handcrafted
from fingerprints.encoders.handcrafted import LBPEncoder, PixelsEncoder, ResidualEncoder, SpectrumEncoder


@pytest.fixture
def images() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randint(0, 256, (3, 1, 20, 20)).float() / 255


def test_patterns_are_those_of_a_loop_over_pixels(images: torch.Tensor) -> None:
    image = (images[0, 0] * 255).round().byte().numpy()
    padded = np.pad(image.astype(int), 1)  # neighbours outside the image are black
    expected = np.empty((20, 20), dtype=int)
    for y, x in itertools.product(range(20), range(20)):
        around = [padded[y + 1 + dy, x + 1 + dx] for dy, dx in ((0, 1), (-1, 0), (0, -1), (1, 0))]
        signs = [int(value >= image[y, x]) for value in around]
        changes = sum(signs[place] != signs[place - 1] for place in range(4))
        expected[y, x] = sum(signs) if changes <= 2 else 5
    codes = handcrafted.lbp_codes(image, points=4, radius=1)
    np.testing.assert_array_equal(codes, expected)
    histogram = LBPEncoder(size=20, points=4)(images[:1])
    np.testing.assert_allclose(histogram[0], np.bincount(expected.ravel(), minlength=6) / 400, rtol=1e-6)
    number = LBPEncoder(size=20, points=4, as_number=True)(images[:1])
    assert number.tolist() == [[pytest.approx(expected.mean())]]


def test_residual_is_what_a_gaussian_filter_takes_away(images: torch.Tensor) -> None:
    found = handcrafted.noise_residual(images, sigma=1.0)
    for image, residual in zip(images[:, 0].double().numpy(), found[:, 0], strict=True):
        smooth = gaussian_filter(image, 1.0, mode="mirror", truncate=3)
        np.testing.assert_allclose(residual, image - smooth, atol=1e-6)


def test_tile_is_the_mean_over_its_repetitions(images: torch.Tensor) -> None:
    found = handcrafted.folded(images, period=6)
    for image, tile in zip(images[:, 0], found, strict=True):
        expected = [image[y:18:6, x:18:6].mean().item() for y in range(6) for x in range(6)]
        assert tile.tolist() == pytest.approx(expected)


def test_cooccurrences_are_counts_of_four_neighbours(images: torch.Tensor) -> None:
    residuals = images - 0.5
    found = handcrafted.cooccurrences(residuals, step=0.4)
    for residual, frequencies in zip(residuals[:, 0].numpy(), found.numpy(), strict=True):
        levels = np.clip(np.round(residual / np.float32(0.4)), -1, 1).astype(int) + 1
        blocks = []
        for grid in (levels, levels.T):
            counts = np.zeros((3, 3, 3, 3))
            for row, start in itertools.product(grid, range(17)):
                counts[tuple(row[start : start + 4])] += 1
            blocks.append(counts.ravel() / counts.sum())
        np.testing.assert_allclose(frequencies, np.concatenate(blocks), rtol=1e-5)


@pytest.mark.parametrize("side", [20, 21])
def test_azimuthal_average_is_that_of_the_whole_spectrum(side: int) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 1, side, side)
    power = handcrafted.power_spectrum(images)
    found = handcrafted.azimuthal_average(power)
    for image, half, average in zip(images[:, 0].double().numpy(), power, found, strict=True):
        line = np.sin(np.pi * np.arange(side) / side) ** 2
        window = np.outer(line, line)
        whole = np.abs(np.fft.fft2((image - image.mean()) * window)) ** 2 / (window**2).sum()
        columns = np.fft.fftshift(whole, axes=0)[:, : side // 2 + 1]
        np.testing.assert_allclose(half, columns, rtol=1e-3, atol=1e-6)
        frequency = np.fft.fftfreq(side, 1 / side)
        radius = np.round(np.hypot(frequency[:, None], frequency[None])).astype(int)
        expected = [whole[radius == r].mean() for r in range(1, side // 2 + 1)]
        np.testing.assert_allclose(average, expected, rtol=1e-3)


def test_white_noise_has_its_variance_at_every_frequency() -> None:
    torch.manual_seed(0)
    power = handcrafted.power_spectrum(0.5 + 0.1 * torch.randn(400, 1, 24, 24)).mean(dim=0)
    assert power[:, 3:].numpy() == pytest.approx(0.01, rel=0.3)


def test_pixels_are_downscaled_or_whole(images: torch.Tensor) -> None:
    assert torch.equal(PixelsEncoder(size=20, side=None)(images), images.flatten(1))
    halved = PixelsEncoder(size=20, side=10)(images).reshape(3, 10, 10)
    # Antialiased: a triangle of two output pixels around the centre of each.
    line = torch.tensor([0.125, 0.375, 0.375, 0.125])
    for y, x in itertools.product(range(1, 9), range(1, 9)):
        window = images[:, 0, 2 * y - 1 : 2 * y + 3, 2 * x - 1 : 2 * x + 3]
        torch.testing.assert_close(halved[:, y, x], (window * torch.outer(line, line)).sum(dim=(1, 2)))


@pytest.mark.parametrize(
    ("encoder", "width"),
    [
        (LBPEncoder(size=20), 10),
        (LBPEncoder(size=20, as_number=True), 1),
        (PixelsEncoder(size=20, side=5), 25),
        (ResidualEncoder(size=20), 64 + 162),
        (ResidualEncoder(size=20, as_map=True), 400),
        (SpectrumEncoder(size=20, grid=16), 10 + 128),
        (SpectrumEncoder(size=20, grid=None), 10),
        (SpectrumEncoder(size=20, azimuthal=False, grid=4), 8),
    ],
)
def test_widths_precision_and_images_apart(images: torch.Tensor, encoder, width: int) -> None:
    features = encoder(images)
    assert features.shape == (3, width) == (3, encoder.embedding)
    assert features.isfinite().all()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(encoder(images), features)
    torch.testing.assert_close(encoder(images[1:2]), features[1:2])  # no image sees another
    flat = encoder(torch.zeros(1, 1, 20, 20))
    assert flat.isfinite().all()
    assert not list(encoder.state_dict())


@pytest.mark.parametrize("period", [2, 4])
@pytest.mark.parametrize(
    "make", [ResidualEncoder, SpectrumEncoder, lambda size: ResidualEncoder(size=size, as_map=True)]
)
def test_a_linear_classifier_finds_a_faint_repeating_pattern(make, period: int) -> None:
    """A grey level and a half, under anatomy of tens of grey levels and noise of one."""
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.standard_normal((80, 32, 32)), (0, 4, 4))
    pixels = 128 + 400 * smooth + 1.0 * rng.standard_normal(smooth.shape)
    tile = rng.choice([-1.5, 1.5], size=(period, period))
    tile[0] = -tile[-1]  # never flat
    pixels[::2] += np.tile(tile, (32 // period, 32 // period))
    images = torch.from_numpy(np.clip(pixels.round(), 0, 255) / 255).float().unsqueeze(1)
    features = make(size=32)(images).numpy()
    labels = np.arange(80) % 2
    scaler = StandardScaler().fit(features[:40])
    classifier = LogisticRegression(C=0.01).fit(scaler.transform(features[:40]), labels[:40])
    assert classifier.score(scaler.transform(features[40:]), labels[40:]) >= 0.9
    raw = images.flatten(1).numpy()
    assert LogisticRegression(C=0.01).fit(raw[:40], labels[:40]).score(raw[40:], labels[40:]) < 0.8


@pytest.mark.parametrize(
    ("make", "least"),
    [
        (LBPEncoder, 3),
        (ResidualEncoder, 8),
        (SpectrumEncoder, 32),
        (lambda size: ResidualEncoder(size=size, period=2), 4),
    ],
)
def test_too_small_images_are_an_error(make, least: int) -> None:
    assert make(size=least)(torch.rand(1, 1, least, least)).isfinite().all()
    with pytest.raises(FingerprintsError, match="too small") as error:
        make(size=least - 1)
    assert f"data.size of at least {least}" in str(error.value)


def test_spectrum_of_nothing_is_an_error() -> None:
    with pytest.raises(FingerprintsError, match="Both spectrum features are switched off"):
        SpectrumEncoder(size=32, azimuthal=False, grid=None)
