"""The index: one validated table of images, with groups and splits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.progress import Progress
from fingerprints.core.tasks import NONE, Task
from fingerprints.data.decode import Preprocessing
from fingerprints.data.groups import near_duplicate_groups, read_groups
from fingerprints.data.layout import ImageFile, Source, scan
from fingerprints.data.runfiles import match_labels, read_labels
from fingerprints.data.splits import hold_out, k_folds
from fingerprints.data.store import ImageStore, open_store

COLUMNS = ("id", "path", "domain", "generator", "label", "group", "split", "fold")

Remedy = Literal["error", "skip"]


@dataclass(frozen=True)
class DataSettings:
    """How a folder becomes an index; the plain counterpart of the `data` configuration group.

    Attributes:
        root: Folder that the patterns and `truth` are relative to.
        sources: The layout.
        size: Side of the pixels, in pixels.
        truth: File with the labels of the test part, relative to `root`; ignored if it is absent.
        groups: CSV of groups; `None`: `groups.csv` in `root`, else near-duplicate clusters.
        near_duplicate: Thumbnail correlation from which two images form one pseudo-group.
        validation: Share of each label held out for validation.
        folds: Number of folds: of the out-of-fold scores that small parts get instead of the share, and
            of the partition that `fold` chooses from.
        folds_below: A `usage` part with fewer labelled real images than this is small.
        fold: Hold out this fold, `0..folds-1`, for validation, and nothing else; the partition depends on
            the seed alone, so that runs over all folds hold out every group once.
        on_bad_image: `error` lists all unreadable files; `skip` goes on without them.
        on_mixed_size: `error` or `resize` where files differ in size.
        on_test_overlap: `error` or `keep` where a test image or group also stands in training.
        shuffle_labels: Control: permute training labels per image, within each domain.
        leave_out: `subset` only: this label's training images are left out, and its test images are
            `none`, which an open-set decision should say of them.
    """

    root: Path
    sources: Sequence[Source]
    size: int
    truth: str = "test_truth.csv"
    groups: Path | None = None
    near_duplicate: float = 0.95
    validation: float = 0.1
    folds: int = 5
    folds_below: int = 1000
    fold: int | None = None
    on_bad_image: Remedy = "error"
    on_mixed_size: Literal["error", "resize"] = "error"
    on_test_overlap: Literal["error", "keep"] = "error"
    shuffle_labels: bool = False
    leave_out: str | None = None


@dataclass(frozen=True)
class Index:
    """The data set of one run.

    Attributes:
        table: One row an image; the DataFrame's index is the row of the image store. Columns:
            `id` (file name without extension), `path`, `domain` (`real`, `generated`), `generator`
            (empty where there is one), `label` (empty where unknown), `group`, `split` (`train`,
            `validation`, `test`), `fold` (-1 where the part is split once).
        classes: Labels, in the order of score columns.
        task: The task.
        pseudo_groups: Whether near-duplicate clusters stand in for groups.
        has_truth: Whether test units are labelled.
        notes: What was skipped, resized or kept on request, for the log and the report.
    """

    table: pd.DataFrame
    classes: tuple[str, ...]
    task: Task
    pseudo_groups: bool
    has_truth: bool
    notes: tuple[str, ...] = field(default=())

    @property
    def generators(self) -> list[str]:
        """Names of the generators that are fitted and scored one by one (`['']` where there is one)."""
        if not self.task.per_generator:
            return [""]
        return sorted(self.table["generator"].unique())

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
        """Rows of the table that match all that is given."""
        keep = pd.Series(True, index=self.table.index)
        if domain is not None:
            keep &= self.table["domain"] == domain
        if split is not None:
            keep &= self.table["split"].isin([split] if isinstance(split, str) else list(split))
        if generator is not None and self.task.per_generator:
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
    """Scan, decode, validate and split: everything that can be wrong with the data is said here.

    Raises:
        FingerprintsError: On anything that would make a run fail or its figures mean nothing.
    """
    if settings.fold is not None and not 0 <= settings.fold < settings.folds:
        raise FingerprintsError(
            f"There is no fold {settings.fold} of {settings.folds}: folds are counted from 0.",
            where="data.fold",
            fix=f"data.fold=0 to {settings.folds - 1}, or more folds (data.folds=N)",
        )
    # What names alone can tell comes first: decoding takes a while.
    files = scan(settings.root, settings.sources)
    notes: list[str] = []
    table = _table(files, task)
    classes = _check_classes(table, task, settings.root)
    _check_ids(table, task, settings.root)
    has_truth = _add_truth(table, task, settings, classes)
    if settings.leave_out is not None:
        table, classes = _leave_out(table, settings.leave_out, task, classes)
        notes.append(f"subset {settings.leave_out} is left out of training; its test images are '{NONE}'")
    pseudo = not _add_given_groups(table, settings, notes)

    store = open_store(files, Preprocessing(settings.size), cache=cache, progress=progress)
    readable = np.intersect1d(_check_images(files, store, settings, notes), table.index)
    if len(readable) < len(table):
        table = table.loc[readable].copy()
        _check_classes(table[table["split"] != "test"], task, settings.root)
    if pseudo:
        _add_near_duplicate_groups(table, store, settings)
    _split_training(table, task, settings, notes, seed=seed)
    _check_overlap(table, task, store, settings, notes, pseudo=pseudo)
    if settings.shuffle_labels:
        _shuffle_labels(table, seed=seed)
        notes.append("control run: training labels are permuted per image, so chance is the right answer")
    index = Index(
        table=table[list(COLUMNS)],
        classes=classes,
        task=task,
        pseudo_groups=pseudo,
        has_truth=has_truth,
        notes=tuple(notes),
    )
    return index, store


def check_readable(
    files: Sequence[ImageFile],
    store: ImageStore,
    *,
    on_bad_image: Remedy,
    on_mixed_size: Literal["error", "resize"],
    notes: list[str],
) -> NDArray[np.int64]:
    """Rows that can be used.

    Raises:
        FingerprintsError: Naming every unreadable file, or the sizes that are mixed.
    """
    if store.errors:
        bad = [f"{files[row].name}: {why}" for row, why in sorted(store.errors.items())]
        if on_bad_image == "error":
            raise FingerprintsError(
                f"{len(bad)} image(s) cannot be read:\n{listing(bad, 100)}",
                where=Path(files[0].path).parent if len(files) == 1 else None,
                fix="repair or remove them, or go on without them: data.on_bad_image=skip",
            )
        notes.append(f"{len(bad)} unreadable image(s) skipped")
    readable = np.setdiff1d(np.arange(len(files)), list(store.errors))
    if len(readable) == 0:
        raise FingerprintsError("None of the images can be read.", fix="check the folder")
    sizes, counts = np.unique(store.native_sizes[readable], axis=0, return_counts=True)
    if len(sizes) > 1:
        order = np.argsort(-counts)
        shown = [f"{w} x {h}: {c} image(s)" for (w, h), c in zip(sizes[order], counts[order], strict=True)]
        rare = sizes[order[-1]]
        example = files[readable[np.flatnonzero((store.native_sizes[readable] == rare).all(axis=1))[0]]].name
        if on_mixed_size == "error":
            raise FingerprintsError(
                f"The images differ in size, and resizing traces can tell them apart:\n{listing(shown)}",
                where=f"for example {example}",
                fix="bring them to one size, or accept resizing: data.on_mixed_size=resize",
            )
        notes.append(f"images of {len(sizes)} sizes were resized")
    return readable


def _check_images(
    files: Sequence[ImageFile], store: ImageStore, settings: DataSettings, notes: list[str]
) -> NDArray[np.int64]:
    try:
        return check_readable(
            files,
            store,
            on_bad_image=settings.on_bad_image,
            on_mixed_size=settings.on_mixed_size,
            notes=notes,
        )
    except FingerprintsError as error:
        raise FingerprintsError(error.what, where=error.where or settings.root, fix=error.fix) from None


def _table(files: Sequence[ImageFile], task: Task) -> pd.DataFrame:
    """One row a file, in store order; a generated image is no patient's, so it is a group of its own."""
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


