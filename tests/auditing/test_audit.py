from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from fingerprints.auditing.audit import Audit, audit, without_private
from tests.auditing.folders import EXPOSED, audit_settings


def test_the_exposed_patients_are_found_and_nobody_else(done: Audit) -> None:
    found = done.findings.exposure
    assert found.patients.names[found.patients.found(0.05)].tolist() == list(EXPOSED)
    for one in (found.images, found.standing):
        owners = done.inputs.real.groups[one.found(0.05)]
        assert set(owners.tolist()) == set(EXPOSED)
        assert len(owners) >= 8  # of 12 that were copied


def test_each_detector_has_its_own_p(done: Audit) -> None:
    found = done.findings
    assert found.scores.shape == found.detector_p.shape == (2, 24)
    assert found.detector_p.min() == 1 / 241


def test_the_nearest_generated_image_of_a_copied_slice_is_its_copy(done: Audit) -> None:
    rows = [row for row, name in enumerate(done.inputs.real.groups) if name in EXPOSED]
    assert done.findings.neighbours[rows, 0].tolist() == list(range(12))
    assert (np.diff(done.findings.distances, axis=1) >= 0).all()


def test_without_a_reference_there_are_ranks_only(folders: Path) -> None:
    found = audit(audit_settings(folders, reference=None)).findings
    images, patients = found.exposure.images, found.exposure.patients
    assert (images.p, patients.q, found.detector_p) == (None, None, None)
    assert set(patients.names[np.argsort(-patients.scores)][:3]) == set(EXPOSED)
    assert "no reference" in found.power["reason"]


def test_unused_patients_become_the_reference(folders: Path, tmp_path: Path) -> None:
    (tmp_path / "unused.txt").write_text("p05\n")
    found = audit(audit_settings(folders, reference="auto", unused=tmp_path / "unused.txt", planted=0))
    assert found.findings.exposure.patients.compared_with == 1
    assert "p05" not in found.findings.exposure.patients.names


def test_secrets_are_not_recorded(done: Audit) -> None:
    own = replace(done.settings, names="hash", salt=Path("secret"), key=Path("key"))
    assert (without_private(own).salt, without_private(own).key) == (None, None)
