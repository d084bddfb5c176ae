"""Reference images: where they come from, what they must not overlap, and what never sees them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.settings import REFERENCE, Source
from tests.data.parts import Prepared, Root


@pytest.fixture
def elsewhere(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    """A folder of three reference images at two depths, with groups of two of them."""
    folder = tmp_path / "healthy"
    for number, name in enumerate(["a.png", "deep/b.png", "deep/er/c.png"]):
        noise = np.random.default_rng(number).integers(0, 256, (48, 48))
        write_image(folder / name, noise.astype(np.uint8))
    (folder / "groups.csv").write_text("file,group\na.png,p1\ndeep/b.png,p2\n")
    return folder


def test_they_are_returned_only_when_named(usage_root: Root, prepared: Prepared, elsewhere: Path) -> None:
    root = usage_root()
    without, _ = prepared(root, "usage")
    index, store = prepared(root, "usage", reference=elsewhere)
    found = index.select(split=REFERENCE)
    assert found["path"].tolist() == [
        f"{elsewhere}/{name}" for name in ("a.png", "deep/b.png", "deep/er/c.png")
    ]
    assert found[["domain", "generator", "label", "fold"]].drop_duplicates().values.tolist() == [
        ["real", "", "", -1]
    ]
    assert found["group"].tolist() == ["p1", "p2", f"real:{elsewhere}/deep/er/c.png"]
    assert index.select().equals(without.table)
    assert index.select(domain="real").equals(without.select(domain="real"))
    assert len(store.images) == len(index.table) == len(without.table) + 3
    assert index.counts() == f"{without.counts()}, reference real 3"
    assert index.classes == without.classes
    assert [note for note in index.notes if note not in without.notes] == [
        "1 of 3 reference images were compared with the other images only by their pixels, because groups "
        "(patients) are not known"
    ]


def test_they_belong_to_no_generator_and_stay_out_of_clusters_and_shuffles(
    usage_root: Root, prepared: Prepared, elsewhere: Path
) -> None:
    root = usage_root(generators=("a", "b"), groups=False)
    options = {"near_duplicate": 0.6, "shuffle_labels": True}
    without, _ = prepared(root, "usage_2024", **options)
    index, _ = prepared(root, "usage_2024", reference=elsewhere, **options)
    assert index.generators == ["a", "b"]
    assert index.select().equals(without.table)
    assert set(index.select(split=REFERENCE)["label"]) == {""}
    assert any("3 of 3 reference images" in note for note in index.notes)


def test_a_source_of_the_layout_may_be_the_reference(
    usage_root: Root, prepared: Prepared, sources: Callable, elsewhere: Path
) -> None:
    root = usage_root()
    shutil.move(elsewhere, root / "healthy")
    (root / "healthy/groups.csv").unlink()
    with (root / "groups.csv").open("a") as table:
        table.write("healthy/a.png,p1\n")
    own = [*sources("usage"), Source("healthy/**", "real", REFERENCE)]
    by_source, _ = prepared(root, "usage", sources=own)
    assert by_source.select(split=REFERENCE)["group"].tolist()[0] == "p1"
    assert not any("left out" in note or "match no image" in note for note in by_source.notes)
    by_folder, _ = prepared(root, "usage", reference=root / "healthy")
    assert by_folder.table.equals(by_source.table)
    assert by_folder.notes == by_source.notes


@pytest.mark.parametrize("wrong", [{"domain": "generated"}, {"label": "used"}, {"pattern": "{generator}/*"}])
def test_a_source_with_a_label_is_no_reference(wrong: dict[str, str]) -> None:
    with pytest.raises(FingerprintsError, match="no label and no generator"):
        Source(**{"pattern": "x/*", "domain": "real", "part": REFERENCE, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "other", ["real_used/u_000.png", "test/real_unknown/unknown_001.png", "generated/gen_000.png"]
)
def test_an_image_that_is_also_among_the_others_is_named(
    other: str, usage_root: Root, prepared: Prepared, elsewhere: Path
) -> None:
    root = usage_root()
    shutil.copy(root / other, elsewhere / "deep/copy.png")
    with pytest.raises(FingerprintsError, match=r"1 reference image\(s\) have the same pixels") as error:
        prepared(root, "usage", reference=elsewhere)
    assert f"{elsewhere}/deep/copy.png and {other}" in str(error.value)
    assert error.value.where == str(elsewhere)


def test_a_patient_who_is_also_among_the_others_is_named(
    usage_root: Root, prepared: Prepared, elsewhere: Path
) -> None:
    root = usage_root()
    (elsewhere / "groups.csv").write_text("a.png,p1\nb.png,n_patient_003\n")
    with pytest.raises(FingerprintsError, match=r"1 reference image\(s\) have the same group") as error:
        prepared(root, "usage", reference=elsewhere)
    assert f"{elsewhere}/deep/b.png and real_not_used/n_00" in str(error.value)


def test_names_of_a_folder_elsewhere_take_no_group_of_the_same_name(
    usage_root: Root, prepared: Prepared, elsewhere: Path
) -> None:
    (elsewhere / "a.png").rename(elsewhere / "u_000.png")
    (elsewhere / "groups.csv").unlink()
    index, _ = prepared(usage_root(), "usage", reference=elsewhere)
    assert not set(index.select(split=REFERENCE)["group"]) & set(index.select()["group"])


def test_sizes_and_bad_files_are_handled_as_for_others(
    usage_root: Root, prepared: Prepared, elsewhere: Path, write_image: Callable[..., Path]
) -> None:
    root = usage_root()
    write_image(elsewhere / "deep/large.png", 7, size=(60, 60))
    with pytest.raises(FingerprintsError, match="differ in size") as error:
        prepared(root, "usage", reference=elsewhere)
    assert f"{elsewhere}/deep/large.png" in str(error.value)
    index, _ = prepared(root, "usage", reference=elsewhere, on_mixed_size="resize")
    assert len(index.select(split=REFERENCE)) == 4
    (elsewhere / "deep/large.png").unlink()
    (elsewhere / "scan.webp").write_bytes(b"x")
    for path in elsewhere.rglob("*.png"):
        path.write_bytes(b"x")
    with pytest.raises(FingerprintsError, match=r"3 image\(s\) cannot be read"):
        prepared(root, "usage", reference=elsewhere)
    with pytest.raises(FingerprintsError, match="None of the reference images can be read"):
        prepared(root, "usage", reference=elsewhere, on_bad_image="skip")


def test_a_missing_or_empty_folder_is_named(usage_root: Root, prepared: Prepared, tmp_path: Path) -> None:
    root = usage_root()
    with pytest.raises(FingerprintsError, match="folder of reference images does not exist"):
        prepared(root, "usage", reference=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FingerprintsError, match="No real images match"):
        prepared(root, "usage", reference=tmp_path / "empty")


def test_what_is_left_out_there_is_counted(usage_root: Root, prepared: Prepared, elsewhere: Path) -> None:
    (elsewhere / "scan.webp").write_bytes(b"x")
    notes = prepared(usage_root(), "usage", reference=elsewhere)[0].notes
    assert sum("1 file(s) are not images and were left out: .webp (1)" in note for note in notes) == 1
