"""The index: one validated table of images, with groups and splits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.progress import Progress
from fingerprints.core.tasks import NONE, Task
from fingerprints.data.checks import check_classes, check_ids, check_images, check_overlap
from fingerprints.data.decode import Preprocessing
from fingerprints.data.groups import near_duplicate_groups, read_groups
from fingerprints.data.layout import ImageFile
from fingerprints.data.parts import left_out_of, scan_parts, truth_file
from fingerprints.data.reference import (
    add_own_groups,
    check_reference_images,
    left_out_of_reference,
    reference_files,
)
from fingerprints.data.runfiles import read_labels
from fingerprints.data.settings import REFERENCE, SHADOW, DataSettings
from fingerprints.data.shadow import check_shadow_pool, read_membership, shadow_files
from fingerprints.data.splits import split_training
from fingerprints.data.store import ImageStore, open_store
from fingerprints.data.usage_notes import usage_notes

COLUMNS = ("id", "path", "domain", "generator", "label", "group", "split", "fold")


@dataclass(frozen=True)
class Index:
    """The data set of one run.

    Attributes:
        table: One row per image; the DataFrame's index is the row of the image store. Columns:
            `id` (file name without extension), `path`, `domain` (`real`, `generated`), `generator`
            (empty if there is only one), `label` (empty if unknown), `group`, `split` (`train`,
            `validation`, `test`, `reference`, `shadow`), `fold` (-1 if the part is split only once). Images
            of the reference have no label and no generator, those of shadow generators no label.
        classes: Labels, in the order of score columns.
        task: The task.
        pseudo_groups: Whether near-duplicate clusters are used as groups.
        has_truth: Whether test units are labelled.
        notes: What was skipped, resized or kept on request, for the log and the report.
        membership: Which shadow generator (column) was trained on which candidate (row of the table); `None`
            if there are none.
    """

    table: pd.DataFrame
    classes: tuple[str, ...]
    task: Task
    pseudo_groups: bool
    has_truth: bool
    notes: tuple[str, ...] = field(default=())
    membership: pd.DataFrame | None = None

    @property
    def generators(self) -> list[str]:
        """Names of the generators that are fitted and scored separately (`['']` if there is only one)."""
        if not self.task.by_generator:
            return [""]
        return sorted(self.select()["generator"].unique())

    def counts(self) -> str:
        """Images by split and domain, in words."""
        sizes = self.table.value_counts(["split", "domain"], sort=False).reset_index(name="count")
        return ", ".join(f"{s} {d} {n:,}" for s, d, n in zip(*(sizes[c] for c in sizes), strict=True))

    def select(
        self,
        *,
        domain: str | None = None,
        split: str | Sequence[str] | None = None,
        generator: str | None = None,
    ) -> pd.DataFrame:
        """Rows that match all given values; those of reference and shadow only if `split` names them."""
        keep = ~self.table["split"].isin([REFERENCE, SHADOW])
        if split is not None:
            keep = self.table["split"].isin([split] if isinstance(split, str) else list(split))
        if domain is not None:
            keep &= self.table["domain"] == domain
        if generator is not None and self.task.by_generator:
            keep &= self.table["generator"] == generator
        return self.table[keep]


def prepare(
    settings: DataSettings,
    task: Task,
    *,
    cache: Path,
    seed: int,
    progress: Progress | None = None,
) -> tuple[Index, ImageStore]:
    """Scan, decode, validate and split the data; all errors in the data are reported here.

    Raises:
        FingerprintsError: If the data would make a run fail or its figures meaningless.
    """
    if settings.fold is not None and not 0 <= settings.fold < settings.folds:
        raise FingerprintsError(
            f"There is no fold {settings.fold} of {settings.folds}: folds are counted from 0.",
            where="data.fold",
            fix=f"choose data.fold=0 to {settings.folds - 1}, or make more folds (data.folds=N)",
        )
    # First the checks that need only file names, because decoding takes time.
    found = scan_parts(settings.root, settings.sources, test_root=settings.test_root)
    files = [*found, *reference_files(settings), *shadow_files(settings)]
    notes = [*left_out_of(settings.root, settings.test_root, files), *left_out_of_reference(settings, files)]
    table, reference, shadow = _apart(_table(files, task))
    membership = read_membership(shadow, settings)
    classes = check_classes(table, task, settings.root)
    check_ids(table, task, settings.root)
    has_truth = _add_truth(table, task, settings, classes)
    if settings.leave_out is not None:
        table, classes = _leave_out(table, settings.leave_out, task, classes)
        notes.append(f"subset {settings.leave_out} is left out of training; its test images are '{NONE}'")
    pseudo = not _add_given_groups(table, reference, settings, notes)
    add_own_groups(reference, settings, notes)

    store = open_store(files, Preprocessing(settings.size), cache=cache, progress=progress)
    readable, count = check_images(files, store, settings, notes), len(table)
    table, reference, shadow = (_only(readable, part) for part in (table, reference, shadow))
    if len(table) < count:
        check_classes(table[table["split"] != "test"], task, settings.root)
    if pseudo:
        _add_near_duplicate_groups(table, store, settings)
    split_training(table, task, settings, notes, seed=seed)
    check_overlap(table, task, store, settings, notes, pseudo=pseudo)
    check_reference_images(reference, table, store, settings, notes, pseudo=pseudo)
    check_shadow_pool(table, shadow, store, settings)
    if task.generated_label is not None:
        notes += usage_notes(table, store)
    if settings.shuffle_labels:
        _shuffle_labels(table, seed=seed)
        notes.append("control run: training labels are permuted, so a correct method scores at chance level")
    index = Index(
        table=pd.concat([table, reference, shadow])[list(COLUMNS)],
        classes=classes,
        task=task,
        pseudo_groups=pseudo,
        has_truth=has_truth,
        notes=tuple(notes),
        membership=membership,
    )
    return index, store


def _table(files: Sequence[ImageFile], task: Task) -> pd.DataFrame:
    """One row per file, in store order; each generated image is its own group, as it has no patient."""
    return pd.DataFrame(
        {
            "id": [file.id for file in files],
            "path": [file.name for file in files],
            "domain": [file.domain for file in files],
            "generator": [file.generator for file in files],
            "label": [task.from_run(file.label) if file.label is not None else "" for file in files],
            "group": [f"{file.domain}:{file.name}" for file in files],
            "split": [file.part for file in files],
            "fold": -1,
        },
        index=pd.RangeIndex(len(files), name="row"),
    )


def _apart(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The images of training and test, those of the reference, and those of shadow generators."""
    reference, shadow = (table[table["split"] == split].copy() for split in (REFERENCE, SHADOW))
    return table.drop([*reference.index, *shadow.index]), reference, shadow


