from __future__ import annotations

from pathlib import Path

import numpy as np

from fingerprints.auditing.images import GENERATED, REAL, named, read_folder
from fingerprints.auditing.neighbours import copies_among, nearest
from tests.auditing.folders import audit_settings, patient, save


def test_identical_and_changed_copies_are_told_apart_and_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    real = [patient(rng, 1)[0] for _ in range(3)]
    for number, pixels in enumerate(real):
        save(tmp_path / f"real/p{number}/0.png", pixels)
    mirrored = (real[1][:, ::-1] // 2 + 60).astype(np.uint8)
    for number, pixels in enumerate([patient(rng, 1)[0], real[2], mirrored]):
        save(tmp_path / f"generated/{number}.png", pixels)
    for number in range(20):
        save(tmp_path / f"reference/r{number}/0.png", patient(rng, 1)[0])
    settings = audit_settings(tmp_path)
    folders = [
        named(read_folder(settings, role, tmp_path / role, groups="folders", progress=None), salt=None)
        for role in (REAL, GENERATED, "reference")
    ]
    found = copies_among(*folders)
    assert found.identical == ((2, 1),)
    assert found.above.tolist() == [False, True, True]
    assert found.chance == 3 / 21  # the highest of 20 and each of 3 images are exchangeable
    said = found.to_json(folders[0], folders[1])
    assert said["identical"] == [{"real": "p2/0.png", "generated": "1.png"}]
    first, second, third = said["matches"]["listed"]
    assert (first["real"], first["similarity"], first["change"]) == ("p2/0.png", 1.0, "not moved")
    assert (second["group"], second["generated"], second["change"]) == ("p1", "2.png", "mirrored left-right")
    assert [pair["above"] for pair in (first, second, third)] == [True, True, False]
    alone = copies_among(folders[0], folders[1], None)
    assert (alone.chance, alone.above.tolist()) == (None, [False, True, True])


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
