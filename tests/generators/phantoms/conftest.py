"""One patient in a wide field of view, without table, effusion or lesions, and slices of it at any height."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fingerprints.generators.phantoms.canvas import Canvas
from fingerprints.generators.phantoms.chest import Chest, chest_of
from fingerprints.generators.phantoms.patient import Patient, draw_patient
from fingerprints.generators.phantoms.scanner import aim

WIDE = (240.0, 200.0, 0.0, 0.0, 0.0)  # a field of view around the whole trunk
Opened = Callable[..., tuple[Canvas, Chest]]


@pytest.fixture(scope="session")
def patient() -> Patient:
    drawn = draw_patient(np.random.default_rng(0))
    return replace(drawn, view=WIDE, table=-1.0, effusion=0.0, lesions=np.empty((0, 5)), contrast=0.0)


@pytest.fixture(scope="session")
def opened(patient: Patient) -> Opened:
    """An empty canvas of a patient's slice, and the rib cage there."""

    def make(z: float, *, size: int = 64, breath: float = 0.0, p: Patient = patient) -> tuple[Canvas, Chest]:
        canvas = aim(p, z, size, np.random.default_rng(1))
        return canvas, chest_of(p, canvas, z, breath=breath)

    return make
