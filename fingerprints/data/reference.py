"""The reference: real images that no generator was trained on, for calibration only.

They come from sources with `part: reference`, or from a folder of their own (`data.reference`). They have no
label and no generator, and are neither trained on nor asked about.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.data.groups import read_groups
from fingerprints.data.layout import ImageFile, scan
from fingerprints.data.leftovers import left_out
from fingerprints.data.settings import REFERENCE, DataSettings, Source
from fingerprints.data.store import ImageStore

GROUPS = "groups.csv"


def reference_files(settings: DataSettings) -> list[ImageFile]:
    """The images of `data.reference`, at any depth; empty if it is not given.

    Names are relative to the data root if the folder is inside it, else they are whole paths.

    Raises:
        FingerprintsError: If there is no such folder, it cannot be read, or it holds no image.
    """
    if settings.reference is None:
        return []
    if not settings.reference.is_dir():
        raise FingerprintsError(
            "The folder of reference images does not exist.",
            where=settings.reference,
            fix="give a folder of real images that no generator was trained on: data.reference=DIR",
        )
    prefix = _prefix(settings.reference, settings.root)
    files = scan(settings.reference, [Source("**", domain="real", part=REFERENCE)])
    return [file._replace(name=prefix + file.name) for file in files]


def left_out_of_reference(settings: DataSettings, files: list[ImageFile]) -> list[str]:
    """Notes on files in `data.reference` that are not among its images, if it is outside the data root."""
    if settings.reference is None or _inside(settings.reference, settings.root):
        return []
    prefix = _prefix(settings.reference, settings.root)
    return left_out(settings.reference, [file.name.removeprefix(prefix) for file in files]).notes()


def _inside(folder: Path, root: Path) -> bool:
    return folder.resolve().is_relative_to(root.resolve())


def _prefix(folder: Path, root: Path) -> str:
    """What the names of images in a folder start with."""
    place = folder.resolve()
    if not _inside(folder, root):
        return f"{place.as_posix()}/"
    within = place.relative_to(root.resolve()).as_posix()
    return "" if within == "." else f"{within}/"


def add_own_groups(reference: pd.DataFrame, settings: DataSettings, notes: list[str]) -> None:
    """Fill in the groups of a `groups.csv` in `data.reference`; an image without a row keeps its group.

    Args:
        reference: The rows of the reference, as in `Index.table`.
        settings: The folders.
        notes: Notes on the table are added here.
    """
    if settings.reference is None or not (settings.reference / GROUPS).is_file():
        return
    prefix = _prefix(settings.reference, settings.root)
    own = reference.index[reference["path"].str.startswith(prefix)]
    names = [path.removeprefix(prefix) for path in reference.loc[own, "path"]]
    read = read_groups(settings.reference / GROUPS, names, give="repair or remove it")
    notes += read.notes()
    for row, group in zip(own, read.groups, strict=True):
        if group is not None:
            reference.loc[row, "group"] = group


def check_reference_images(
    reference: pd.DataFrame,
    table: pd.DataFrame,
    store: ImageStore,
    settings: DataSettings,
    notes: list[str],
    *,
    pseudo: bool,
) -> None:
    """Refuse a reference that is empty or overlaps the other images.

    Args:
        reference: The readable rows of the reference, as in `Index.table`.
        table: All other rows.
        store: The decoded images, with digests of their pixels.
        settings: Whether there must be a reference, and where it is.
        notes: How many of its images can be compared by their pixels only is added here.
        pseudo: Whether groups of the other images are near-duplicate clusters; then they are not compared.

    Raises:
        FingerprintsError: If no image of a reference can be read, or one has the pixels of another image, or
            the group of another real image; the error lists them.
    """
    if not settings.has_reference:
        return
    where = settings.root if settings.reference is None else settings.reference
    if reference.empty:
        raise FingerprintsError("None of the reference images can be read.", where=where, fix="repair them")
    here, there = (pd.Series(store.digests[part.index], part.index) for part in (reference, table))
    keys: dict[str, tuple[pd.Series, pd.Series]] = {"the same pixels": (here, there)}
    if not pseudo:
        keys["the same group"] = reference["group"], table["group"]
    for kind, (own, others) in keys.items():
        paths: dict[Any, str] = dict(zip(others, table["path"], strict=True))
        twins = own[own.isin(paths)]
        if len(twins):
            names = reference.loc[twins.index, "path"]
            pairs = [f"{name} and {paths[key]}" for name, key in zip(names, twins, strict=True)]
            raise FingerprintsError(
                f"{len(pairs)} reference image(s) have {kind} as an image of training or test:\n"
                f"{listing(pairs)}",
                where=where,
                fix="remove them from the reference, whose images must be known to have trained no generator",
            )
    unknown = len(reference) if pseudo else int((reference["group"] == "real:" + reference["path"]).sum())
    if unknown:
        notes.append(
            f"{unknown:,} of {len(reference):,} reference images were compared with the other images only by "
            "their pixels, because groups (patients) are not known"
        )
