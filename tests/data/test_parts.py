"""Parts in folders of folders and in two downloads: where they are found, what their files are called."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.layout import LayoutMismatch
from fingerprints.data.parts import left_out_of, scan_parts, truth_file
from fingerprints.data.settings import Source
from tests.data.test_layout import touch

SOURCES = [
    Source("used/* | real_used/*", "real", "train", label="used"),
    Source("generated/*", "generated", "train"),
    Source("test/unknown/*", "real", "test"),
    Source("test/generated/*", "generated", "test"),
]
TRAINING, TEST = ("used/1.png", "generated/2.png"), ("unknown/3.png", "generated/4.png")


def names(root: Path, test_root: Path | None = None, sources: list[Source] = SOURCES) -> list[str]:
    return [file.name for file in scan_parts(root, sources, test_root=test_root)]


def put(folder: Path, *files: str) -> Path:
    touch(folder, *files)
    return folder


@pytest.mark.parametrize("above", ["", "a/", "a b/c/d/"])
@pytest.mark.parametrize("above_test", ["", "x/", "x/x/x_test/"])
def test_parts_are_found_at_any_depth(tmp_path: Path, above: str, above_test: str) -> None:
    put(tmp_path, *(above + name for name in TRAINING), *(f"test/{above_test}{name}" for name in TEST))
    assert names(tmp_path) == [above + n for n in TRAINING] + [f"test/{above_test}{n}" for n in TEST]


@pytest.mark.parametrize("place", ["elsewhere", "data/downloaded", "."])
def test_a_test_root_takes_the_place_of_the_test_folder(tmp_path: Path, place: str) -> None:
    root, test_root = put(tmp_path / "data", *TRAINING), tmp_path / place
    put(test_root, *(f"archive/{name}" for name in TEST), "archive/other/5.png", "__MACOSX/unknown/6.png")
    files = scan_parts(root, SOURCES, test_root=test_root)
    assert [file.name for file in files] == [*TRAINING, *(f"test/archive/{name}" for name in TEST)]
    assert all(Path(file.path).is_file() for file in files)
    (note,) = left_out_of(root, test_root, files)
    assert "1 image(s) were left out" in note
    assert "archive/other/ (1)" in note
    assert note.startswith("test part: ") == (place == "elsewhere")


def test_the_test_folder_beside_a_test_root_is_counted_as_left_out(tmp_path: Path) -> None:
    root, test_root = put(tmp_path / "data", *TRAINING, "test/unknown/3.png"), put(tmp_path / "other", *TEST)
    files = scan_parts(root, SOURCES, test_root=test_root)
    assert str(test_root) in files[2].path
    assert left_out_of(root, test_root, files) == [
        "1 image(s) were left out, because no pattern matches their folder or name: test/unknown/ (1)"
    ]


def test_the_outermost_folder_counts_and_two_side_by_side_are_an_error(tmp_path: Path) -> None:
    put(tmp_path, *(f"a/{name}" for name in TRAINING), *(f"a/old/{name}" for name in TRAINING))
    assert names(tmp_path) == [f"a/{name}" for name in TRAINING]
    put(tmp_path, *(f"b/{name}" for name in TRAINING))
    with pytest.raises(
        FingerprintsError, match=r"2 folders hold the train part[^?]*a/\n    b/\n[^?]*data.root"
    ):
        names(tmp_path)
    shutil.rmtree(tmp_path / "b")
    put(tmp_path, *(f"test/{at}/{name}" for name in TEST for at in "xy"))
    with pytest.raises(FingerprintsError, match=r"2 folders hold the test part[^?]*data.test_root=DIR"):
        names(tmp_path)


def test_an_incomplete_part_is_named_where_most_of_it_is(tmp_path: Path) -> None:
    put(tmp_path, "a/real_used/1.png", "test/b/unknown/1.png")
    with pytest.raises(LayoutMismatch, match=r"No generated images match 'generated/\*'") as caught:
        names(tmp_path)
    assert caught.value.where == str(tmp_path / "a")
    put(tmp_path, "a/generated/1.png")
    with pytest.raises(
        LayoutMismatch, match=r"incomplete: no generated images match 'generated/\*'"
    ) as caught:
        names(tmp_path)
    assert caught.value.where == str(tmp_path / "test/b")


def test_a_test_root_without_the_test_part_is_an_error(tmp_path: Path) -> None:
    root, test_root = put(tmp_path / "data", *TRAINING), put(tmp_path / "t", "pictures/1.png")
    with pytest.raises(LayoutMismatch, match=r"'unknown/\*'[^?]*check data.test_root[^?]*pictures/"):
        names(root, test_root)
    with pytest.raises(FingerprintsError, match="does not exist"):
        names(root, tmp_path / "nowhere")
    with pytest.raises(FingerprintsError, match="no test part"):
        names(root, test_root, SOURCES[:2])


def test_without_a_test_part_there_is_none(tmp_path: Path) -> None:
    put(tmp_path, *TRAINING)
    assert names(tmp_path) == list(TRAINING)
    (tmp_path / "test").mkdir()
    assert names(tmp_path) == list(TRAINING)


def test_links_in_circles_end_the_search(tmp_path: Path) -> None:
    put(tmp_path, *(f"a/{name}" for name in TRAINING))
    (tmp_path / "a/generated/up").symlink_to(tmp_path)
    assert names(tmp_path) == [f"a/{name}" for name in TRAINING]


def test_a_test_part_that_its_layout_keeps_elsewhere_has_a_test_root_too(tmp_path: Path) -> None:
    sources = [*SOURCES[:2], Source("holdout/*", "real", "test")]
    root = put(tmp_path / "data", *TRAINING, "holdout/3.png")
    assert names(root, None, sources) == [*TRAINING, "holdout/3.png"]
    test_root = put(tmp_path / "t", "holdout/4.png")
    assert names(root, test_root, sources) == [*TRAINING, "test/holdout/4.png"]


def test_the_truth_file_is_beside_the_test_part_or_in_the_root(tmp_path: Path) -> None:
    root, test_root = tmp_path / "data", tmp_path / "t"
    assert (
        truth_file(root, None, "truth.csv") == truth_file(root, test_root, "truth.csv") == root / "truth.csv"
    )
    touch(test_root, "truth.csv")
    assert truth_file(root, test_root, "truth.csv") == test_root / "truth.csv"


def test_an_index_of_two_downloads_is_that_of_one_folder(
    tmp_path: Path, usage_root: Callable[..., Path], prepared: Callable[..., Any]
) -> None:
    root = usage_root()
    whole, _ = prepared(root, "usage")
    (root / "test").rename(tmp_path / "download")
    (root / "test_truth.csv").rename(tmp_path / "download/test_truth.csv")
    apart, store = prepared(root, "usage", test_root=tmp_path / "download")
    assert apart.has_truth
    assert apart.table.equals(whole.table)
    assert [Path(path).exists() for path in store.paths] == [True] * len(apart.table)
