"""Group tables and near-duplicate clusters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.groups import near_duplicate_groups, near_pairs, read_groups, thumbnails

Write = Callable[[Path, Sequence[Sequence[str]]], None]


@pytest.fixture
def read(tmp_path: Path, write_rows: Write) -> Callable[..., tuple[list[str | None], int]]:
    def make(rows: Sequence[Sequence[str]], names: Sequence[str]) -> tuple[list[str | None], int]:
        write_rows(tmp_path / "groups.csv", rows)
        table = read_groups(tmp_path / "groups.csv", names)
        return table.groups, table.unmatched

    return make


@pytest.mark.parametrize("header", [("file", "group"), ("x", "y"), ("group", "file"), ("Bild", "Patient")])
def test_paths_match_whatever_the_header(read: Callable, header: tuple[str, str]) -> None:
    names = ["real/t1/a.png", "real/t2/a.png", "real/t2/b.png"]
    groups, unmatched = read([header, (names[2], "p3"), (names[0], "p1"), (names[1], "p2")], names)
    assert groups == ["p1", "p2", "p3"]
    assert unmatched == 0


@pytest.mark.parametrize(
    "written", ["real/a", "real/a.png", "./real/a.png", "real\\a.png", "a", "a.png", " a.png"]
)
def test_ways_to_write_a_file(read: Callable, written: str) -> None:
    assert read([("file", "group"), (written, "p1")], ["real/a.png"]) == (["p1"], 0)


@pytest.mark.parametrize("suffix", ["", ".png"])
def test_dots_in_a_file_name_are_not_extensions(read: Callable, suffix: str) -> None:
    rows = [("file", "group"), (f"1.2.840.1{suffix}", "p1"), (f"1.2.840.2{suffix}", "p2")]
    assert read(rows, ["real/1.2.840.1.png", "real/1.2.840.2.png"]) == (["p1", "p2"], 0)


def test_file_name_counts_only_where_it_is_unique(read: Callable) -> None:
    rows = [("file", "group"), ("x/a.png", "p1"), ("y/a.png", "p2"), ("y/b.png", "p3")]
    assert read(rows, ["real/a.png", "real/b.png"]) == ([None, "p3"], 2)


def test_path_goes_before_file_name(read: Callable) -> None:
    rows = [("file", "group"), ("real/a.png", "p1"), ("b.png", "p2")]
    assert read(rows, ["real/a.png", "real/b.png", "real/c.png"]) == (["p1", "p2", None], 0)


def test_group_names_stay_text(read: Callable) -> None:
    assert read([("file", "group"), ("a", "007"), ("b", "NA")], ["a.png", "b.png"])[0] == ["007", "NA"]


def test_row_without_a_file_is_an_error(read: Callable) -> None:
    with pytest.raises(FingerprintsError, match="line 3: no file"):
        read([("file", "group"), ("a.png", "p1"), ("", "p2")], ["a.png", "b.png"])


def test_two_groups_for_one_file_are_an_error(read: Callable) -> None:
    names = ["a.png", "b.png"]
    assert read([("file", "group"), ("a.png", "p1"), ("a.png", "p1"), ("b", "p2")], names)[0] == ["p1", "p2"]
    with pytest.raises(FingerprintsError, match=r"1 file\(s\) two groups:\n +a\.png"):
        read([("file", "group"), ("a.png", "p1"), ("b", "p2"), ("a.png", "p9")], names)


@pytest.mark.parametrize(
    "rows",
    [
        [("file",), ("a.png",)],
        [("file", "group", "note"), ("a.png", "p1", "x")],
        [("file", "group"), ("a.png", "p1", "x")],
        [("file", "group"), ("a.png", "p1"), ("b.png", "p2", "x")],
    ],
)
def test_other_numbers_of_columns_are_an_error(read: Callable, rows: list[tuple[str, ...]]) -> None:
    with pytest.raises(FingerprintsError, match="group table"):
        read(rows, ["a.png"])


def test_missing_and_empty_tables_are_errors(tmp_path: Path) -> None:
    with pytest.raises(FingerprintsError, match="does not exist"):
        read_groups(tmp_path / "none.csv", [])
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(FingerprintsError, match="group table is empty"):
        read_groups(tmp_path / "empty.csv", [])


def families(seed: int, *, size: int = 48, members: Sequence[int] = (4, 1, 3, 2, 1)) -> np.ndarray:
    """Chains of noisy copies: neighbours of a chain are alike, its ends much less so."""
    rng = np.random.default_rng(seed)
    images = []
    for count in members:
        image = rng.normal(128, 60, (size, size))
        for _ in range(count):
            images.append(image)
            image = image + rng.normal(0, 20, (size, size))
    return np.clip(rng.permutation(np.array(images)), 0, 255).astype(np.uint8)


def naive_clusters(images: np.ndarray, threshold: float) -> list[int]:
    n, step = len(images), images.shape[1] // 16
    small = images.reshape(n, 16, step, 16, step).mean(axis=(2, 4)).reshape(n, -1)
    near = np.corrcoef(small) >= threshold
    parent = list(range(n))
    for i in range(n):
        for j in range(n):
            if near[i, j]:
                old, new = parent[j], parent[i]
                parent = [new if p == old else p for p in parent]
    order = list(dict.fromkeys(parent))
    return [order.index(p) for p in parent]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("threshold", [0.8, 0.9, 0.95])
def test_clusters_agree_with_brute_force(seed: int, threshold: float) -> None:
    images = families(seed)
    expected = naive_clusters(images, threshold)
    assert near_duplicate_groups(images, threshold=threshold).tolist() == expected
    for block in (1, 3, 11):
        assert near_duplicate_groups(images, threshold=threshold, block=block).tolist() == expected


def test_brute_force_cases_are_of_both_kinds() -> None:
    counts = {max(naive_clusters(families(seed), 0.9)) + 1 for seed in range(4)}
    assert all(1 < count < 11 for count in counts)


@pytest.mark.parametrize("threshold", [0.8, 0.9, 1.0])
@pytest.mark.parametrize("block", [1, 3, 100])
def test_near_pairs_agree_with_brute_force(threshold: float, block: int) -> None:
    images = np.concatenate([families(1), families(1)[3:5]])
    correlation = np.corrcoef(images.reshape(len(images), 16, 3, 16, 3).mean(axis=(2, 4)).reshape(13, -1))
    expected = {
        (i, j): correlation[i, j]
        for i in range(13)
        for j in range(i + 1, 13)
        if correlation[i, j] >= threshold - 1e-5
    }
    assert 2 <= len(expected) < 78
    found = [
        (i, j, r)
        for rows in near_pairs(thumbnails(images), threshold=threshold, block=block)
        for i, j, r in zip(*(column.tolist() for column in rows), strict=True)
    ]
    assert len(found) == len(expected)
    assert {(i, j): pytest.approx(r, abs=1e-5) for i, j, r in found} == expected


def test_a_row_that_matches_by_path_means_no_other_image(read: Callable) -> None:
    assert read([("file", "group"), ("x/a.png", "p1")], ["x/a.png", "y/a.png"]) == (["p1", None], 0)


def test_a_file_name_may_be_shared_by_images_or_not(tmp_path: Path, write_rows: Write) -> None:
    write_rows(tmp_path / "groups.csv", [("file", "group"), ("a.png", "p1"), ("b.png", "p2")])
    names = ["x/a.png", "y/a.png", "x/b.png"]
    assert read_groups(tmp_path / "groups.csv", names).groups == ["p1", "p1", "p2"]
    assert read_groups(tmp_path / "groups.csv", names, shared=False).groups == [None, None, "p2"]


@pytest.mark.parametrize("size", [20, 48, 50, 100])
def test_noise_is_alone_and_copies_are_together_at_any_size(size: int) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, size, size), dtype=np.uint8)
    assert near_duplicate_groups(images, threshold=0.8).tolist() == list(range(8))
    doubled = np.concatenate([images, images[::-1] // 2 + 30])
    expected = [*range(8), *range(7, -1, -1)]
    assert near_duplicate_groups(doubled, threshold=0.95).tolist() == expected


def test_constant_images_are_alike_and_like_nothing_else() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 32, 32), dtype=np.uint8)
    images[1], images[3] = 7, 200
    assert near_duplicate_groups(images, threshold=0.9).tolist() == [0, 1, 2, 1]


@pytest.mark.parametrize(("size", "side"), [(48, 16), (50, 16), (48, 32), (12, 16)])
def test_thumbnails_are_centred_block_means_of_unit_length(size: int, side: int) -> None:
    images = np.random.default_rng(3).integers(0, 256, (5, size, size), dtype=np.uint8)
    kept = min(side, size)
    edges = [*np.linspace(0, size, kept, endpoint=False).astype(int), size]
    means = np.array(
        [[image[a:b, c:d].mean() for a, b in pairwise(edges) for c, d in pairwise(edges)] for image in images]
    )
    means -= means.mean(axis=1, keepdims=True)
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    for block in (2, 1024):
        np.testing.assert_allclose(thumbnails(images, side=side, block=block), expected, atol=1e-5)


@pytest.mark.parametrize("header", [[], [("file", "group")], [("Bildname", "Patient-ID")]])
def test_a_header_is_optional(read: Callable, header: list[tuple[str, str]]) -> None:
    rows = [*header, ("a.png", "p1"), ("b.png", "p2"), ("c.png", "p1")]
    assert read(rows, ["real/a.png", "real/b.png", "real/c.png"]) == (["p1", "p2", "p1"], 0)


def test_a_first_row_is_an_image_if_its_name_could_mean_several(read: Callable) -> None:
    assert read([("a", "Smith"), ("b", "Jones")], ["t1/a.png", "t2/a.png", "b.png"]) == (
        ["Smith", "Smith", "Jones"],
        0,
    )


@pytest.mark.parametrize("names", [["file.png", "b.png"], ["real/file.png", "real/b.png"]])
def test_an_image_may_be_called_as_the_column_is(read: Callable, names: list[str]) -> None:
    assert read([("file", "group"), ("file.png", "p1"), ("b.png", "p2")], names) == (["p1", "p2"], 0)
    assert read([("file", "p1"), ("b", "p2")], names) == (["p1", "p2"], 0)


def test_blanks_around_a_group_make_no_other_group(read: Callable) -> None:
    rows = [("file", "group"), ("a", "P 1"), ("b", " P 1"), ("c", "P 1 "), ("d", "P\xa01\t")]
    groups, _ = read(rows, ["a.png", "b.png", "c.png", "d.png"])
    assert groups == ["P 1", "P 1", "P 1", "P\xa01"]


def test_an_empty_group_means_alone_and_is_counted(tmp_path: Path, write_rows: Write) -> None:
    names = ["a.png", "b.png", "c.png", "d.png"]
    write_rows(tmp_path / "t.csv", [("file", "group"), ("a", ""), ("b", "p"), ("c", " "), ("x", "")])
    table = read_groups(tmp_path / "t.csv", names)
    assert len({*table.groups}) == 4
    assert (table.groups[1], table.groups[3], table.alone) == ("p", None, [0, 2])
    assert table.notes() == [
        "1 row(s) of t.csv match no image",
        "2 image(s) have an empty group in t.csv: each is a group of its own",
    ]
    assert table.notes(alone="they are refused")[1].endswith("t.csv: they are refused")
    assert table.lacking(names) == ["d.png"]
    assert table.lacking(names, needed={"a.png"}) == []


def test_an_empty_group_and_another_one_for_a_file_are_an_error(read: Callable) -> None:
    with pytest.raises(FingerprintsError, match=r"two groups:\n +a"):
        read([("file", "group"), ("a.png", ""), ("a", "p1")], ["a.png"])


def test_rows_that_an_image_could_mean_are_named(tmp_path: Path, write_rows: Write) -> None:
    write_rows(tmp_path / "t.csv", [("file", "group"), ("t1/a.png", "p"), ("t2/a.png", "q")])
    assert read_groups(tmp_path / "t.csv", ["a"]).lacking(["a"]) == ["a (could be t1/a.png or t2/a.png)"]


@pytest.mark.parametrize("suffixes", [("", ".png"), (".png", ".png.png")])
@pytest.mark.parametrize("folder", ["", "real/"])
def test_one_ending_is_cut_once(read: Callable, folder: str, suffixes: tuple[str, str]) -> None:
    rows = [("file", "group"), (f"{folder}a{suffixes[0]}", "p1"), (f"{folder}a{suffixes[1]}", "p2")]
    assert read(rows, ["real/a.png", "real/a.png.png"]) == (["p1", "p2"], 0)


def test_uneven_lines_are_named_by_number(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,group\na.png,p1\n\nb.png\nc.png,p,q\nd.png,p1\n")
    with pytest.raises(FingerprintsError, match="3 bad line") as error:
        read_groups(tmp_path / "t.csv", ["a.png"])
    for text in ("line 3: empty", "line 4: 1 fields, not 2", "line 5: 3 fields, not 2"):
        assert text in str(error.value)
