"""From a folder to a validated table: columns, groups, splits, truth, and everything that can be wrong."""

from __future__ import annotations

import csv
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.groups import near_duplicate_groups
from fingerprints.data.index import COLUMNS, Index, require_unique
from fingerprints.data.settings import Source

Root = Callable[..., Path]
Prepared = Callable[..., Any]


def parts_of_groups(table: pd.DataFrame) -> pd.Series:
    """How many parts of the data each group of real images stands in."""
    real = table[table["domain"] == "real"]
    part = real["split"].where(real["fold"] < 0, real["fold"].astype(str))
    return part.groupby([real["generator"], real["group"]]).nunique()


def regroup(root: Path, change: Callable[[str, str], str]) -> None:
    path = root / "groups.csv"
    with path.open() as handle:
        header, *rows = csv.reader(handle)
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows([header, *((file, change(file, group)) for file, group in rows)])


def add_lines(path: Path, *lines: str) -> None:
    path.write_text(path.read_text() + "".join(f"{line}\n" for line in lines))


class TestSubset:
    def test_table(self, subset_root: Root, prepared: Prepared) -> None:
        index, store = prepared(subset_root(), "subset")
        table = index.table
        assert tuple(table.columns) == COLUMNS
        assert len(table) == 3 * 14 * 2 + 9 == len(store.images)
        assert table.index.tolist() == list(range(len(table)))
        assert index.classes == ("t1", "t2", "t3")
        assert index.generators == [""]
        assert not index.pseudo_groups
        assert index.has_truth
        assert index.notes == ()
        row = table[table["path"] == "generated/gen_t2/gen_t2_003.png"].iloc[0]
        assert (row["id"], row["domain"], row["label"]) == ("gen_t2_003", "generated", "t2")
        assert (table["fold"] == -1).all()

    def test_rows_are_those_of_the_store(self, subset_root: Root, prepared: Prepared) -> None:
        root = subset_root()
        index, store = prepared(root, "subset")
        for row in (0, 20, 50, 92):
            pixels = np.asarray(Image.open(root / index.table.at[row, "path"]))
            assert np.array_equal(store.images[row], pixels)

    def test_groups_and_validation(self, subset_root: Root, prepared: Prepared) -> None:
        index, _ = prepared(subset_root(), "subset", validation=0.2)
        real = index.select(domain="real")
        assert real["group"].iloc[:4].tolist() == ["t1_patient_000"] * 2 + ["t1_patient_001"] * 2
        assert (parts_of_groups(index.table) == 1).all()
        for domain in ("real", "generated"):
            held = index.select(domain=domain, split="validation")
            assert sorted(held["label"].unique()) == ["t1", "t2", "t3"]
            assert held["label"].value_counts().between(2, 4).all()
        generated = index.select(domain="generated")
        assert generated["group"].is_unique
        assert set(generated["group"]).isdisjoint(real["group"])

    def test_split_follows_the_seed_alone(self, subset_root: Root, prepared: Prepared) -> None:
        root = subset_root()
        splits = [prepared(root, "subset", seed=seed)[0].table["split"].tolist() for seed in (0, 0, 1)]
        assert splits[0] == splits[1] != splits[2]

    def test_without_validation_nothing_is_held_out(self, subset_root: Root, prepared: Prepared) -> None:
        index, _ = prepared(subset_root(), "subset", validation=0)
        assert set(index.table["split"]) == {"train", "test"}

    def test_truth_labels_the_test_part(self, subset_root: Root, prepared: Prepared) -> None:
        index, _ = prepared(subset_root(), "subset")
        assert index.select(split="test")["label"].tolist() == ["t1", "t2", "t3"] * 3
        index, _ = prepared(subset_root(truth=False, name="blind"), "subset")
        assert not index.has_truth
        assert set(index.select(split="test")["label"]) == {""}

    def test_without_a_test_part(self, subset_root: Root, prepared: Prepared) -> None:
        index, _ = prepared(subset_root(test=0), "subset")
        assert index.select(split="test").empty
        assert not index.has_truth

    def test_near_duplicates_stand_in_for_groups(
        self, subset_root: Root, prepared: Prepared, write_image: Callable[..., Path]
    ) -> None:
        root = subset_root(groups=False)
        first = np.asarray(Image.open(root / "real/t1/t1_000.png"))
        for number in range(1, 4):
            write_image(root / f"real/t1/t1_{number:03d}.png", (first // 2 + 10 * number).astype(np.uint8))
        index, store = prepared(root, "subset")
        real = index.select(domain="real")
        clusters = near_duplicate_groups(store.images[real.index], threshold=0.95)
        assert index.pseudo_groups
        assert real["group"].tolist() == [f"cluster_{cluster:05d}" for cluster in clusters]
        assert real["group"].iloc[:4].nunique() == 1
        assert real["group"].nunique() > len(real) / 2
        assert (parts_of_groups(index.table) == 1).all()

    def test_likeness_that_makes_a_pseudo_group_can_be_chosen(
        self, subset_root: Root, prepared: Prepared
    ) -> None:
        root = subset_root(groups=False)
        counts = [
            prepared(root, "subset", near_duplicate=likeness)[0].select(domain="real")["group"].nunique()
            for likeness in (0.6, 0.95)
        ]
        assert counts[0] < counts[1]

    def test_group_table_elsewhere(
        self, subset_root: Root, prepared: Prepared, write_rows: Callable, tmp_path: Path
    ) -> None:
        root = subset_root()
        rows = [(path.name, f"own_{path.stem}") for path in sorted((root / "real").rglob("*.png"))]
        write_rows(tmp_path / "mine.csv", [("image", "scan"), *rows, ("stranger.png", "x")])
        index, _ = prepared(root, "subset", groups=tmp_path / "mine.csv")
        assert set(index.select(domain="real")["group"]) == {group for _, group in rows}
        assert index.notes == ("1 row(s) of mine.csv match no image",)

    def test_images_with_an_empty_group_are_alone(self, subset_root: Root, prepared: Prepared) -> None:
        root = subset_root()
        given = prepared(root, "subset")[0].select(domain="real")["group"]
        emptied = ["real/t1/t1_000.png", "real/t1/t1_001.png"]
        regroup(root, lambda file, group: " " if file in emptied else f"{group} ")
        index, _ = prepared(root, "subset")
        groups = index.select(domain="real").set_index("path")["group"]
        assert groups[emptied].nunique() == 2
        assert not set(groups[emptied]) & set(given)
        assert groups.drop(emptied).tolist() == given.iloc[2:].tolist()
        assert index.notes == ("2 image(s) have an empty group in groups.csv: each is a group of its own",)

    def test_shuffled_labels_are_permuted_within_a_domain(
        self, subset_root: Root, prepared: Prepared
    ) -> None:
        root = subset_root()
        plain, _ = prepared(root, "subset")
        control, _ = prepared(root, "subset", shuffle_labels=True)
        again, _ = prepared(root, "subset", shuffle_labels=True)
        other, _ = prepared(root, "subset", shuffle_labels=True, seed=1)
        unchanged = [column for column in COLUMNS if column != "label"]
        assert control.table[unchanged].equals(plain.table[unchanged])
        assert control.table.equals(again.table)
        assert not control.table["label"].equals(other.table["label"])
        for domain in ("real", "generated"):
            before, after = (
                i.select(domain=domain, split=["train", "validation"])["label"] for i in (plain, control)
            )
            assert sorted(before) == sorted(after)
            assert (before != after).mean() > 0.3
        tests = [i.select(split="test")["label"].tolist() for i in (plain, control)]
        assert tests[0] == tests[1]
        assert "control run" in control.notes[-1]


class TestFolds:
    """`data.fold` holds one fold out; all folds together hold out everything once."""

    @pytest.mark.parametrize("layout", ["subset", "usage", "usage_2024"])
    def test_every_group_is_held_out_once(
        self, layout: str, subset_root: Root, usage_root: Root, prepared: Prepared
    ) -> None:
        generators = {"generators": ("a", "b")} if layout == "usage_2024" else {}
        root = subset_root() if layout == "subset" else usage_root(**generators)
        held = []
        for fold in range(3):
            index, _ = prepared(root, layout, folds=3, fold=fold)
            assert set(index.table["fold"]) == {-1}
            assert (parts_of_groups(index.table) == 1).all()
            for domain in ("real", "generated"):
                labels = [
                    set(index.select(domain=domain, split=split)["label"])
                    for split in ("train", "validation")
                ]
                assert labels[0] == labels[1]
            held.append(index.select(split="validation"))
        rows = pd.concat(held).index
        training = index.select(split=("train", "validation"))
        assert sorted(rows) == sorted(training.index)
        of_groups = pd.concat([part[["generator", "group"]].drop_duplicates() for part in held])
        assert not of_groups.duplicated().any()

    def test_label_shares_are_those_of_the_whole(self, subset_root: Root, prepared: Prepared) -> None:
        for fold in range(3):
            index, _ = prepared(subset_root(per_class=12), "subset", folds=3, fold=fold)
            for domain in ("real", "generated"):
                counts = index.select(domain=domain, split="validation")["label"].value_counts()
                assert counts.to_dict() == {"t1": 4, "t2": 4, "t3": 4}

    def test_the_partition_follows_the_seed_alone(self, subset_root: Root, prepared: Prepared) -> None:
        root = subset_root()
        first, again, other = (
            prepared(root, "subset", fold=1, folds=3, seed=seed)[0].table["split"].tolist()
            for seed in (0, 0, 1)
        )
        assert first == again
        assert first != other

    def test_two_folds_are_each_others_rest(self, subset_root: Root, prepared: Prepared) -> None:
        root = subset_root()
        splits = [prepared(root, "subset", folds=2, fold=fold)[0].table["split"] for fold in (0, 1)]
        swapped = splits[1].replace({"train": "validation", "validation": "train"})
        assert splits[0].tolist() == swapped.tolist()

    @pytest.mark.parametrize("fold", [-1, 4, 5])
    def test_a_fold_that_is_not_there(self, fold: int, subset_root: Root, prepared: Prepared) -> None:
        with pytest.raises(FingerprintsError, match=f"no fold {fold} of 4") as error:
            prepared(subset_root(), "subset", folds=4, fold=fold)
        assert error.value.where == "data.fold"
        assert "0 to 3" in str(error.value.fix)

    def test_a_fold_without_a_label_is_refused(self, subset_root: Root, prepared: Prepared) -> None:
        root = subset_root(per_class=2, classes=2)
        groups = {"t1_000.png": "a", "t1_001.png": "both", "t2_000.png": "both", "t2_001.png": "b"}
        regroup(root, lambda file, _: groups[Path(file).name])
        with pytest.raises(FingerprintsError, match=r"Fold \d of 2 cannot have label\(s\) t\d") as error:
            prepared(root, "subset", folds=2, fold=0)
        assert error.value.where == "data.fold"


class TestUsage:
    def test_small_parts_get_folds(self, usage_root: Root, prepared: Prepared) -> None:
        index, _ = prepared(usage_root(), "usage", folds=4)
        assert index.classes == ("not_used", "used")
        assert set(index.table["split"]) == {"train", "test"}
        for domain in ("real", "generated"):
            assert set(index.select(domain=domain, split="train")["fold"]) == {0, 1, 2, 3}
        assert set(index.select(split="test")["fold"]) == {-1}
        assert (parts_of_groups(index.table) == 1).all()
        real = index.select(domain="real", split="train")
        assert (real.groupby("fold")["label"].nunique() == 2).all()

    @pytest.mark.parametrize(("per_class", "folds"), [(8, 4), (4, 2), (10, 5)])
    def test_as_many_folds_as_patients_at_most(
        self, usage_root: Root, prepared: Prepared, per_class: int, folds: int
    ) -> None:
        index, _ = prepared(usage_root(per_class=per_class), "usage", folds=5)
        for domain in ("real", "generated"):
            assert set(index.select(domain=domain, split="train")["fold"]) == set(range(folds))
        real = index.select(domain="real", split="train")
        assert (real.groupby("fold")["label"].nunique() == 2).all()
        said = [note for note in index.notes if "folds instead of" in note]
        assert [note.split()[0] for note in said] == ([] if folds == 5 else [str(folds)])

    def test_real_and_generated_images_have_the_same_folds(
        self, usage_root: Root, prepared: Prepared
    ) -> None:
        root = usage_root()
        for path in sorted((root / "generated").iterdir())[3:]:
            path.unlink()
        index, _ = prepared(root, "usage", folds=5)
        for domain in ("real", "generated"):
            assert set(index.select(domain=domain, split="train")["fold"]) == {0, 1, 2}

    def test_one_patient_cannot_be_on_both_sides(self, usage_root: Root, prepared: Prepared) -> None:
        with pytest.raises(FingerprintsError, match="needs at least 2"):
            prepared(usage_root(per_class=2), "usage", folds=5)

    def test_large_parts_are_split_once(self, usage_root: Root, prepared: Prepared) -> None:
        index, _ = prepared(usage_root(), "usage", folds_below=32, validation=0.25)
        assert set(index.table["fold"]) == {-1}
        held = index.select(domain="real", split="validation")["label"].value_counts()
        assert held.to_dict() == {"used": 4, "not_used": 4}
        assert len(index.select(domain="generated", split="validation")) == 4

    def test_truth_of_the_unknown_real_images(self, usage_root: Root, prepared: Prepared) -> None:
        index, _ = prepared(usage_root(), "usage")
        units = index.select(domain="real", split="test")
        assert index.has_truth
        assert units["label"].tolist() == [("not_used", "used")[int(i[-1]) % 2] for i in units["id"]]
        assert set(index.select(domain="generated", split="test")["label"]) == {""}

    def test_two_generators_are_apart(self, usage_root: Root, prepared: Prepared) -> None:
        index, _ = prepared(usage_root(generators=("gan_a", "gan_b")), "usage_2024")
        assert index.generators == ["gan_a", "gan_b"]
        for generator in index.generators:
            own = index.select(generator=generator)
            assert set(own["generator"]) == {generator}
            assert own["id"].str.startswith(generator).all()
            assert len(own) == 16 * 3 + 12 + 6
            assert set(own.loc[own["split"] == "train", "fold"]) == {0, 1, 2, 3, 4}
            assert set(own.loc[(own["split"] == "test") & (own["domain"] == "real"), "label"]) == {
                "used",
                "not_used",
            }

    def test_an_image_may_serve_two_generators(self, usage_root: Root, prepared: Prepared) -> None:
        root = usage_root(generators=("a", "b"), groups=False)
        shutil.copy(root / "a/real_used/a_u_000.png", root / "b/real_not_used/b_n_000.png")
        index, _ = prepared(root, "usage_2024")
        assert len(index.generators) == 2

    @pytest.mark.parametrize("domain", ["real_used", "generated"])
    def test_generator_that_lacks_a_role_is_named(
        self, usage_root: Root, prepared: Prepared, domain: str
    ) -> None:
        root = usage_root(generators=("a", "b"), groups=False)
        shutil.rmtree(root / "b" / domain)
        with pytest.raises(FingerprintsError, match="'b'"):
            prepared(root, "usage_2024")

    def test_generator_whose_test_part_lacks_generated_images_is_named(
        self, usage_root: Root, prepared: Prepared
    ) -> None:
        root = usage_root(generators=("a", "b"), groups=False)
        shutil.rmtree(root / "test/b/generated")
        with pytest.raises(FingerprintsError, match="'b'"):
            prepared(root, "usage_2024")

    def test_unknown_label_is_named(
        self, usage_root: Root, prepared: Prepared, sources: Callable[[str], list[Source]]
    ) -> None:
        own = [Source("real_used/*", "real", "train", label="seen"), *sources("usage")[1:]]
        with pytest.raises(FingerprintsError, match="Labels seen are not labels of the task 'usage'"):
            prepared(usage_root(), "usage", sources=own)

    def test_missing_label_is_named(
        self, usage_root: Root, prepared: Prepared, sources: Callable[[str], list[Source]]
    ) -> None:
        own = [s for s in sources("usage") if s.label != "not_used"]
        with pytest.raises(FingerprintsError, match="no real images labelled not_used"):
            prepared(usage_root(), "usage", sources=own)


class TestModel:
    def test_three_known_and_one_new_generator(self, model_root: Root, prepared: Prepared) -> None:
        index, _ = prepared(model_root(), "model", validation=0.25)
        assert index.classes == ("m0", "m1", "m2")
        assert index.generators == [""]
        assert set(index.table["domain"]) == {"generated"}
        assert index.select(split="validation")["label"].value_counts().to_dict() == {
            "m0": 3,
            "m1": 3,
            "m2": 3,
        }
        assert set(index.select(split="test")["label"]) == {"m0", "m1", "m2", "m3"}
        assert index.has_truth

    def test_one_generator_is_not_enough(self, model_root: Root, prepared: Prepared) -> None:
        with pytest.raises(FingerprintsError, match="needs at least 2 labels; found m0"):
            prepared(model_root(classes=1), "model")


class TestMissing:
    def test_folder(self, tmp_path: Path, prepared: Prepared) -> None:
        with pytest.raises(FingerprintsError, match="does not exist"):
            prepared(tmp_path / "nowhere", "subset")

    def test_images_of_a_subset(self, subset_root: Root, prepared: Prepared) -> None:
        root = subset_root()
        for path in (root / "real/t3").iterdir():
            path.unlink()
        with pytest.raises(FingerprintsError, match="No images in 1 folder") as error:
            prepared(root, "subset")
        assert str(root / "real/t3") in str(error.value)

    def test_generated_images_of_a_subset(self, subset_root: Root, prepared: Prepared) -> None:
        root = subset_root()
        shutil.rmtree(root / "generated/gen_t2")
        with pytest.raises(FingerprintsError, match=r"Subset\(s\) t2 have real but no generated"):
            prepared(root, "subset")

    def test_real_images_of_a_subset(
        self, subset_root: Root, prepared: Prepared, write_image: Callable[..., Path]
    ) -> None:
        root = subset_root()
        write_image(root / "generated/gen_t6/a.png", 1)
        with pytest.raises(FingerprintsError, match=r"Subset\(s\) t6 have generated but no real"):
            prepared(root, "subset")

    def test_groups_of_real_images(self, subset_root: Root, prepared: Prepared) -> None:
        root = subset_root()
        lines = (root / "groups.csv").read_text().splitlines(keepends=True)
        (root / "groups.csv").write_text("".join(lines[:-2]))
        with pytest.raises(FingerprintsError, match=r"2 real image\(s\) have no group") as error:
            prepared(root, "subset")
        assert "real/t3/t3_013.png" in str(error.value)


COUNT_ALL = 3 * 14 * 2 + 9  # images of `subset_root()`


class TestBadImages:
    @pytest.fixture
    def root(self, subset_root: Root) -> Path:
        root = subset_root()
        (root / "real/t1/t1_003.png").write_bytes(b"text")
        (root / "generated/gen_t2/gen_t2_001.png").write_bytes(b"")
        return root

    def test_all_are_named(self, root: Path, prepared: Prepared) -> None:
        with pytest.raises(FingerprintsError, match=r"2 image\(s\) cannot be read") as error:
            prepared(root, "subset")
        assert "real/t1/t1_003.png: cannot be read: its content is not PNG" in str(error.value)
        assert "generated/gen_t2/gen_t2_001.png: cannot be read: the file is empty" in str(error.value)

    def test_skipping_counts_them(self, root: Path, prepared: Prepared) -> None:
        index, store = prepared(root, "subset", on_bad_image="skip")
        assert index.notes[0] == "2 unreadable image(s) skipped: cannot be read (2)"
        assert len(index.table) == len(store.images) - 2
        row = index.table[index.table["id"] == "t1_004"]
        pixels = np.asarray(Image.open(root / "real/t1/t1_004.png"))
        assert np.array_equal(store.images[row.index[0]], pixels)

    def test_skipped_test_image_may_stay_in_the_truth_file(
        self, subset_root: Root, prepared: Prepared
    ) -> None:
        root = subset_root()
        (root / "test/generated_unknown/unknown_004.png").write_bytes(b"text")
        index, _ = prepared(root, "subset", on_bad_image="skip")
        assert len(index.select(split="test")) == 8
        assert index.has_truth

    def test_nothing_readable_is_an_error(self, subset_root: Root, prepared: Prepared) -> None:
        root = subset_root()
        for path in root.rglob("*.png"):
            path.write_bytes(b"text")
        with pytest.raises(FingerprintsError, match="None of the images can be read"):
            prepared(root, "subset", on_bad_image="skip")


class TestLeftOut:
    """What the scan or the decoder leaves out is an error or a note."""

    def test_links_to_nowhere_are_errors_or_counted(self, subset_root: Root, prepared: Prepared) -> None:
        root = subset_root()
        for number in range(3):
            path = root / f"real/t1/t1_{number:03d}.png"
            path.unlink()
            path.symlink_to(f"/not/fetched/{path.name}")
        with pytest.raises(FingerprintsError, match=r"3 image\(s\) cannot be read") as error:
            prepared(root, "subset")
        assert "t1_001.png: cannot be read: it is a link to a file that does not exist" in str(error.value)
        index, _ = prepared(root, "subset", on_bad_image="skip")
        assert index.notes[0] == "3 unreadable image(s) skipped: cannot be read (3)"
        assert len(index.table) == COUNT_ALL - 3

    def test_pages_are_errors_or_counted(self, subset_root: Root, prepared: Prepared) -> None:
        root = subset_root()
        path = root / "generated/gen_t1/gen_t1_000.png"
        first = Image.open(path).copy()
        path.unlink()
        first.save(path.with_suffix(".tif"), save_all=True, append_images=[first.rotate(90)])
        with pytest.raises(FingerprintsError, match="several pages: 2; save each page as its own file"):
            prepared(root, "subset")
        index, _ = prepared(root, "subset", on_bad_image="skip")
        assert index.notes[0] == "1 unreadable image(s) skipped: several pages (1)"

    def test_other_files_are_counted(
        self, subset_root: Root, prepared: Prepared, write_image: Callable[..., Path]
    ) -> None:
        root = subset_root()
        assert prepared(root, "subset")[0].notes == ()
        write_image(root / "real/t1/patient_7/1.png")
        write_image(root / "Test/2.png")
        write_image(root / "real/t2/3.webp", format="PNG")
        for name in (".DS_Store", "real/t1/._1.png", "real/t1/Thumbs.db", "real/t1/readme.txt"):
            (root / name).touch()
        notes = prepared(root, "subset")[0].notes
        assert len(notes) == 2
        assert notes[0].startswith("2 image(s) were left out")
        assert notes[0].endswith("Test/ (1), real/t1/patient_7/ (1)")
        assert notes[1].startswith("1 file(s) are not images and were left out: .webp (1)")

    def test_dark_images_of_12_bits_are_counted_once(
        self, subset_root: Root, prepared: Prepared, write_image: Callable[..., Path]
    ) -> None:
        root = subset_root()
        for number in (1, 2):
            values = np.random.default_rng(number).integers(0, 4096, (48, 48)).astype(np.uint16)
            write_image(root / f"generated/gen_t1/gen_t1_{number:03d}.png", values, mode="I;16")
        for _ in range(2):  # built, and found on the disk
            (note,) = prepared(root, "subset")[0].notes
            assert note.startswith(f"2 of {COUNT_ALL} images have 16 bits but no value above 4,095")


def test_mixed_sizes(subset_root: Root, prepared: Prepared, write_image: Callable[..., Path]) -> None:
    root = subset_root()
    write_image(root / "real/t1/t1_003.png", 5, size=(50, 60))
    with pytest.raises(FingerprintsError, match="differ in size") as error:
        prepared(root, "subset")
    assert "50 x 60: 1 image(s)" in str(error.value)
    assert "real/t1/t1_003.png" in str(error.value)
    index, store = prepared(root, "subset", on_mixed_size="resize")
    assert index.notes == ("images of 2 sizes were resized",)
    assert store.images.shape[1:] == (48, 48)


def test_one_other_size_for_all_is_resized_in_silence(subset_root: Root, prepared: Prepared) -> None:
    index, store = prepared(subset_root(), "subset", size=24)
    assert index.notes == ()
    assert store.images.shape[1:] == (24, 24)


class TestDuplicateIds:
    def test_one_path_with_two_extensions(
        self, subset_root: Root, prepared: Prepared, write_image: Callable[..., Path]
    ) -> None:
        root = subset_root()
        write_image(root / "real/t1/t1_000.bmp", 5)
        with pytest.raises(FingerprintsError, match="Duplicate ids: 2 images share 1") as error:
            prepared(root, "subset")
        assert "real/t1/t1_000.bmp" in str(error.value)

    def test_one_id_in_two_test_folders(self, usage_root: Root, prepared: Prepared) -> None:
        root = usage_root(generators=("a", "b"), groups=False)
        source, folder = root / "test/a/real_unknown/a_unknown_000.png", root / "test/b/real_unknown"
        (folder / "b_unknown_000.png").rename(folder / source.name)
        with pytest.raises(FingerprintsError, match="Duplicate ids: 2 images share 1") as error:
            prepared(root, "usage_2024")
        for name in ("a", "b"):
            assert f"test/{name}/real_unknown/a_unknown_000.png" in str(error.value)

    def test_names_that_differ_only_by_accents_or_blanks(self) -> None:
        apart = unicodedata.normalize("NFD", "\u00fc")
        for one, other in (("\u00fc", apart), ("a", " a"), ("NA", "NA ")):
            ids, paths = pd.Series([one, "x", other]), pd.Series(["p/1.png", "p/2.png", "q/3.png"])
            with pytest.raises(FingerprintsError, match=r"share 1 id\(s\):\n +p/1.png\n +q/3.png"):
                require_unique(ids, paths, Path())
        require_unique(pd.Series(["a.png", "a", "A", "NA", "nan"]), pd.Series(list("abcde")), Path())


class TestOverlap:
    def test_same_pixels_in_training_and_validation(self, subset_root: Root, prepared: Prepared) -> None:
        root = subset_root()
        regroup(root, lambda file, _: file)
        paths = sorted((root / "real/t1").iterdir())
        for path in paths[1:]:
            shutil.copy(paths[0], path)
        with pytest.raises(
            FingerprintsError, match="14 real images of different splits have the same pixels"
        ):
            prepared(root, "subset")
        with pytest.raises(FingerprintsError, match="the same pixels"):
            prepared(root, "subset", on_test_overlap="keep")

    def test_copies_in_one_group_are_fine(self, subset_root: Root, prepared: Prepared) -> None:
        root = subset_root()
        shutil.copy(root / "real/t1/t1_000.png", root / "real/t1/t1_001.png")
        index, store = prepared(root, "subset")
        assert store.digests[0] == store.digests[1]
        assert index.table.at[0, "split"] == index.table.at[1, "split"]

    def test_same_pixels_in_two_folds(self, usage_root: Root, prepared: Prepared) -> None:
        root = usage_root()
        regroup(root, lambda file, _: file)
        paths = sorted((root / "real_used").iterdir())
        for path in paths[1:]:
            shutil.copy(paths[0], path)
        with pytest.raises(
            FingerprintsError, match="16 real images of different splits have the same pixels"
        ):
            prepared(root, "usage")

    def test_same_pixels_under_two_labels(self, subset_root: Root, prepared: Prepared) -> None:
        root = subset_root()
        shutil.copy(root / "real/t1/t1_000.png", root / "real/t2/t2_005.png")
        with pytest.raises(
            FingerprintsError, match="2 real images have the same pixels under two labels"
        ) as e:
            prepared(root, "subset")
        assert "real/t1/t1_000.png" in str(e.value)
        assert "real/t2/t2_005.png" in str(e.value)

    def test_the_same_images_under_every_label_are_a_control(
        self, subset_root: Root, prepared: Prepared, tmp_path: Path
    ) -> None:
        root = subset_root()
        shared = {f"{number:03d}": f"t1_patient_{number // 2:03d}" for number in range(14)}
        for label in ("t2", "t3"):
            for number in shared:
                shutil.copy(root / f"real/t1/t1_{number}.png", root / f"real/{label}/{label}_{number}.png")
        regroup(root, lambda file, _: shared[Path(file).stem[-3:]])
        index, store = prepared(root, "subset", validation=0.3)
        (note,) = index.notes
        assert "every subset has the same real images" in note
        real = index.select(domain="real")
        assert (parts_of_groups(real) == 1).all()
        copies = real.groupby(store.digests[real.index.to_numpy()])
        assert (copies["label"].nunique() == 3).all()
        assert (copies["split"].nunique() == 1).all()
        # Copies in groups of their own come to stand on both sides.
        regroup(root, lambda file, group: f"{Path(file).parts[1]}_{group}")
        with pytest.raises(FingerprintsError, match="real images of different splits have the same pixels"):
            prepared(root, "subset", validation=0.3)
        # One image of one subset's own: no control, so that its copies are a mistake.
        shutil.copy(subset_root(seed=1, name="other") / "real/t2/t2_000.png", root / "real/t2/t2_000.png")
        with pytest.raises(FingerprintsError, match="41 real images have the same pixels under two labels"):
            prepared(root, "subset")

    def test_all_images_used_and_not_used_are_a_contradiction(
        self, usage_root: Root, prepared: Prepared
    ) -> None:
        root = usage_root()
        used, not_used = (sorted((root / name).iterdir()) for name in ("real_used", "real_not_used"))
        for one, other in zip(used, not_used, strict=True):
            shutil.copy(one, other)
        with pytest.raises(FingerprintsError, match="32 real images have the same pixels under two labels"):
            prepared(root, "usage")

    def test_test_image_in_training(self, usage_root: Root, prepared: Prepared) -> None:
        root = usage_root()
        shutil.copy(root / "real_used/u_000.png", root / "test/real_unknown/unknown_001.png")
        with pytest.raises(FingerprintsError, match="have the same pixels") as error:
            prepared(root, "usage")
        assert "test/real_unknown/unknown_001.png (test)" in str(error.value)
        assert "on_test_overlap=keep" in str(error.value)
        index, _ = prepared(root, "usage", on_test_overlap="keep")
        assert sum("the same pixels" in note for note in index.notes) == 1
        assert "2 real images of different splits have the same pixels" in index.notes[0]

    def test_group_in_training_and_test(self, usage_root: Root, prepared: Prepared) -> None:
        root = usage_root()
        regroup(root, lambda file, group: "u_patient_000" if "unknown_001" in file else group)
        with pytest.raises(FingerprintsError, match="3 real images of different splits have the same group"):
            prepared(root, "usage")
        index, _ = prepared(root, "usage", on_test_overlap="keep")
        assert "the same group" in index.notes[0]

    def test_pseudo_group_in_training_and_test_is_noted(
        self, usage_root: Root, prepared: Prepared, write_image: Callable[..., Path]
    ) -> None:
        root = usage_root(groups=False)
        pixels = np.asarray(Image.open(root / "real_used/u_000.png"))
        write_image(root / "test/real_unknown/unknown_001.png", (pixels // 2).astype(np.uint8))
        index, _ = prepared(root, "usage")
        assert index.pseudo_groups
        assert "2 real images of different splits have the same group" in index.notes[0]

    def test_copies_among_generated_images_are_the_generators_own(
        self, subset_root: Root, prepared: Prepared
    ) -> None:
        root = subset_root()
        paths = sorted((root / "generated/gen_t1").iterdir())
        for path in paths[1:]:
            shutil.copy(paths[0], path)
        index, store = prepared(root, "subset")
        copies = store.images[index.table.index[index.table["path"].str.contains("gen_t1/")]]
        assert len(copies) == len(paths)
        assert (copies == copies[0]).all()
        assert index.notes == ()


class TestTruth:
    @pytest.fixture
    def root(self, subset_root: Root) -> Path:
        return subset_root()

    def test_unknown_id(self, root: Path, prepared: Prepared) -> None:
        add_lines(root / "test_truth.csv", "stranger,t1")
        with pytest.raises(FingerprintsError, match=r"1 id\(s\) match no image:\n +stranger"):
            prepared(root, "subset")

    @pytest.mark.parametrize("header", ["image_path,predicted_class", "id,label", "Bild;Klasse"])
    def test_header(self, root: Path, prepared: Prepared, header: str) -> None:
        path = root / "test_truth.csv"
        given = prepared(root, "subset")[0].select(split="test")["label"].tolist()
        text = f"{header}\n{path.read_text()}"
        path.write_text(text.replace(",", ";") if ";" in header else text)
        assert prepared(root, "subset")[0].select(split="test")["label"].tolist() == given

    def test_missing_id(self, root: Path, prepared: Prepared) -> None:
        lines = (root / "test_truth.csv").read_text().splitlines(keepends=True)
        (root / "test_truth.csv").write_text("".join(lines[1:]))
        with pytest.raises(FingerprintsError, match=r"1 image\(s\) have no line:\n +unknown_000"):
            prepared(root, "subset")

    def test_repeated_id(self, root: Path, prepared: Prepared) -> None:
        add_lines(root / "test_truth.csv", "unknown_000.png,t1")
        with pytest.raises(
            FingerprintsError, match=r"'unknown_000' and 'unknown_000\.png' are the image 'unknown_000'"
        ):
            prepared(root, "subset")

    def test_label_that_training_lacks(self, root: Path, prepared: Prepared) -> None:
        text = (root / "test_truth.csv").read_text()
        (root / "test_truth.csv").write_text(text.replace("unknown_000,t1", "unknown_000,t9"))
        with pytest.raises(FingerprintsError, match=r"label\(s\) that the training part lacks: t9"):
            prepared(root, "subset")

    def test_other_file(self, root: Path, prepared: Prepared) -> None:
        (root / "test_truth.csv").rename(root / "answers.txt")
        assert not prepared(root, "subset")[0].has_truth
        assert prepared(root, "subset", truth="answers.txt")[0].has_truth


def test_select(usage_root: Root, prepared: Prepared) -> None:
    index: Index = prepared(usage_root(generators=("a", "b")), "usage_2024")[0]
    assert len(index.select()) == len(index.table)
    assert len(index.select(domain="real", split=["train", "test"], generator="a")) == 32 + 12
    assert len(index.select(split="test")) == 2 * 18


def test_folds_come_down_to_the_number_of_groups(prepared, usage_root):
    root = usage_root(per_class=8)  # 4 patients of each label
    index, _ = prepared(root, "usage", folds=5)
    real = index.select(domain="real", split="train")
    assert sorted(set(real["fold"])) == [0, 1, 2, 3]
    assert set(index.select(domain="generated", split="train")["fold"]) == {0, 1, 2, 3}
    assert any("4 folds instead of 5" in note for note in index.notes)
    assert not any("folds" in note for note in prepared(root, "usage", folds=4)[0].notes)


def test_a_fold_beyond_the_groups_is_named_and_one_group_is_refused(prepared, usage_root):
    root = usage_root(per_class=8)
    assert len(prepared(root, "usage", folds=5, fold=3)[0].select(split="validation"))
    with pytest.raises(FingerprintsError, match=r"no fold 4(.|\n)*data.fold=0 to 3"):
        prepared(root, "usage", folds=5, fold=4)
    with pytest.raises(FingerprintsError, match="at least 2"):
        prepared(usage_root(per_class=2, name="one"), "usage", folds=5)
