"""Splits by group: properties that hold for any labels and groups, and the splits of small data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.splits import fewest_groups, hold_out, k_folds
from tests.data.parts import Prepared, Root, parts_of_groups, regroup


@st.composite
def patients(draw: st.DrawFn, least: int = 2, mixed: bool = False) -> tuple[list[str], list[str]]:
    """Labels and groups of images; every label has at least `least` groups."""
    labels, groups = [], []
    for label in range(draw(st.integers(1, 4))):
        for group in range(draw(st.integers(least, least + 6))):
            size = draw(st.integers(1, 5))
            labels += [f"l{label}"] * size
            groups += [f"{'' if mixed else label}g{group}"] * size
    order = draw(st.randoms(use_true_random=False))
    paired = list(zip(labels, groups, strict=True))
    order.shuffle(paired)
    return [label for label, _ in paired], [group for _, group in paired]


@given(patients(), st.floats(0.02, 0.5), st.integers(0, 3))
def test_no_group_is_on_both_sides_and_every_label_is(
    images: tuple[list[str], list[str]], fraction: float, seed: int
) -> None:
    labels, groups = (np.array(column) for column in images)
    held = hold_out(labels, groups, fraction=fraction, seed=seed)
    assert set(groups[held]).isdisjoint(groups[~held])
    assert set(labels[held]) == set(labels[~held]) == set(labels)
    assert np.array_equal(held, hold_out(labels, groups, fraction=fraction, seed=seed))


@given(patients(mixed=True), st.floats(0.02, 0.5), st.integers(0, 3))
def test_groups_of_several_labels_stay_whole(
    images: tuple[list[str], list[str]], fraction: float, seed: int
) -> None:
    labels, groups = (np.array(column) for column in images)
    try:
        held = hold_out(labels, groups, fraction=fraction, seed=seed)
    except FingerprintsError:
        reject()
    assert set(groups[held]).isdisjoint(groups[~held])
    assert set(labels[held]) == set(labels[~held]) == set(labels)


@pytest.mark.parametrize("seed", range(4))
def test_one_group_can_hold_out_several_labels(seed: int) -> None:
    labels, groups = np.array(["a", "a", "b", "b"]), np.array(["1", "2", "1", "2"])
    held = hold_out(labels, groups, fraction=0.25, seed=seed)
    assert set(labels[held]) == set(labels[~held]) == {"a", "b"}
    assert len(set(groups[held])) == 1


@given(st.lists(st.integers(10, 60), min_size=1, max_size=4), st.floats(0.05, 0.5), st.integers(0, 5))
def test_share_of_each_label_is_near_the_target(counts: list[int], fraction: float, seed: int) -> None:
    labels = np.repeat([f"l{i}" for i in range(len(counts))], counts)
    held = hold_out(labels, [str(i) for i in range(len(labels))], fraction=fraction, seed=seed)
    for number, count in enumerate(counts):
        assert abs(held[labels == f"l{number}"].sum() - fraction * count) <= 0.5 + 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_rare_label_is_not_held_out_whole_for_the_sake_of_a_common_one(seed: int) -> None:
    labels = np.array(["a", *"b" * 10] * 2 + ["b"] * 80)
    groups = np.repeat(["1", "2", "3", "4"], [11, 11, 40, 40])
    held = hold_out(labels, groups, fraction=0.2, seed=seed)
    assert held[labels == "a"].sum() == 1


@pytest.mark.parametrize("seed", range(4))
def test_label_whose_target_is_below_its_groups_gives_its_smallest(seed: int) -> None:
    groups = np.repeat(["1", "2", "3"], [3, 2, 5])
    held = hold_out(["a"] * 10, groups, fraction=0.02, seed=seed)
    assert set(groups[held]) == {"2"}


def test_seeds_differ_and_the_order_of_images_does_not_matter() -> None:
    labels = np.repeat(["a", "b"], 40)
    groups = np.array([f"g{i // 2}" for i in range(80)])
    masks = [hold_out(labels, groups, fraction=0.2, seed=seed) for seed in range(4)]
    assert len({mask.tobytes() for mask in masks}) == 4
    back = hold_out(labels[::-1], groups[::-1], fraction=0.2, seed=0)
    assert np.array_equal(back[::-1], masks[0])


def test_label_of_one_group_is_an_error() -> None:
    labels, groups = ["a"] * 4 + ["b"] * 4, ["1", "2", "3", "4", "5", "5", "5", "5"]
    with pytest.raises(FingerprintsError, match=r"Label 'b' has 1 group\(s\).*at least 2"):
        hold_out(labels, groups, fraction=0.2, seed=0)
    with pytest.raises(FingerprintsError, match=r"Label 'b' has 1 group\(s\).*at least 3"):
        k_folds(labels, groups, k=3, seed=0)


def test_label_that_cannot_be_parted_is_an_error() -> None:
    labels, groups = ["a", "b", "a", "b"], ["1", "1", "2", "3"]
    held = hold_out(labels, groups, fraction=0.5, seed=0)
    assert set(np.array(labels)[held]) == {"a", "b"}
    ring, pairs_of_two = ["a", "b", "b", "c", "c", "a"], ["1", "1", "2", "2", "3", "3"]
    with pytest.raises(FingerprintsError, match="cannot be held out"):
        hold_out(ring, pairs_of_two, fraction=0.1, seed=0)


@given(patients(least=3), st.integers(2, 3), st.integers(0, 3))
def test_folds_keep_groups_whole_and_share_out_labels(
    images: tuple[list[str], list[str]], k: int, seed: int
) -> None:
    labels, groups = (np.array(column) for column in images)
    folds = k_folds(labels, groups, k=k, seed=seed)
    assert set(folds) == set(range(k))
    for group in set(groups):
        assert len(set(folds[groups == group])) == 1
    for label in set(labels):
        assert len(set(folds[labels == label])) > 1
    assert np.array_equal(folds, k_folds(labels, groups, k=k, seed=seed))


@given(st.lists(st.integers(5, 40), min_size=1, max_size=3), st.integers(2, 5), st.integers(0, 3))
def test_folds_of_single_images_are_even(counts: list[int], k: int, seed: int) -> None:
    labels = np.repeat([f"l{i}" for i in range(len(counts))], counts)
    folds = k_folds(labels, [str(i) for i in range(len(labels))], k=k, seed=seed)
    for number in range(len(counts)):
        sizes = np.bincount(folds[labels == f"l{number}"], minlength=k)
        assert sizes.max() - sizes.min() <= 1


def test_folds_differ_between_seeds() -> None:
    labels, groups = ["a", "b"] * 20, [f"g{i // 2}" for i in range(40)]
    assert len({k_folds(labels, groups, k=4, seed=seed).tobytes() for seed in range(4)}) > 1


def test_fewest_groups_is_of_the_poorest_label():
    labels = ["a", "a", "a", "b", "b", "b"]
    assert fewest_groups(labels, ["1", "1", "2", "3", "4", "5"]) == 2
    assert fewest_groups(labels, ["1", "1", "1", "1", "1", "1"]) == 1


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


class TestSmallParts:
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
