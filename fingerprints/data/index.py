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
from fingerprints.data.decode import Preprocessing, counted, narrow_notes
from fingerprints.data.groups import near_duplicate_groups, read_groups
from fingerprints.data.layout import ImageFile, scan
from fingerprints.data.leftovers import left_out
from fingerprints.data.names import plain
from fingerprints.data.runfiles import read_labels
from fingerprints.data.settings import DataSettings, Remedy
from fingerprints.data.splits import fewest_groups, hold_out, k_folds
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
            `validation`, `test`), `fold` (-1 if the part is split only once).
        classes: Labels, in the order of score columns.
        task: The task.
        pseudo_groups: Whether near-duplicate clusters are used as groups.
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
        """Names of the generators that are fitted and scored separately (`['']` if there is only one)."""
        if not self.task.by_generator:
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
        """Rows of the table that match all given values."""
        keep = pd.Series(True, index=self.table.index)
        if domain is not None:
            keep &= self.table["domain"] == domain
        if split is not None:
            keep &= self.table["split"].isin([split] if isinstance(split, str) else list(split))
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
    files = scan(settings.root, settings.sources)
    notes = left_out(settings.root, [file.name for file in files]).notes()
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
    if task.generated_label is not None:
        notes += usage_notes(table, store)
    if settings.shuffle_labels:
        _shuffle_labels(table, seed=seed)
        notes.append("control run: training labels are permuted, so a correct method scores at chance level")
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
        FingerprintsError: If files are unreadable or sizes are mixed; the error lists them.
    """
    if store.errors:
        bad = [f"{files[row].name}: {why}" for row, why in sorted(store.errors.items())]
        if on_bad_image == "error":
            raise FingerprintsError(
                f"{len(bad)} image(s) cannot be read:\n{listing(bad, 100)}",
                where=Path(files[0].path).parent if len(files) == 1 else None,
                fix="repair or remove them, or continue without them: data.on_bad_image=skip",
            )
        notes.append(f"{len(bad)} unreadable image(s) skipped: {counted(list(store.errors.values()))}")
    readable = np.setdiff1d(np.arange(len(files)), list(store.errors))
    if len(readable) == 0:
        raise FingerprintsError(
            f"None of the images can be read: {counted(list(store.errors.values()))}.", fix="check the folder"
        )
    notes += narrow_notes(len(store.narrow), len(readable))
    sizes, counts = np.unique(store.native_sizes[readable], axis=0, return_counts=True)
    if len(sizes) > 1:
        order = np.argsort(-counts)
        shown = [f"{w} x {h}: {c} image(s)" for (w, h), c in zip(sizes[order], counts[order], strict=True)]
        rare = sizes[order[-1]]
        example = files[readable[np.flatnonzero((store.native_sizes[readable] == rare).all(axis=1))[0]]].name
        if on_mixed_size == "error":
            raise FingerprintsError(
                "The images differ in size, and a detector could learn the traces of resizing:\n"
                f"{listing(shown)}",
                where=f"for example {example}",
                fix="give images of one size, or accept resizing: data.on_mixed_size=resize",
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


def _check_classes(table: pd.DataFrame, task: Task, root: Path) -> tuple[str, ...]:
    """Labels of the training part; every label must have the images that its task pairs."""
    labelled = table[table["label"] != ""]
    found = {
        domain: set(labelled.loc[labelled["domain"] == domain, "label"]) for domain in ("real", "generated")
    }
    if task.classes is not None:
        unknown = sorted((found["real"] | found["generated"]) - set(task.classes))
        if unknown:
            raise FingerprintsError(
                f"Labels {', '.join(unknown)} are not labels of the task '{task.name}' "
                f"({', '.join(task.classes)}).",
                where="data.sources",
                fix=f"label each source of the training part with {' or '.join(task.classes)}",
            )
    if task.generated_label is not None:
        for generator in sorted(table["generator"].unique()):
            of_it = labelled[labelled["generator"] == generator]
            missing = [c for c in task.classes or () if c not in set(of_it["label"])]
            if missing:
                name = f"Generator '{generator}' has" if generator else "There are"
                raise FingerprintsError(
                    f"{name} no real images labelled {' or '.join(missing)}.",
                    where=root,
                    fix="add them: training and the threshold need both used and not-used images",
                )
            of_it = table[table["generator"] == generator]
            for part in sorted(set(of_it["split"])):
                if "generated" not in set(of_it.loc[of_it["split"] == part, "domain"]):
                    raise FingerprintsError(
                        f"Generator '{generator}' has real images in its {part} part but no generated ones.",
                        where=root,
                        fix="add the generated images: each part is scored against its own generated images",
                    )
        return task.classes or ()
    if task.labels_both:
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


def _check_ids(table: pd.DataFrame, task: Task, root: Path) -> None:
    """Check that paths without extensions are unique, and that ids of test units are unique."""
    require_unique(table["path"].str.replace(r"\.[^./]+$", "", regex=True), table["path"], root)
    units = table[(table["domain"] == task.unit) & (table["split"] == "test")]
    require_unique(units["id"], units["path"], root)


def require_unique(ids: pd.Series, paths: pd.Series, root: Path) -> None:
    """Check that every id belongs to one image.

    Raises:
        FingerprintsError: If images share an id; the error lists them (`paths`, indexed as `ids`).
    """
    ids = ids.map(plain)
    repeated = ids[ids.duplicated(keep=False)]
    if len(repeated):
        shared = sorted(paths[repeated.index])
        raise FingerprintsError(
            f"Duplicate ids: {len(shared)} images share {repeated.nunique()} id(s):\n{listing(shared)}",
            where=root,
            fix="an id is the file name without its extension: rename or remove all but one",
        )


def _add_given_groups(table: pd.DataFrame, settings: DataSettings, notes: list[str]) -> bool:
    """Fill in the groups of a CSV; return whether there is one."""
    path = settings.groups
    if path is None and (settings.root / "groups.csv").is_file():
        path = settings.root / "groups.csv"
    if path is None:
        return False
    names, give = list(table["path"]), "give an existing file (data.groups=CSV), or leave data.groups out"
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
    given = pd.Series(read.groups, index=table.index, dtype=object)
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
    """Hold out one fold or a share by group; small `usage` parts get folds. Per generator and domain."""
    generators = table["generator"].unique() if task.by_generator else [None]
    for generator in generators:
        own = table["split"] == "train"
        if generator is not None:
            own &= table["generator"] == generator
        labelled = own & (table["domain"] == task.unit) & (table["label"] != "")
        small = task.unit == "real" and int(labelled.sum()) < settings.folds_below
        parts = [table[own & (table["domain"] == domain)] for domain in ("real", "generated")]
        folds_wanted = settings.folds
        if small or settings.fold is not None:
            folds_wanted = _folds(parts, settings, notes)
        for part in parts:
            if part.empty:
                continue
            labels, groups = part["label"].tolist(), part["group"].tolist()
            if settings.fold is not None:
                folds = k_folds(labels, groups, k=folds_wanted, seed=seed)
                held = folds == settings.fold
                _require_labels(part["label"], held, settings)
                table.loc[part.index[held], "split"] = "validation"
            elif small:
                table.loc[part.index, "fold"] = k_folds(labels, groups, k=folds_wanted, seed=seed)
            elif settings.validation > 0:
                held = hold_out(labels, groups, fraction=settings.validation, seed=seed)
                table.loc[part.index[held], "split"] = "validation"


def _folds(parts: Sequence[pd.DataFrame], settings: DataSettings, notes: list[str]) -> int:
    """Number of folds, at least 2: the setting or, if smaller, the fewest groups of a label (with a note)."""
    fewest = min(fewest_groups(part["label"].tolist(), part["group"].tolist()) for part in parts if len(part))
    if fewest >= settings.folds:
        return settings.folds
    folds = max(2, fewest)
    if settings.fold is not None and settings.fold >= folds:
        raise FingerprintsError(
            f"There is no fold {settings.fold}: the label with the fewest groups (patients) has {fewest}, "
            f"so there are only {folds} folds.",
            where="data.fold",
            fix=f"choose data.fold=0 to {folds - 1}, or give finer groups (data.groups=CSV)",
        )
    note = f"{folds} folds instead of {settings.folds}: a label has only {fewest} groups (patients)"
    if note not in notes:
        notes.append(note)
    return folds


def _require_labels(labels: pd.Series, held: NDArray[np.bool_], settings: DataSettings) -> None:
    """Check that each label is in the fold and in the rest; large groups can prevent this."""
    lacking = sorted(set(labels[held]) ^ set(labels[~held]))
    if lacking:
        raise FingerprintsError(
            f"Fold {settings.fold} of {settings.folds} cannot have label(s) {', '.join(lacking)} both inside "
            "and outside the fold: their groups are too few or too large.",
            where="data.fold",
            fix="use fewer folds (data.folds=N), another seed, or finer groups (data.groups=CSV)",
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
    """Refuse identical real images in several splits or labels, and groups in both training and test."""
    real = table[table["domain"] == "real"]
    # `usage` fits each generator separately, so two generators may share an image.
    own = real["generator"]
    side = real["split"].where(real["fold"] < 0, "fold " + real["fold"].astype(str))
    digest = pd.Series(store.digests[real.index.to_numpy()], index=real.index)

    known = real["label"].where((real["label"] != "") & (real["split"] != "test"))
    two_labels = known.groupby([own, digest]).transform("nunique") > 1
    if task.labels_both and two_labels.any() and _same_under_all_labels(known, digest):
        notes.append(
            "control: every subset has the same real images, so subsets differ only by their generators"
        )
    elif two_labels.any():
        raise FingerprintsError(
            f"{two_labels.sum()} real images have the same pixels under two labels:\n"
            f"{listing(sorted(real.loc[two_labels, 'path']))}",
            where=settings.root,
            fix="remove the copies: an image has only one label",
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
        fix = "put the copies in one group in groups.csv, or remove them"
        if not within_training.any():
            fix += "; to predict the test part anyway: data.on_test_overlap=keep"
        raise FingerprintsError(f"{text}:\n{listing(paths)}", where=settings.root, fix=fix)


def _same_under_all_labels(labels: pd.Series, digest: pd.Series) -> bool:
    """Whether every labelled image occurs under every label (a control); if only some do, it is an error."""
    labels = labels.dropna()
    return bool((labels.groupby(digest[labels.index]).nunique() == labels.nunique()).all())


def _add_truth(table: pd.DataFrame, task: Task, settings: DataSettings, classes: Sequence[str]) -> bool:
    path = settings.root / settings.truth
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
    rng = np.random.default_rng([seed, 0xC0DE])
    for _, part in table[table["split"] != "test"].groupby(["domain", "generator"]):
        table.loc[part.index, "label"] = rng.permutation(part["label"].to_numpy())