def _check_classes(table: pd.DataFrame, task: Task, root: Path) -> tuple[str, ...]:
    """Labels of the training part; every label must have what its task pairs."""
    labelled = table[table["label"] != ""]
    found = {
        domain: set(labelled.loc[labelled["domain"] == domain, "label"]) for domain in ("real", "generated")
    }
    if task.classes is not None:
        unknown = sorted((found["real"] | found["generated"]) - set(task.classes))
        if unknown:
            raise FingerprintsError(
                f"Labels {', '.join(unknown)} are none of the task '{task.name}' "
                f"({', '.join(task.classes)}).",
                where="data.sources",
                fix="label each source of the training part with one of them",
            )
    if task.unit == "real":
        for generator in sorted(table["generator"].unique()):
            _require_both_sides(table[table["generator"] == generator], task, root, generator=generator)
        return task.classes or ()
    if task.real_has_labels:
        for here, there in (("real", "generated"), ("generated", "real")):
            alone = sorted(found[here] - found[there])
            if alone:
                raise FingerprintsError(
                    f"Subset(s) {', '.join(alone)} have {here} but no {there} images.",
                    where=root,
                    fix=f"add the {there} images of {', '.join(alone)}, or remove the {here} ones",
                )
    classes = tuple(sorted(found[task.unit]))
    if len(classes) < 2:
        raise FingerprintsError(
            f"Task '{task.name}' needs at least 2 labels; found {', '.join(classes) or 'none'}.",
            where=root,
            fix="check that the layout's patterns match the folders (data=..., see --help)",
        )
    return classes


