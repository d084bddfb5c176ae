"""Mediastinum and airways: what is there depends on the height."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fingerprints.generators.phantoms.canvas import AIR, BLOOD
from fingerprints.generators.phantoms.mediastinum import paint_airways, paint_mediastinum
from fingerprints.generators.phantoms.patient import Patient


def test_heart_is_below_the_carina_and_parts_the_lungs(opened: Any, patient: Patient) -> None:
    areas = []
    for z in (40.0, 150.0):
        canvas, chest = opened(z)
        whole = paint_mediastinum(canvas, patient, z, chest)
        assert whole.shape == canvas.hu.shape
        areas.append(float(((whole < 0) & (chest.cage < 0)).mean()))
        assert (canvas.hu[whole > 20] == AIR).mean() > 0.95
    assert areas[1] > 1.2 * areas[0]


def test_contrast_brightens_blood(opened: Any, patient: Patient) -> None:
    peaks = []
    for contrast in (0.0, 120.0):
        canvas, chest = opened(70.0)
        paint_mediastinum(canvas, replace(patient, contrast=contrast), 70.0, chest)
        peaks.append(float(canvas.hu.max()))
    assert peaks[0] < BLOOD + 5
    assert peaks[1] > BLOOD + 100


def test_one_trachea_becomes_two_bronchi_and_ends(opened: Any, patient: Patient) -> None:
    dark = {}
    for below in (-30.0, 30.0, 60.0):
        canvas, chest = opened(patient.carina + below)
        canvas.hu[:] = 30.0
        paint_airways(canvas, patient, patient.carina + below, chest)
        columns = np.flatnonzero((canvas.hu < -600).any(axis=0))
        dark[below] = (len(columns), int((np.diff(columns) > 2).sum()))
    assert dark[-30.0][0] > 0
    assert dark[-30.0][1] == 0  # one tube
    assert dark[30.0][1] == 1  # two, with a gap
    assert dark[60.0][0] == 0
