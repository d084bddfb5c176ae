"""What every organ is painted with: shapes as signed distances, and shares of pixels."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.generators.phantoms.canvas import AIR, Canvas, ellipse_distance, join, ramp

SIDE = 40  # pixels of 1 mm


@pytest.fixture
def canvas() -> Canvas:
    along = np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2
    x, y = np.meshgrid(along, along)
    middle = (SIDE - 1) / 2
    return Canvas(x, y, along, along, to_pixels=np.array([[0, 1, middle], [1, 0, middle]]), margin=0.0)


def test_canvas_begins_as_air(canvas: Canvas) -> None:
    assert (canvas.hu == AIR).all()


def test_distance_to_a_circle_is_exact_and_to_an_ellipse_has_its_sign(canvas: Canvas) -> None:
    far = np.hypot(canvas.x, canvas.y)
    assert np.allclose(ellipse_distance(canvas.x, canvas.y, 10, 10), far - 10, atol=0.02)
    inside = (canvas.x / 12) ** 2 + (canvas.y / 6) ** 2 < 1
    assert np.array_equal(ellipse_distance(canvas.x, canvas.y, 12, 6) < 0, inside)


def test_turned_ellipse_is_the_same_in_turned_coordinates(canvas: Canvas) -> None:
    quarter = ellipse_distance(canvas.x, canvas.y, 12, 6, np.pi / 2)
    assert np.allclose(quarter, ellipse_distance(canvas.x, canvas.y, 6, 12), atol=1e-3)


def test_union_of_far_shapes_is_the_nearer_and_of_near_ones_has_a_fillet() -> None:
    a, b = np.array([5.0, 1.0], np.float32), np.array([50.0, 1.0], np.float32)
    joined = join(a, b, 8)
    assert joined[0] == 5
    assert joined[1] == 1 - 8 / 4


def test_ramp_rises_smoothly_from_0_to_1() -> None:
    assert [ramp(z, 10, 20) for z in (0, 10, 15, 20, 30)] == [0, 0, 0.5, 1, 1]


def test_share_of_a_pixel_is_a_half_on_the_edge(canvas: Canvas) -> None:
    shares = canvas.inside(np.array([-3.0, -0.25, 0.0, 0.25, 3.0], np.float32))
    assert shares.tolist() == [1, 0.75, 0.5, 0.25, 0]
    soft = canvas.inside(np.array([-0.25], np.float32), soft=1.0)
    assert soft.tolist() == [0.625]


def test_ellipse_paints_its_area_and_a_rim(canvas: Canvas) -> None:
    canvas.ellipse(100, 3, -4, 8, 5, rim=400, rim_width=2)
    assert canvas.hu[SIDE // 2 - 4, SIDE // 2 + 3] == pytest.approx(100)
    covered = (canvas.hu - AIR) / (100 - AIR)
    assert covered.sum() > np.pi * 8 * 5
    assert canvas.hu.max() > 300
    assert (canvas.hu[:, :8] == AIR).all()


def test_thick_lines_cover_their_area_and_thin_ones_a_share(canvas: Canvas) -> None:
    start, end = np.array([[-10.0, 0.0]]), np.array([[10.0, 0.0]])
    thick = canvas.lines(start, end, np.array([3.0]))
    assert thick.max() == 1
    assert thick.sum() == pytest.approx(20 * 6 + np.pi * 9, rel=0.05)
    thin = canvas.lines(start, end, np.array([0.1]))
    assert 0 < thin.max() < 0.2


def test_noise_wraps_around_and_is_smooth_along_z(canvas: Canvas) -> None:
    grid = np.random.default_rng(0).standard_normal((16, 16, 16)).astype(np.float32)
    here, near, far = (canvas.noise(grid, z, cell=5.0) for z in (2.0, 2.1, 42.0))
    assert np.abs(here - near).max() < 0.15
    assert np.abs(here - far).max() > 0.5
    assert np.allclose(here, canvas.noise(grid, 2.0 + 16 * 5.0, cell=5.0), atol=1e-4)
