"""What must hold for the images of a data set, before any work starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.tasks import Task
from fingerprints.data.decode import counted, narrow_notes
from fingerprints.data.layout import ImageFile
from fingerprints.data.names import plain
from fingerprints.data.settings import DataSettings, Remedy
from fingerprints.data.store import ImageStore


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
    sizes = native_sizes(store, readable)
    if len(sizes) > 1:
        *_, rare = sizes
        example = files[next(row for row in readable if _size(store, row) == rare)].name
        if on_mixed_size == "error":
            raise FingerprintsError(
                "The images differ in size, and a detector could learn the traces of resizing:\n"
                f"{_listed(sizes)}",
                where=f"for example {example}",
                fix="give images of one size, or accept resizing: data.on_mixed_size=resize",
            )
        notes.append(f"images of {len(sizes)} sizes were resized")
    return readable


def native_sizes(store: ImageStore, rows: NDArray[np.int64]) -> dict[str, int]:
    """Number of images of each size before scaling, as `width x height`, the most frequent first."""
    sizes, counts = np.unique(store.native_sizes[rows], axis=0, return_counts=True)
    return {"{} x {}".format(*sizes[at]): int(counts[at]) for at in np.argsort(-counts, kind="stable")}


def check_sizes(
    found: Mapping[str, int],
    trained_on: Mapping[str, int],
    *,
    where: Path,
    on_mixed_size: Literal["error", "resize"],
    notes: list[str],
) -> None:
    """Refuse images of sizes that a detector was not trained on; where resizing was accepted, add a note.

    Args:
        found: Number of images of each size, as `native_sizes` gives them.
        trained_on: The same of the training part.
        where: The folder of the images.
        on_mixed_size: What the training accepted.
        notes: The note is added here.

    Raises:
        FingerprintsError: If a size is new and training did not accept resizing.
    """
    new = {size: count for size, count in found.items() if size not in trained_on}
    if not new:
        return
    if on_mixed_size == "error":
        raise FingerprintsError(
            "Images have sizes that the run was not trained on, and a detector could answer to the traces of "
            f"resizing:\n{_listed(new)}\n  the run was trained on:\n{_listed(trained_on)}",
            where=where,
            fix="give images of the run's size, or train a run that accepts resizing: "
            "data.on_mixed_size=resize",
        )
    notes.append(
        f"{sum(new.values()):,} of {sum(found.values()):,} images in {where} have a size that the run was "
        f"not trained on ({', '.join(new)}; the run: {', '.join(trained_on)}): resizing leaves traces, which "
        "can change the answers"
    )


def _size(store: ImageStore, row: int) -> str:
    width, height = store.native_sizes[row]
    return f"{width} x {height}"


def _listed(sizes: Mapping[str, int]) -> str:
    return listing([f"{size}: {count} image(s)" for size, count in sizes.items()])


def check_images(
    files: Sequence[ImageFile], store: ImageStore, settings: DataSettings, notes: list[str]
) -> NDArray[np.int64]:
    """`check_readable` with the settings of a data set; an error names its folder."""
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


def check_classes(table: pd.DataFrame, task: Task, root: Path) -> tuple[str, ...]:
    """Labels of the training part, each of which must have the images that its task pairs.

    Args:
        table: As in `Index`; images without a label are not checked.
        task: The task.
        root: The data folder, for messages.

    Raises:
        FingerprintsError: If a label is not one of the task, has images of only one domain, or too few labels
            are found, or a generator lacks images.
    """
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
        _check_generators(table, task, root)
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


def _check_generators(table: pd.DataFrame, task: Task, root: Path) -> None:
    """Check that each generator has real images of every label, and generated images in each of its parts."""
    for generator in sorted(table["generator"].unique()):
        of_it = table[table["generator"] == generator]
        missing = [c for c in task.classes or () if c not in set(of_it["label"])]
        if missing:
            name = f"Generator '{generator}' has" if generator else "There are"
            same = "; a generator needs the same name in both parts: data.sources" if generator else ""
            raise FingerprintsError(
                f"{name} no real images labelled {' or '.join(missing)}.",
                where=root,
                fix=f"add them: training and the threshold need both used and not-used images{same}",
            )
        for part in sorted(set(of_it["split"])):
            if "generated" not in set(of_it.loc[of_it["split"] == part, "domain"]):
                raise FingerprintsError(
                    f"Generator '{generator}' has real images in its {part} part but no generated ones.",
                    where=root,
                    fix="add the generated images: each part is scored against its own generated images",
                )


def check_ids(table: pd.DataFrame, task: Task, root: Path) -> None:
    """Check that paths without extensions are unique, and that ids of test units are unique.

    Raises:
        FingerprintsError: If not (`require_unique`).
    """
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


def check_overlap(
    table: pd.DataFrame,
    task: Task,
    store: ImageStore,
    settings: DataSettings,
    notes: list[str],
    *,
    pseudo: bool,
) -> None:
    """Refuse identical real images in several splits or labels, and groups in both training and test.

    Args:
        table: As in `Index`, already split.
        task: The task.
        store: The decoded images, with digests of their pixels.
        settings: Whether an overlap with the test part is tolerated.
        notes: What is tolerated is added here.
        pseudo: Whether the groups are near-duplicate clusters.

    Raises:
        FingerprintsError: If images overlap; the error lists them.
    """
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
