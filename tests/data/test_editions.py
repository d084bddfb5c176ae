"""Every edition of the challenge is read as its archives unpack: folders, file names, palettes, ids."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.data.archives import EDITIONS, SUBSETS, unpack

Prepared = Callable[..., Any]


@pytest.mark.parametrize("edition", EDITIONS)
def test_archives_are_read_as_they_unpack(tmp_path: Path, prepared: Prepared, edition: str) -> None:
    layout, _ = EDITIONS[edition]
    root, test_root = unpack(tmp_path, edition)
    index, store = prepared(root, layout, test_root=test_root)
    table = index.table
    assert [note for note in index.notes if "left out" in note] == []
    assert len(table) == sum(1 for path in tmp_path.rglob("*.png") if "__MACOSX" not in path.parts)
    labels = SUBSETS if layout == "subset" else ("not_used", "used")
    assert index.classes == labels
    assert index.generators == (["1", "2"] if "2024" in edition else [""])
    sizes = table.groupby(["split", "domain", "generator", "label"]).size()
    assert (sizes == 12).all() or layout == "subset"
    for row in np.flatnonzero(table["split"] == "test")[::7]:
        pixels = np.asarray(Image.open(store.paths[row]).convert("L"))
        assert np.array_equal(store.images[row], pixels)
    test = index.select(split="test", domain=index.task.unit)
    assert test["path"].str.startswith("test/").all()
    for generator in index.generators:
        parts = set(zip(*(index.select(generator=generator)[c] for c in ("split", "domain")), strict=True))
        assert {("test", "generated"), ("train", "generated")} <= parts


@pytest.mark.parametrize("edition", EDITIONS)
def test_both_archives_below_one_folder_are_read_too(
    tmp_path: Path, prepared: Prepared, edition: str
) -> None:
    layout, _ = EDITIONS[edition]
    root, test_root = unpack(tmp_path, edition)
    apart, _ = prepared(root, layout, test_root=test_root)
    shutil.move(test_root, root / "test")
    joined, _ = prepared(root, layout)
    assert joined.table.equals(apart.table)


def test_ids_without_zeros_are_matched_by_truth_files_of_all_kinds(
    tmp_path: Path, prepared: Prepared
) -> None:
    root, test_root = unpack(tmp_path, "2025 subset, t1")
    truths = [(number, SUBSETS[number % 3]) for number in (10, 2, 1, 12, 11, 3, 4, 5, 6, 7, 8, 9)]
    inside = "Subtask2/Subtask2/Subtask2_test/generated_unknown/generated_unknown_"
    for header, form in (
        ("", "generated_unknown_{}"),
        ("id,label", "generated_unknown_{}.png"),
        ("image_path,predicted_class", f"{inside}{{}}.png"),
        ("image_path,predicted_class", f"/home/me/data/{inside}{{}}.png"),
        ("figure_id,class", "generated_unknown_{}"),
        ("path,label", f"test/{inside}{{}}.png"),
    ):
        lines = [header] * bool(header) + [f"{form.format(number)},{label}" for number, label in truths]
        (test_root / "test_truth.csv").write_text("\n".join(lines))
        index, _ = prepared(root, "subset", test_root=test_root)
        labels = index.select(split="test").set_index("id")["label"]
        assert labels.to_dict() == {f"generated_unknown_{number}": label for number, label in truths}
