"""A folder to ingest, and what ingests it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fingerprints.ingestion.intake import Intake, ingest
from fingerprints.ingestion.settings import IntakeSettings

Write = Callable[..., Path]
SIZE = 48


@pytest.fixture
def take(tmp_path: Path) -> Callable[..., Intake]:
    """Ingests `tmp_path/in` into `tmp_path/out`."""

    def make(**settings: Any) -> Intake:
        return ingest(
            IntakeSettings(**{"images": tmp_path / "in", "out": tmp_path / "out", "size": SIZE, **settings})
        )

    return make


@pytest.fixture
def folder(tmp_path: Path, write_dicom: Write, write_image: Write) -> Path:
    """Two patients as DICOM, of two and one slices, and three pictures."""
    root = tmp_path / "in"
    write_dicom(root / "secretward/IM2", 1)
    write_dicom(root / "secretward/IM1.dcm", 2)
    write_dicom(root / "IM3.ima", 3, PatientID="OTHER-18")
    write_image(root / "mrshidden/a.png", 4)
    write_image(root / "mrshidden/b.jpg", 5, mode="RGB")
    write_image(root / "mrclosed/c.png", 6)
    return root
