"""What can be wrong with the images of a data set."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.checks import check_sizes, require_unique
from fingerprints.data.settings import Source
from tests.data.parts import Prepared, Root, parts_of_groups, regroup

COUNT_ALL = 3 * 14 * 2 + 9  # images of `subset_root()`


class TestClasses:
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

    def test_one_generator_is_not_enough(self, model_root: Root, prepared: Prepared) -> None:
        with pytest.raises(FingerprintsError, match="needs at least 2 labels; found m0"):
            prepared(model_root(classes=1), "model")

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


def test_sizes_that_a_run_was_not_trained_on_are_refused_or_noted(tmp_path: Path) -> None:
    notes: list[str] = []
    known, new = {"48 x 48": 9}, {"48 x 48": 3, "32 x 32": 2}
    for wanted in ("error", "resize"):
        check_sizes({"48 x 48": 3}, known, where=tmp_path, on_mixed_size=wanted, notes=notes)
    assert notes == []
    with pytest.raises(FingerprintsError, match="not trained on") as error:
        check_sizes(new, known, where=tmp_path, on_mixed_size="error", notes=notes)
    assert "32 x 32: 2 image(s)\n  the run was trained on:\n    48 x 48: 9" in error.value.what
    check_sizes(new, known, where=tmp_path, on_mixed_size="resize", notes=notes)
    assert "2 of 5 images" in notes[0]
    assert "(32 x 32; the run: 48 x 48)" in notes[0]


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
