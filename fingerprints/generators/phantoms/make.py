"""Slices of virtual patients, and the patient of each slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.measure import block_reduce

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.progress import Progress
from fingerprints.generators.phantoms.bones import paint_ribs, paint_spine, paint_sternum_and_shoulders
from fingerprints.generators.phantoms.canvas import Field
from fingerprints.generators.phantoms.chest import chest_of
from fingerprints.generators.phantoms.lungs import paint_lungs
from fingerprints.generators.phantoms.mediastinum import paint_airways, paint_mediastinum
from fingerprints.generators.phantoms.patient import Patient, draw_patient
from fingerprints.generators.phantoms.scanner import aim, reconstruct
from fingerprints.generators.phantoms.trunk import paint_abdomen, paint_trunk

SMALLEST = 16  # image side in pixels; no organ is visible below it


@dataclass(frozen=True)
class Phantoms:
    """Slices and their patients; the slices of a patient are consecutive, from apex to base.

    Args:
        images: `(n, size, size)` uint8, lung window (-600/1500 HU): air 60, lung 80, fat 213,
            soft tissue 235, bone 255.
        patients: `(n,)` group of each image, such as `patient_0007`.
    """

    images: NDArray[np.uint8]
    patients: list[str]


def make_phantoms(
    *,
    patients: int,
    slices_per_patient: int,
    size: int = 64,
    seed: int = 0,
    progress: Progress | None = None,
) -> Phantoms:
    """Draw `patients * slices_per_patient` slices.

    A patient depends only on `seed`, its number, `slices_per_patient` and `size`: 10 patients are the
    first 10 of 20. Another size shows the same anatomy with other noise.

    Args:
        patients: Number of patients, 1 or more.
        slices_per_patient: Number of slices from the upper to the lower lung, 1 or more.
        size: Image side in pixels, 16 or more.
        seed: 0 or more.
        progress: Called with `"phantoms"`, number of images made and total number, after each patient.

    Raises:
        FingerprintsError: If a number is too small.
    """
    for key, value, least in (
        ("patients", patients, 1),
        ("slices_per_patient", slices_per_patient, 1),
        ("size", size, SMALLEST),
        ("seed", seed, 0),
    ):
        if value < least:
            raise FingerprintsError(
                f"Phantoms need {key} >= {least}, not {value}.", where=key, fix=f"{key}={least} or more"
            )
    total = patients * slices_per_patient
    images = np.empty((total, size, size), dtype=np.uint8)
    for number in range(patients):
        patient = draw_patient(np.random.default_rng([seed, number, 0xB0D7]))
        for i in range(slices_per_patient):
            shape_rng = np.random.default_rng([seed, number, i, 0x511CE])
            noise_rng = np.random.default_rng([seed, number, i, 0x0153])
            z = patient.top + (patient.bottom - patient.top) * (i + shape_rng.random()) / slices_per_patient
            hu = _draw_slice(patient, z, size, shape_rng)
            images[number * slices_per_patient + i] = reconstruct(hu, patient, z, noise_rng)
        if progress is not None:
            progress("phantoms", (number + 1) * slices_per_patient, total)
    names = [f"patient_{number:04d}" for number in range(patients) for _ in range(slices_per_patient)]
    return Phantoms(images=images, patients=names)


def _draw_slice(p: Patient, z: float, size: int, rng: np.random.Generator) -> Field:
    """`(size, size)` densities in HU of the slice at `z`, before the scanner's blur and noise."""
    breath = float(rng.normal(0, 1.0))  # deeper breath: wider chest, lower diaphragm
    canvas = aim(p, z, size, rng)
    chest = chest_of(p, canvas, z, breath=breath)
    paint_trunk(canvas, p, z, chest)
    mediastinum = paint_mediastinum(canvas, p, z, chest)
    domes = paint_abdomen(canvas, p, z + 4 * -breath, chest)
    paint_lungs(canvas, p, z, chest, mediastinum=mediastinum, domes=domes)
    paint_airways(canvas, p, z, chest)
    paint_ribs(canvas, p, z, chest)
    paint_spine(canvas, p, z, chest)
    paint_sternum_and_shoulders(canvas, p, z, chest)
    hu = np.clip(canvas.hu, -1050, 900)
    factor = len(hu) // size
    return np.asarray(block_reduce(hu, (factor, factor), np.mean), dtype=np.float32) if factor > 1 else hu
