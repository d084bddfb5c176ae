from __future__ import annotations

from pathlib import Path

import numpy as np

from fingerprints.auditing.images import GENERATED, REAL, named, read_folder
from fingerprints.auditing.neighbours import find_copies, nearest
from tests.auditing.folders import audit_settings, patient, save


def test_identical_and_near_copies_are_told_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    real, others = patient(rng, 3), [patient(rng, 1)[0] for _ in range(3)]
    for number, pixels in enumerate(real):
        save(tmp_path / f"real/p/{number}.png", pixels)
    brighter = (real[1] // 2 + 60).astype(np.uint8)  # the same thumbnail
    for number, pixels in enumerate([others[0], real[2], brighter]):
        save(tmp_path / f"generated/{number}.png", pixels)
    for number, pixels in enumerate([others[1], brighter]):
        save(tmp_path / f"reference/{number}.png", pixels)
    settings = audit_settings(tmp_path)
    folders = [
        named(read_folder(settings, role, tmp_path / role, groups=None, progress=None), salt=None)
        for role in (REAL, GENERATED, "reference")
    ]
    found = find_copies(*folders, threshold=0.99)
    assert found.identical == ((2, 1),)
    assert [pair[:2] for pair in found.near] == [(2, 1), (1, 2)]
    assert (found.near_count, found.near_real, found.near_reference) == (2, 2, 1)
    said = found.to_json(folders[0], folders[1], threshold=0.99)
    assert said["identical"] == [{"real": "p/2.png", "generated": "1.png"}]
    assert find_copies(folders[0], folders[1], None, threshold=0.99).near_reference is None


def test_nearest_images_are_those_of_a_slow_search(monkeypatch) -> None:
    monkeypatch.setattr("fingerprints.auditing.neighbours.BLOCK", 3)
    rng = np.random.default_rng(1)
    real, generated = (rng.integers(0, 256, (count, 5, 5), dtype=np.uint8) for count in (4, 8))
    rows, rms = nearest(real, generated, count=2)
    for row, image in enumerate(real.astype(float)):
        slow = [np.sqrt(((image - other) ** 2).mean()) for other in generated.astype(float)]
        assert rows[row].tolist() == np.argsort(slow)[:2].tolist()
        np.testing.assert_allclose(rms[row], np.sort(slow)[:2], rtol=1e-4)
    assert nearest(real, generated[:1], count=2)[0].shape == (4, 1)
