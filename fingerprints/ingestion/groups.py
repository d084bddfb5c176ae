"""Whose slice a file is: by the group table, the DICOM patient id or the folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.decode import Unusable
from fingerprints.data.groups import read_groups
from fingerprints.data.layout import IMAGE_SUFFIXES
from fingerprints.ingestion.scan import SourceFile
from fingerprints.ingestion.settings import FOLDERS

# Where a group came from, as the summary says it.
TABLE, PATIENT, FOLDER, CLUSTER = "group table", "patient id", "folder", "near-duplicate cluster"


def table_groups(groups: str | None, files: Sequence[SourceFile]) -> tuple[dict[str, str], int]:
    """The groups that the table names.

    Args:
        groups: The setting: path of the table, `folders` or `None`.
        files: The images.

    Returns:
        Group by file name, and the number of rows that name no image; nothing without a table.

    Raises:
        FingerprintsError: If the table does not exist or cannot be read.
    """
    if groups is None or groups == FOLDERS:
        return {}, 0
    path = Path(groups)
    if not path.is_file():
        raise FingerprintsError(
            "The group table does not exist.", where=path, fix=f"groups=CSV, or groups={FOLDERS}"
        )
    names = [file.name for file in files]
    by_path, _ = read_groups(path, names, by_file_name=False)
    by_name, unmatched = read_groups(path, names)
    # Scanners call the first slice of every patient alike: a file name stands for one file only.
    stems = Counter(_stem(name) for name in names)
    given = {}
    for name, sure, likely in zip(names, by_path, by_name, strict=True):
        group = sure if sure is not None or stems[_stem(name)] > 1 else likely
        if group is not None:
            given[name] = group
    return given, unmatched


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name


def group_of(
    file: SourceFile, *, patient: str, given: Mapping[str, str], groups: str | None
) -> tuple[str, str]:
    """Where a file's group comes from, and the group; empty where a cluster is yet to be found.

    Args:
        file: The file.
        patient: Its DICOM patient id; empty if there is none.
        given: Groups of `table_groups`.
        groups: The setting.

    Raises:
        Unusable: If nothing says whose slice it is.
    """
    if file.name in given:
        return TABLE, given[file.name]
    if patient:
        return PATIENT, patient
    if groups == FOLDERS and "/" in file.name:
        return FOLDER, file.name.rsplit("/", 1)[0]
    if file.dicom:
        raise Unusable("no patient id")
    if groups == FOLDERS:
        raise Unusable("no group", "it lies in no folder of its own")
    if groups is not None:
        raise Unusable("no group", "the group table does not name it")
    return CLUSTER, ""