def _require_both_sides(own: pd.DataFrame, task: Task, root: Path, *, generator: str) -> None:
    """A generator needs real images of every label, and generated ones in each of its parts."""
    missing = [label for label in task.classes or () if label not in set(own["label"])]
    if missing:
        name = f"Generator '{generator}' has" if generator else "There are"
        raise FingerprintsError(
            f"{name} no real images labelled {' or '.join(missing)}.",
            where=root,
            fix="both used and not-used images are needed to train and to set the threshold",
        )
    for part in sorted(set(own["split"])):
        if "generated" not in set(own.loc[own["split"] == part, "domain"]):
            raise FingerprintsError(
                f"Generator '{generator}' has real images in its {part} part but no generated ones.",
                where=root,
                fix="add the generated images: each part is scored against its own",
            )


def _check_ids(table: pd.DataFrame, task: Task, root: Path) -> None:
    """A path without its extension names one image; so does the id of a test unit."""
    require_unique(table["path"].str.replace(r"\.[^./]+$", "", regex=True), table["path"], root)
    units = table[(table["domain"] == task.unit) & (table["split"] == "test")]
    require_unique(units["id"], units["path"], root)


def require_unique(ids: pd.Series, paths: pd.Series, root: Path) -> None:
    """Every id stands for one image.

    Raises:
        FingerprintsError: Naming the images (`paths`, indexed as `ids`) that share an id.
    """
    repeated = ids[ids.duplicated(keep=False)]
    if len(repeated):
        shared = sorted(paths[repeated.index])
        raise FingerprintsError(
            f"Duplicate ids: {len(shared)} images share {repeated.nunique()} id(s):\n{listing(shared)}",
            where=root,
            fix="an id is the file name without its extension: rename or remove all but one",
        )


def _add_given_groups(table: pd.DataFrame, settings: DataSettings, notes: list[str]) -> bool:
    """Fill in the groups of a CSV; returns whether there is one."""
    path = settings.groups
    if path is None and (settings.root / "groups.csv").is_file():
        path = settings.root / "groups.csv"
    if path is None:
        return False
    read, unmatched = read_groups(path, list(table["path"]))
    if unmatched:
        notes.append(f"{unmatched} row(s) of {path.name} name no image")
    given = pd.Series(read, index=table.index, dtype=object)
    missing = table.loc[given.isna() & (table["domain"] == "real"), "path"]
    if len(missing):
        raise FingerprintsError(
            f"{len(missing)} real image(s) have no group:\n{listing(list(missing))}",
            where=path,
            fix="give every real image a row (path relative to data.root, or file name)",
        )
    table["group"] = given.where(given.notna(), table["group"]).astype(str)
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


def _split_training(
    table: pd.DataFrame, task: Task, settings: DataSettings, notes: list[str], *, seed: int
) -> None:
    """One fold or a share held out by group, or folds of small `usage` parts; per generator and domain."""
    train = table["split"] == "train"
    for generator in table["generator"].unique() if task.per_generator else [None]:
        own = train if generator is None else train & (table["generator"] == generator)
        labelled = own & (table["domain"] == task.unit) & (table["label"] != "")
        small = task.unit == "real" and int(labelled.sum()) < settings.folds_below
        domains = (table[own & (table["domain"] == domain)] for domain in ("real", "generated"))
        parts = [part for part in domains if not part.empty]
        if settings.fold is None and small:
            k = min((_possible_folds(part, settings.folds) for part in parts), default=settings.folds)
            if k < settings.folds:
                notes.append(
                    f"{k} folds instead of data.folds={settings.folds}"
                    f"{f' for generator {generator}' if generator else ''}: "
                    "a label has no more groups (patients) than that"
                )
        for part in parts:
            labels, groups = part["label"].tolist(), part["group"].tolist()
            if settings.fold is not None:
                folds = k_folds(labels, groups, k=settings.folds, seed=seed)
                held = folds == settings.fold
                _require_labels(part["label"], held, settings)
                table.loc[part.index[held], "split"] = "validation"
            elif small:
                table.loc[part.index, "fold"] = k_folds(labels, groups, k=k, seed=seed)
            elif settings.validation > 0:
                held = hold_out(labels, groups, fraction=settings.validation, seed=seed)
                table.loc[part.index[held], "split"] = "validation"


def _possible_folds(part: pd.DataFrame, most: int) -> int:
    """Folds with a group of every label in each: `most` or fewer, at least 2."""
    return max(2, min(most, int(part.groupby("label")["group"].nunique().min())))


