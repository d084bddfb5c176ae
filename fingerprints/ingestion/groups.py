"""Finding the group (patient) of a file: by the group table, the DICOM patient id or the folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.decode import Unusable
from fingerprints.data.groups import read_groups
from fingerprints.ingestion.scan import SourceFile
from fingerprints.ingestion.settings import FOLDERS

# Where a group came from, in the words of the summary.
TABLE, PATIENT, FOLDER, CLUSTER = "group table", "patient id", "folder", "near-duplicate cluster"
ALONE = "image without a known group"
_PLACEHOLDER = re.compile(
    r"|0+|x+|anon(ym(ous|i[sz]ed)?)?(patient|id|patientid)?|(patient)?(unknown|anonymous|anonymi[sz]ed)|"
    r"de?identified|unidentified|none|null|nil|na|nan|removed|deleted|redacted|noid|noname|patient(id)?|test"
)


def table_groups(groups: str | None, files: Sequence[SourceFile]) -> tuple[dict[str, str], list[str]]:
    """The groups in the group table.

    Args:
        groups: The setting: path of the table, `folders` or `None`.
        files: The images.

    Returns:
        Groups by file name, empty for an image with an empty cell, and notes; without a table there are none.

    Raises:
        FingerprintsError: If the table does not exist or cannot be read, or each folder should be a patient
            but no image is in a subfolder.
    """
    if groups == FOLDERS and files and not any("/" in file.name for file in files):
        raise FingerprintsError(
            "Every image lies directly in the folder, so that there are no folders of patients.",
            where=f"groups={FOLDERS}",
            fix="give each patient a folder, or give groups=CSV, or leave groups out to use patient ids and "
            "near-duplicate clusters",
        )
    if groups is None or groups == FOLDERS:
        return {}, []
    names = [file.name for file in files]
    # Scanners use the same file names for every patient, so match by name only if one file has that name.
    give = f"give an existing file (groups=CSV), or use groups={FOLDERS}"
    found = read_groups(Path(groups), names, shared=False, give=give)
    given = {name: group for name, group in zip(names, found.groups, strict=True) if group is not None}
    notes = found.notes(alone="the DICOM patient id counts, and without one each is a group of its own")
    return given | {names[row]: "" for row in found.alone}, notes


def is_placeholder(patient: str) -> bool:
    """Whether a patient id is what programs write in place of every id: `ANONYMIZED`, `0000`, `N/A`."""
    return _PLACEHOLDER.fullmatch(re.sub(r"[\W_]", "", patient).lower()) is not None


def group_of(
    file: SourceFile, *, patient: str, given: Mapping[str, str], groups: str | None
) -> tuple[str, str]:
    """Where a file's group comes from, and the group; the group is empty if clustering will find it later.

    Args:
        file: The file.
        patient: Its DICOM patient id; empty if there is none.
        given: Groups of `table_groups`. With an empty one the patient id counts; a file without an id is then
            a group of its own.
        groups: The setting.

    Raises:
        Unusable: If the file has no group.
    """
    own = given.get(file.name)
    if own:
        return TABLE, own
    if patient and not is_placeholder(patient):
        return PATIENT, patient
    if own is not None:
        return ALONE, f"\0{file.name}"
    if groups == FOLDERS and "/" in file.name:
        return FOLDER, file.name.rsplit("/", 1)[0]
    if file.dicom and patient:
        raise Unusable("no patient id", f"'{patient}' is a placeholder, which every patient may have")
    if file.dicom:
        raise Unusable("no patient id")
    if groups == FOLDERS:
        raise Unusable("no group", "it is not in a subfolder")
    if groups is not None:
        raise Unusable("no group", "it is not in the group table")
    return CLUSTER, ""
