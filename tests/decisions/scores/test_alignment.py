"""Alignment and similarity by patches, against loops and NumPy's own functions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from fingerprints.decisions.scores.alignment import (
    Coarse,
    Patches,
    Shifts,
    angles_to,
    moved,
    oriented,
    small_turns,
)


def textures(count: int, side: int = 32, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(count, side, side))
    return (0.5 + gaussian_filter(noise, (0, 1.5, 1.5))).astype(np.float32)


def test_orientations_are_the_eight_symmetries_of_a_square() -> None:
    image = np.arange(9, dtype=np.float32).reshape(3, 3)
    found = {oriented(image, number).tobytes() for number in range(8)}
    assert len(found) == 8
    assert image.T.tobytes() in found
    np.testing.assert_array_equal(oriented(image, 0), image)
    np.testing.assert_array_equal(oriented(image, 4), image[:, ::-1])
    np.testing.assert_array_equal(oriented(image[None], 5)[0], np.rot90(image[:, ::-1]))


def test_a_shift_repeats_the_edge() -> None:
    image = np.arange(9).reshape(3, 3)
    np.testing.assert_array_equal(moved(image, 1, -1), [[1, 2, 2], [1, 2, 2], [4, 5, 5]])


def test_small_angles_are_symmetric_and_have_zero() -> None:
    np.testing.assert_allclose(angles_to(5), [-5, -2.5, 0, 2.5, 5])
    np.testing.assert_array_equal(angles_to(0), [0])
    np.testing.assert_allclose(angles_to(3), [-3, -1.5, 0, 1.5, 3])
    image = textures(1)[0]
    np.testing.assert_allclose(small_turns(image, np.array([90.0, 0.0])), [np.rot90(image), image], atol=1e-5)


def test_a_coarse_description_follows_a_shift_and_ignores_brightness() -> None:
    images, coarse = textures(6, side=64), Coarse(64)
    shifted = np.stack([moved(image, 3, -2) for image in images])
    plain, followed = coarse.describe(images), coarse.describe(images, 3, -2)
    target = coarse.describe(shifted * 0.5 + 0.2)
    inner = np.zeros((16, 16), dtype=bool)
    inner[2:-2, 2:-2] = True  # shifted images have no content beyond their border
    near = [
        np.corrcoef(a[inner.ravel()], b[inner.ravel()])[0, 1] for a, b in zip(followed, target, strict=True)
    ]
    assert min(near) > 0.98
    assert np.mean(np.sum(plain * target, axis=1)) < 0.8
    np.testing.assert_allclose(np.linalg.norm(plain, axis=1), 1, rtol=1e-5)


def test_the_best_shift_is_that_of_all_shifts_by_pixels() -> None:
    images, shifts = textures(5), Shifts(32, 3)
    by = np.array([(0, 0), (3, -3), (-1, 2), (2, 0), (-3, -2)])
    rolled = np.stack([np.roll(image, tuple(at), axis=(0, 1)) for image, at in zip(images, by, strict=True)])
    similar, found = shifts.best(shifts.spectra(images), shifts.spectra(rolled))
    np.testing.assert_array_equal(found, by)
    assert similar[0] == pytest.approx(1)
    assert similar.min() > 0.8

    # Against the whole inverse transform, for pairs that do not match.
    rows, columns = (np.fft.fftfreq(32) * 32)[:, None], (np.fft.fftfreq(32) * 32)[None]
    kept = (np.abs(rows) <= 15) & (np.abs(columns) <= 15)
    centred = (images - images.mean(axis=(1, 2), keepdims=True)) * shifts.window
    left, right = (np.fft.fft2(some) * np.hypot(rows, columns) * kept for some in (centred[:2], centred[2:4]))
    everywhere = np.fft.ifft2(right * left.conj()).real * 32 * 32
    everywhere /= np.sqrt((abs(left) ** 2).sum((1, 2)) * (abs(right) ** 2).sum((1, 2)))[:, None, None]
    around = np.roll(everywhere, (3, 3), axis=(1, 2))[:, :7, :7]
    similar, found = shifts.best(shifts.spectra(images[:2]), shifts.spectra(images[2:4]))
    np.testing.assert_allclose(similar, around.max(axis=(1, 2)), atol=1e-5)
    np.testing.assert_array_equal(
        found, [np.array(np.unravel_index(some.argmax(), (7, 7))) - 3 for some in around]
    )


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_similarity_by_patches_against_loops(share: float) -> None:
    images, others = textures(4, side=20), textures(4, side=20, seed=1)
    images[1, :10], others[1, :10] = 0.3, 0.3  # no content
    others[2] = 0.2 - 0.5 * images[2]
    images[3] = others[3] = 0.7
    expected = []
    for image, other in zip(images, others, strict=True):
        border = 3
        # 14 pixels are left: patches of 6 that overlap by half or more start at 0, 3, 5 and 8.
        starts = [border + at for at in np.round(np.linspace(0, 8, 4)).astype(int)]
        cells, spreads = [], []
        for y in starts:
            for x in starts:
                own = image[y : y + 6, x : x + 6].astype(float)
                best = -1.0
                for down in (-1, 0, 1):
                    for right in (-1, 0, 1):
                        made = other[y + down : y + down + 6, x + right : x + right + 6].astype(float)
                        flat = own.std() < 1e-6 or made.std() < 1e-6
                        best = max(best, 0.0 if flat else np.corrcoef(own.ravel(), made.ravel())[0, 1])
                cells.append(best)
                spreads.append((own.var(), other[y : y + 6, x : x + 6].astype(float).var()))
        content = (np.array(spreads) > 1e-6 + 0.01 * np.mean(spreads, axis=0)).any(axis=1)
        counted = np.sort(np.array(cells)[content])
        expected.append(counted[int(share * (len(counted) - 1))] if len(counted) else 0.0)
    patches = Patches(side=6, share=share, slack=1, margin=2)
    np.testing.assert_allclose(patches.similarity(images, others), expected, atol=2e-3)
    assert patches.similarity(images, 2 * images)[:3] == pytest.approx(1.0, abs=1e-3)
