"""Near-duplicates and copies in different groups are counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fingerprints.ingestion.intake import Intake
from tests.ingestion.tables import table

pytest.importorskip("pydicom")
Write = Callable[..., Path]


def test_near_duplicates_and_copies_in_other_groups_are_counted(
    tmp_path: Path, write_image: Write, take: Callable[..., Intake], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    coarse = [np.kron(rng.integers(40, 200, (16, 16)), np.ones((3, 3))) for _ in range(3)]
    for patient, body, noise in [
        ("p", 0, 0),
        ("p", 1, 0),
        ("q", 0, 0),
        ("q", 0, 30),
        ("r", 2, 0),
        ("r", 2, 0),
    ]:
        pixels = coarse[body] + noise * rng.standard_normal((48, 48))
        number = len(list(tmp_path.glob("in/*/*")))
        write_image(tmp_path / f"in/{patient}/{number}.png", np.clip(pixels, 0, 255).astype(np.uint8))
    taken = take(groups="folders", key=tmp_path / "key")
    out, facts = tmp_path / "out", taken.facts
    assert facts["near_duplicates"] == {"correlation": 0.95, "pairs": 2}
    assert facts["identical"] == {"copies": 2, "across_groups": 2}

    groups = dict(table(out / "groups.csv")[1:])
    small = {
        file: np.asarray(Image.open(out / file), dtype=float).reshape(16, 3, 16, 3).mean(axis=(1, 3)).ravel()
        for file in groups
    }
    header, *rows = table(out / "near_duplicates.csv")
    assert header == ["file_a", "file_b", "group_a", "group_b", "correlation"]
    expected = {
        (a, b): np.corrcoef(small[a], small[b])[0, 1]
        for a in small
        for b in small
        if a < b and groups[a] != groups[b] and np.corrcoef(small[a], small[b])[0, 1] >= 0.95
    }
    assert {(a, b): pytest.approx(float(r), abs=1e-4) for a, b, _, _, r in rows} == expected
    assert all((groups[a], groups[b]) == (x, y) for a, b, x, y, _ in rows)
    assert [row[4] for row in rows] == sorted((row[4] for row in rows), reverse=True)
    assert ": 2 pairs" in taken.describe()
    assert rows[0][0] in taken.describe()

    monkeypatch.setattr("fingerprints.ingestion.copies.PAIRS_KEPT", 1)
    cut = take(groups="folders", out=tmp_path / "other")
    assert cut.facts["near_duplicates"]["pairs"] == 2
    assert [row[4] for row in table(tmp_path / "other/near_duplicates.csv")[1:]] == ["1.0000"]
    assert "holds the 1 most similar of 2 pairs" in cut.describe()
