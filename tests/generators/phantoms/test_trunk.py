"""Trunk and abdomen: tissue around the cage, and the diaphragm's domes below it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fingerprints.generators.phantoms.canvas import AIR, FAT, LIVER, MUSCLE
from fingerprints.generators.phantoms.patient import Patient
from fingerprints.generators.phantoms.trunk import paint_abdomen, paint_trunk


def test_trunk_is_tissue_in_air(opened: Any, patient: Patient) -> None:
    canvas, chest = opened(120.0)
    paint_trunk(canvas, patient, 120.0, chest)
    assert np.median(canvas.hu[[0, 0, -1, -1], [0, -1, 0, -1]]) == AIR
    assert (np.abs(canvas.hu - MUSCLE) < 20).mean() > 0.03
    assert np.abs(canvas.hu[chest.cage < -20] + 70).max() < 50  # organs are painted over it
    assert ((canvas.hu > FAT - 30) & (canvas.hu < FAT + 30)).mean() > 0.01


def test_table_lies_behind_the_patient(opened: Any, patient: Patient) -> None:
    lying = replace(patient, table=8.0)
    (without, chest), (on_table, _) = (opened(120.0, p=p) for p in (patient, lying))
    paint_trunk(without, patient, 120.0, chest)
    paint_trunk(on_table, lying, 120.0, chest)
    rows = np.flatnonzero((without.hu != on_table.hu).any(axis=1))
    assert len(rows)
    assert rows.min() > len(without.hu) / 2


def test_liver_is_at_the_right_and_only_below_its_dome(opened: Any, patient: Patient) -> None:
    canvas, chest = opened(120.0)
    assert paint_abdomen(canvas, patient, min(patient.dome) - 1, chest) is None
    assert (canvas.hu == AIR).all()
    z = max(patient.dome) + 45
    canvas, chest = opened(z)
    domes = paint_abdomen(canvas, patient, z, chest)
    assert domes is not None
    right = canvas.x < -20  # the image shows the patient's right side at its left
    liver = np.abs(canvas.hu - LIVER) < 5
    assert liver[right].mean() > 2 * liver[canvas.x > 20].mean()
    assert (domes[liver & right] < 5).all()
