"""Shadow generators: which images they have, and what is refused."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.settings import SHADOW
from tests.data.parts import Prepared, Root
from tests.shadow import shadow_pool


def rewrite(folder: Path, change) -> None:
    path = folder / "membership.csv"
    with path.open() as file:
        rows = list(csv.reader(file))
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(change(rows))


def test_they_are_returned_only_when_named(usage_root: Root, prepared: Prepared, tmp_path: Path) -> None:
    root = usage_root()
    folder = shadow_pool(root, tmp_path / "shadow")
    without, _ = prepared(root, "usage")
    index, _ = prepared(root, "usage", shadow=folder)
    assert index.select().equals(without.table)
    found = index.select(split=SHADOW)
    assert found["domain"].value_counts().to_dict() == {"real": 44, "generated": 16}
    assert set(found["generator"]) == {"", "s000", "s001"}
    assert index.membership is not None
    assert list(index.membership.columns) == ["s000", "s001"]
    assert index.membership["s000"].sum() == 22
    assert (index.membership["s000"] != index.membership["s001"]).all()
    assert without.membership is None


def test_another_pool_is_refused(usage_root: Root, prepared: Prepared, tmp_path: Path) -> None:
    root = usage_root()
    other = shadow_pool(usage_root(name="other", seed=1), tmp_path / "other_pool")
    with pytest.raises(FingerprintsError, match="of another pool: 44 of 44 real") as error:
        prepared(root, "usage", shadow=other)
    assert error.value.where == str(other)
    assert "real_used/u_000.png" in error.value.what


def test_tables_that_do_not_fit_are_refused(usage_root: Root, prepared: Prepared, tmp_path: Path) -> None:
    root = usage_root()
    folder = shadow_pool(root, tmp_path / "shadow")
    plain = (folder / "membership.csv").read_text()
    for said, change in {
        "names the generators s000, s9": lambda rows: [["file", "s000", "s9"], *rows[1:]],
        "1 candidate.s. have no row of 0 and 1": lambda rows: rows[:-1],
        "44 candidate.s. were used by all": lambda rows: [
            rows[0],
            *([name, "1", "1"] for name, *_ in rows[1:]),
        ],
    }.items():
        (folder / "membership.csv").write_text(plain)
        rewrite(folder, change)
        with pytest.raises(FingerprintsError, match=said):
            prepared(root, "usage", shadow=folder)
    shutil.rmtree(folder)
    with pytest.raises(FingerprintsError, match="does not exist"):
        prepared(root, "usage", shadow=folder)
