"""Field of view and reconstruction: where pixels lie, and what becomes of densities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fingerprints.generators.phantoms.canvas import AIR
from fingerprints.generators.phantoms.patient import Patient
from fingerprints.generators.phantoms.scanner import WINDOW_CENTRE, WINDOW_WIDTH, aim, reconstruct


@pytest.mark.parametrize(("size", "side"), [(16, 32), (256, 512), (512, 512)])
def test_small_slices_are_painted_at_twice_their_size(patient: Patient, size: int, side: int) -> None:
    canvas = aim(patient, 100.0, size, np.random.default_rng(0))
    assert canvas.hu.shape == (side, side)
    assert (canvas.hu == AIR).all()


def test_matrix_leads_from_millimetres_to_pixels(patient: Patient) -> None:
    straight = replace(patient, warp=0.0)
    canvas = aim(straight, 100.0, 32, np.random.default_rng(0))
    for row, column in ((0, 0), (10, 50), (63, 20)):
        found = canvas.to_pixels @ (canvas.x[row, column], canvas.y[row, column], 1.0)
        assert found.tolist() == pytest.approx([row, column], abs=1e-2)


def test_warp_bends_by_no_more_than_the_margin(patient: Patient) -> None:
    straight, bent = (
        aim(replace(patient, warp=warp), 100.0, 32, np.random.default_rng(0)) for warp in (0.0, 4.0)
    )
    moved = np.maximum(np.abs(straight.x - bent.x), np.abs(straight.y - bent.y))
    assert 1 < moved.max() <= bent.margin


def test_window_maps_its_edges_to_black_and_white(patient: Patient) -> None:
    silent = replace(patient, kernel=(0.5, 0.0, 0.0, 1.0))
    black, white = WINDOW_CENTRE - WINDOW_WIDTH / 2, WINDOW_CENTRE + WINDOW_WIDTH / 2
    for hu, grey in ((black - 100, 0), (black, 0), (WINDOW_CENTRE, 128), (white, 255), (white + 100, 255)):
        flat = np.full((8, 8), hu, dtype=np.float32)
        image = reconstruct(flat, silent, 120.0, np.random.default_rng(0))
        assert image.dtype == np.uint8
        assert (image == grey).all()


def test_noise_is_louder_in_the_body_and_with_shoulders(patient: Patient) -> None:
    noisy = replace(patient, kernel=(0.5, 0.0, 40.0, 0.7))

    def deviation(hu: float, z: float) -> float:
        flat = np.full((64, 64), hu, dtype=np.float32)
        return float(reconstruct(flat, noisy, z, np.random.default_rng(0)).std())

    assert deviation(-1000, 120.0) < deviation(-300, 120.0) < deviation(-300, 10.0)