def _require_labels(labels: pd.Series, held: NDArray[np.bool_], settings: DataSettings) -> None:
    """Large groups can leave a fold without a label, or the rest without it: no figure would be whole."""
    lacking = sorted(set(labels[held]) ^ set(labels[~held]))
    if lacking:
        raise FingerprintsError(
            f"Fold {settings.fold} of {settings.folds} cannot have label(s) {', '.join(lacking)} on both "
            "sides: their groups are too few or too large.",
            where="data.fold",
            fix="fewer folds (data.folds=N), another seed, or finer groups (data.groups=CSV)",
        )


def _check_overlap(
    table: pd.DataFrame,
    task: Task,
    store: ImageStore,
    settings: DataSettings,
    notes: list[str],
    *,
    pseudo: bool,
) -> None:
    """Identical real images across splits or labels, and groups across training and test."""
    real = table[table["domain"] == "real"]
    # Where every generator is fitted by itself an image may serve two of them.
    own = real["generator"]
    side = real["split"].where(real["fold"] < 0, "fold " + real["fold"].astype(str))
    digest = pd.Series(store.digests[real.index.to_numpy()], index=real.index)

    known = real["label"].where((real["label"] != "") & (real["split"] != "test"))
    two_labels = known.groupby([own, digest]).transform("nunique") > 1
    if task.real_has_labels and two_labels.any() and _same_under_all_labels(known, digest):
        notes.append(
            "control: every subset holds the same real images, so that only the generators can be told apart"
        )
    elif two_labels.any():
        raise FingerprintsError(
            f"{two_labels.sum()} real images carry the same pixels under two labels:\n"
            f"{listing(sorted(real.loc[two_labels, 'path']))}",
            where=settings.root,
            fix="an image has one label: remove the copies",
        )
    for kind, key in (("the same pixels", digest), ("the same group", real["group"])):
        crosses = side.groupby([own, key]).transform("nunique") > 1
        if not crosses.any():
            continue
        within_training = side[side != "test"].groupby([own, key]).transform("nunique") > 1
        rows = key[crosses].sort_values().index
        paths = [f"{path} ({at})" for path, at in zip(real.loc[rows, "path"], side.loc[rows], strict=True)]
        text = f"{len(paths)} real images of different splits have {kind}"
        tolerated = settings.on_test_overlap == "keep" or (pseudo and kind == "the same group")
        if tolerated and not within_training.any():
            notes.append(f"{text}, in training and test: the test part is not independent of training")
            continue
        fix = "give copies one group in groups.csv, or remove them"
        if not within_training.any():
            fix += "; to predict the test part all the same: data.on_test_overlap=keep"
        raise FingerprintsError(f"{text}:\n{listing(paths)}", where=settings.root, fix=fix)


def _same_under_all_labels(labels: pd.Series, digest: pd.Series) -> bool:
    """Whether every labelled image stands under every label: a control; some alone would be a mistake."""
    labels = labels.dropna()
    return bool((labels.groupby(digest[labels.index]).nunique() == labels.nunique()).all())


def _add_truth(table: pd.DataFrame, task: Task, settings: DataSettings, classes: Sequence[str]) -> bool:
    path = settings.root / settings.truth
    units = table[(table["split"] == "test") & (table["domain"] == task.unit)]
    if units.empty or not path.is_file():
        return False
    labels = read_labels(path, task, kind="truth file")
    matched = match_labels(labels, list(units["id"]), path=path, kind="truth file")
    strange = sorted(set(matched) - set(classes)) if not task.clusters else []
    if strange:
        raise FingerprintsError(
            f"The truth file has label(s) that the training part lacks: {', '.join(strange)}.",
            where=path,
            fix=f"labels are {', '.join(classes)}",
        )
    table.loc[units.index, "label"] = matched
    return True


def _leave_out(
    table: pd.DataFrame, left_out: str, task: Task, classes: tuple[str, ...]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table without a subset's training images, its test images relabelled; and the labels left."""
    if not task.open_set or left_out not in classes:
        raise FingerprintsError(
            f"There is no subset '{left_out}' to leave out.",
            where="data.leave_out",
            fix=f"one of {', '.join(classes)}" if task.open_set else "task subset alone has subsets",
        )
    if len(classes) < 3:
        raise FingerprintsError(
            f"Without '{left_out}' one subset is left, and nothing to tell apart.",
            where="data.leave_out",
            fix="leave none out, or give three subsets or more",
        )
    own = table["label"] == left_out
    kept = table[~own | (table["split"] == "test")].copy()
    kept.loc[kept["label"] == left_out, "label"] = NONE
    return kept, tuple(name for name in classes if name != left_out)


def _shuffle_labels(table: pd.DataFrame, *, seed: int) -> None:
    rng = np.random.default_rng([seed, 0xC0DE])
    for _, part in table[table["split"] != "test"].groupby(["domain", "generator"]):
        table.loc[part.index, "label"] = rng.permutation(part["label"].to_numpy())
