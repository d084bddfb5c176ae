"""The rib cage of a slice: an egg that narrows to the apex and widens with breath."""

from __future__ import annotations

from typing import Any


def test_cage_narrows_to_the_apex_and_keeps_its_back(opened: Any) -> None:
    areas = [float((chest.cage < 0).mean()) for _, chest in (opened(z) for z in (-30.0, 40.0, 120.0))]
    assert areas[0] < areas[1] < areas[2]
    high, low = opened(0.0)[1], opened(120.0)[1]
    assert high.half_depth < low.half_depth == low.depth
    assert high.spine_y == low.spine_y


def test_breath_widens_the_cage(opened: Any) -> None:
    shallow, deep = (opened(120.0, breath=breath)[1] for breath in (-2.0, 2.0))
    assert shallow.width < deep.width
    assert (shallow.cage < 0).sum() < (deep.cage < 0).sum()


def test_fields_are_of_the_canvas(opened: Any) -> None:
    canvas, chest = opened(100.0)
    assert chest.cage.shape == chest.cage_y.shape == chest.texture.shape == canvas.hu.shape