def _only(rows: NDArray[np.int64], part: pd.DataFrame) -> pd.DataFrame:
    """The part's images that are among the rows."""
    return part.loc[np.intersect1d(rows, part.index)]


def _add_given_groups(
    table: pd.DataFrame, reference: pd.DataFrame, settings: DataSettings, notes: list[str]
) -> bool:
    """Fill in the groups of a CSV; return whether there is one. Images of the reference need no group."""
    path = settings.groups
    if path is None and (settings.root / "groups.csv").is_file():
        path = settings.root / "groups.csv"
    if path is None:
        return False
    both = pd.concat([table, reference[~reference["path"].str.startswith("/")]])
    names, give = list(both["path"]), "give an existing file (data.groups=CSV), or leave data.groups out"
    read = read_groups(path, names, give=give)
    notes += read.notes()
    lacking = read.lacking(names, needed=set(table.loc[table["domain"] == "real", "path"]))
    if lacking:
        raise FingerprintsError(
            f"{len(lacking)} real image(s) have no group:\n{listing(lacking)}",
            where=path,
            fix="add a row for every real image (path relative to data.root, or file name); leave the group "
            "empty if it is not known",
        )
    given = pd.Series(read.groups, index=both.index, dtype=object).dropna()
    for part in (table, reference):
        part["group"] = given.reindex(part.index).fillna(part["group"]).astype(str)
    return True


def _add_near_duplicate_groups(table: pd.DataFrame, store: ImageStore, settings: DataSettings) -> None:
    rows = table.index[table["domain"] == "real"].to_numpy()
    if not len(rows):
        return
    clusters = store.cached(
        f"near_duplicates_{settings.near_duplicate}_{_digest(rows)}",
        lambda: near_duplicate_groups(store.images[rows], threshold=settings.near_duplicate),
    )
    table.loc[rows, "group"] = [f"cluster_{cluster:05d}" for cluster in clusters]


def _digest(rows: NDArray[np.int64]) -> str:
    return hashlib.blake2b(rows.tobytes(), digest_size=8).hexdigest()


def _add_truth(table: pd.DataFrame, task: Task, settings: DataSettings, classes: Sequence[str]) -> bool:
    path = truth_file(settings.root, settings.test_root, settings.truth)
    units = table[(table["split"] == "test") & (table["domain"] == task.unit)]
    if units.empty or not path.is_file():
        return False
    ids = list(units["id"])
    matched = read_labels(path, task, kind="truth file", images=ids, classes=classes).labels_of(ids)
    strange = sorted(set(matched) - set(classes)) if not task.clusters else []
    if strange:
        raise FingerprintsError(
            f"The truth file has label(s) that the training part lacks: {', '.join(strange)}.",
            where=path,
            fix=f"use the labels of the training part: {', '.join(classes)}",
        )
    table.loc[units.index, "label"] = matched
    return True


def _leave_out(
    table: pd.DataFrame, left_out: str, task: Task, classes: tuple[str, ...]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table without a subset's training images, with its test images as `none`; and the other labels."""
    if not task.open_set or left_out not in classes:
        raise FingerprintsError(
            f"There is no subset '{left_out}' to leave out.",
            where="data.leave_out",
            fix=f"use one of {', '.join(classes)}" if task.open_set else "use it only with task=subset",
        )
    if len(classes) < 3:
        raise FingerprintsError(
            f"Without '{left_out}' only one subset remains, but at least two are needed.",
            where="data.leave_out",
            fix="remove data.leave_out, or give at least three subsets",
        )
    own = table["label"] == left_out
    kept = table[~own | (table["split"] == "test")].copy()
    kept.loc[kept["label"] == left_out, "label"] = NONE
    return kept, tuple(name for name in classes if name != left_out)


def _shuffle_labels(table: pd.DataFrame, *, seed: int) -> None:
    """Permute the labels of training images, in place.

    Labels move between groups (patients) if each group has one label, as answers do for near-duplicate
    images; else between images. Each part and fold keeps its labels, so that none loses a class.
    """
    rng = np.random.default_rng([seed, 0xC0DE])
    for _, images in table[table["split"] != "test"].groupby(["domain", "generator"]):
        pure = (images.groupby("group")["label"].nunique() == 1).all()
        for _, part in images.groupby(["split", "fold"]):
            unit = pd.factorize(part["group"])[0] if pure else np.arange(len(part))
            first = np.unique(unit, return_index=True)[1]
            table.loc[part.index, "label"] = rng.permutation(part["label"].to_numpy()[first])[unit]
