"""Tiny folders for audits: patients whose slices are alike, and generated images that copy some of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fingerprints.config.auditing import AuditSettings, BatterySettings
from tests.decisions.parts import settings as decision

SIDE = 16
EXPOSED = ("p00", "p01", "p02")  # patients whose slices were copied
BATTERY = BatterySettings(
    detectors=(
        decision("similarity_matrix", metric="mse", rule="retrieval"),
        decision("distance", cut="half"),
    )
)


def patient(rng: np.random.Generator, slices: int) -> np.ndarray:
    """`(slices, SIDE, SIDE)` uint8: a body of its own, and noise."""
    body = rng.integers(30, 220, (SIDE, SIDE))
    return np.clip(body + rng.normal(0, 20, (slices, SIDE, SIDE)), 0, 255).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_folders(
    root: Path, *, patients: int = 6, reference: int = 60, slices: int = 4, seed: int = 0
) -> Path:
    """`real/pNN/`, `reference/rNN/` and `generated/`: 60 images, 12 of them copies of slices of `EXPOSED`."""
    rng = np.random.default_rng(seed)
    copied = []
    for number in range(patients):
        for at, pixels in enumerate(patient(rng, slices)):
            save(root / f"real/p{number:02d}/{at}.png", pixels)
            if f"p{number:02d}" in EXPOSED:
                copied.append(np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8))
    for number in range(reference):
        for at, pixels in enumerate(patient(rng, slices)):
            save(root / f"reference/r{number:02d}/{at}.png", pixels)
    for at, pixels in enumerate([*copied, *(patient(rng, 1)[0] for _ in range(60 - len(copied)))]):
        save(root / f"generated/g{at:02d}.png", pixels)
    return root


def audit_settings(root: Path, **options: Any) -> AuditSettings:
    """Settings of an audit of `write_folders`; with `reference=None` there is none."""
    given = {
        "real": root / "real",
        "generated": root / "generated",
        "reference": str(root / "reference"),
        "groups": "folders",
        "out": root / "out",
        "size": SIDE,
        "names": "keep",
        "planted": 8,
        "battery": BATTERY,
    }
    return AuditSettings(**(given | options))
