"""From a folder to a validated table: columns, groups, splits, truth, and everything that can be wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.groups import near_duplicate_groups
from fingerprints.data.index import COLUMNS, Index
from tests.data.parts import Prepared, Root, parts_of_groups, regroup


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
            for split in ("train", "validation"):
                before, after = (i.select(domain=domain, split=split)["label"] for i in (plain, control))
                assert sorted(before) == sorted(after)
            before, after = (
                i.select(domain=domain, split=["train", "validation"])["label"] for i in (plain, control)
            )
            assert (before != after).mean() > 0.3
        real = control.select(domain="real")
        assert (real.groupby("group")["label"].nunique() == 1).all()
        assert real["group"].nunique() < len(real)
        tests = [i.select(split="test")["label"].tolist() for i in (plain, control)]
        assert tests[0] == tests[1]
        assert "control run" in control.notes[-1]

    def test_labels_move_between_images_if_a_patient_has_several(
        self, usage_root: Root, prepared: Prepared
    ) -> None:
        root = usage_root(groups=False)
        names = [path.name for path in sorted(root.rglob("*.png")) if "real" in path.parent.name]
        patients = [f"{name.startswith('unknown')} {number % 4}" for number, name in enumerate(names)]
        rows = ["file,group", *(f"{name},{own}" for name, own in zip(names, patients, strict=True))]
        (root / "groups.csv").write_text("\n".join(rows))
        plain, control = (prepared(root, "usage", folds=2, shuffle_labels=on)[0] for on in (False, True))
        before, after = (i.select(domain="real", split="train") for i in (plain, control))
        assert (before.groupby("group")["label"].nunique() == 2).any()
        for fold in (0, 1):
            own = [part.loc[part["fold"] == fold, "label"] for part in (before, after)]
            assert sorted(own[0]) == sorted(own[1])
        assert (before["label"] != after["label"]).any()


class TestUsage:
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

    def test_groups_of_real_images(self, subset_root: Root, prepared: Prepared) -> None:
        root = subset_root()
        lines = (root / "groups.csv").read_text().splitlines(keepends=True)
        (root / "groups.csv").write_text("".join(lines[:-2]))
        with pytest.raises(FingerprintsError, match=r"2 real image\(s\) have no group") as error:
            prepared(root, "subset")
        assert "real/t3/t3_013.png" in str(error.value)


COUNT_ALL = 3 * 14 * 2 + 9  # images of `subset_root()`


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
