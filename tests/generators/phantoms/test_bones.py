"""Bones: dense, where they belong, and moving with the height."""

from __future__ import annotations

from typing import Any

import numpy as np

from fingerprints.generators.phantoms.bones import paint_ribs, paint_spine, paint_sternum_and_shoulders
from fingerprints.generators.phantoms.canvas import AIR
from fingerprints.generators.phantoms.patient import Patient

DENSE = 200


def dense(opened: Any, patient: Patient, z: float, paint: Any) -> Any:
    canvas, chest = opened(z)
    paint(canvas, patient, z, chest)
    return canvas, chest, canvas.hu > DENSE


def test_ribs_lie_on_the_cage_and_move_with_the_height(opened: Any, patient: Patient) -> None:
    canvas, chest, bone = dense(opened, patient, 100.0, paint_ribs)
    assert bone.any()
    assert (np.abs(chest.cage[bone]) < 12).all()
    assert (canvas.hu[np.abs(chest.cage) > 20] == AIR).all()
    assert not np.array_equal(bone, dense(opened, patient, 112.0, paint_ribs)[2])


def test_spine_is_in_the_middle_at_the_back(opened: Any, patient: Patient) -> None:
    canvas, chest, bone = dense(opened, patient, 100.0, paint_spine)
    assert bone.any()
    assert np.abs(canvas.x[bone].mean()) < 8
    assert canvas.y[bone].mean() > 0.6 * chest.depth


def test_clavicles_and_shoulder_blades_are_at_the_top_only(opened: Any, patient: Patient) -> None:
    high, low = (dense(opened, patient, z, paint_sternum_and_shoulders)[2].sum() for z in (20.0, 180.0))
    assert high > 2 * low
    canvas, _, _ = dense(opened, patient, 180.0, paint_sternum_and_shoulders)
    painted = canvas.hu > AIR
    assert painted.any()
    assert (canvas.y[painted] < 0).all()  # the sternum is in front
