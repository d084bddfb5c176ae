"""Lungs: air with vessels, and lesions where the patient is ill."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fingerprints.generators.phantoms.canvas import MUSCLE, Canvas
from fingerprints.generators.phantoms.lungs import paint_lungs
from fingerprints.generators.phantoms.patient import Patient

Z = 110.0


def painted(opened: Any, p: Patient, z: float = Z) -> Canvas:
    canvas, chest = opened(z)
    canvas.hu[:] = MUSCLE
    far = np.full(canvas.hu.shape, 80.0, dtype=np.float32)
    paint_lungs(canvas, p, z, chest, mediastinum=np.minimum(np.abs(canvas.x) - 30, far), domes=None)
    return canvas


def test_two_lungs_of_air_with_vessels_in_a_body(opened: Any, patient: Patient) -> None:
    canvas = painted(opened, patient)
    lung = canvas.hu < -600
    assert 0.08 < lung.mean() < 0.4
    assert not lung[np.abs(canvas.x) < 20].any()
    assert min(lung[canvas.x < -35].mean(), lung[canvas.x > 35].mean()) > 0.08
    _, chest = opened(Z)
    deep = (chest.cage < -25) & (np.abs(canvas.x) > 50)
    assert (canvas.hu[deep] > -300).any()  # vessels


def test_lesions_make_the_lung_denser_where_they_are(opened: Any, patient: Patient) -> None:
    ill = replace(patient, lesions=np.array([[80.0, 30.0, Z, 20.0, 1.2]]), opacity=300.0)
    healthy, sick = painted(opened, patient), painted(opened, ill)
    change = sick.hu - healthy.hu
    near = np.hypot(healthy.x - 80, healthy.y - 30) < 10
    assert change[near].mean() > 200
    assert np.abs(change[healthy.x < 0]).max() < 1e-3
    assert np.array_equal(painted(opened, ill, Z + 60).hu, painted(opened, patient, Z + 60).hu)


def test_fluid_lies_at_the_back(opened: Any, patient: Patient) -> None:
    wet, dry = painted(opened, replace(patient, effusion=35.0), 190.0), painted(opened, patient, 190.0)
    filled = wet.hu - dry.hu > 300
    assert filled.any()
    assert dry.y[filled].mean() > 30


def test_lungs_are_small_at_the_apex(opened: Any, patient: Patient) -> None:
    apex, middle = ((painted(opened, patient, z).hu < -600).mean() for z in (12.0, Z))
    assert apex < 0.6 * middle
