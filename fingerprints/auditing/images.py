"""The three folders of an audit: read, grouped by patient, and named for readers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fingerprints.config.auditing import AuditSettings
from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.core.progress import Progress
from fingerprints.data.walk import printable
from fingerprints.ingestion.anonymise import pseudonym, with_clusters
from fingerprints.ingestion.dicom import parse_window, require_pydicom
from fingerprints.ingestion.groups import ALONE, CLUSTER, table_groups
from fingerprints.ingestion.read import Picture, read_all, require_usable
from fingerprints.ingestion.scan import scan
from fingerprints.ingestion.settings import FOLDERS, IntakeSettings

REAL, GENERATED, REFERENCE = "real", "generated", "reference"


@dataclass(frozen=True)
class Folder:
    """The images of one folder.

    Attributes:
        role: `real`, `generated` or `reference`.
        path: The folder.
        pictures: The images in the order of their files, with the groups that their source gives.
        ids: Names of the images, for readers.
        groups: `(n,)` patients, for readers; the files of generated images.
        dicom: Number of images from DICOM files.
        notes: Remarks for the user.
    """

    role: str
    path: Path
    pictures: tuple[Picture, ...]
    ids: tuple[str, ...]
    groups: NDArray[np.str_]
    dicom: int
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """`(n, side, side)`."""
        return np.stack([picture.pixels for picture in self.pictures])

    @property
    def digest(self) -> str:
        """Digest of the pixels of all images, whatever their order and names."""
        digests = sorted(picture.digest for picture in self.pictures)
        return hashlib.blake2b(b"".join(digests), digest_size=16).hexdigest()

    @property
    def clustered(self) -> bool:
        """Whether some of the groups are near-duplicate clusters, because no patient is known."""
        return any(picture.origin == CLUSTER for picture in self.pictures)

    def taken(self, rows: Sequence[int], *, role: str | None = None) -> Folder:
        """The images in these rows."""
        return replace(
            self,
            role=self.role if role is None else role,
            pictures=tuple(self.pictures[row] for row in rows),
            ids=tuple(self.ids[row] for row in rows),
            groups=self.groups[list(rows)],
        )


def read_folder(
    settings: AuditSettings, role: str, path: Path, *, groups: str | None, progress: Progress | None
) -> Folder:
    """Read one folder; its images have their own names until `named` is called.

    Args:
        settings: Size, window and what to do with unusable files.
        role: `real`, `generated` or `reference`.
        path: The folder.
        groups: CSV of groups, `folders`, or `None`; not used for generated images.
        progress: Called repeatedly.

    Raises:
        FingerprintsError: If it holds no image, or files cannot be used.
    """
    intake = IntakeSettings(
        images=path,
        out=settings.out,
        size=settings.size,
        window=settings.window,
        groups=groups,
        near_duplicate=settings.near_duplicate,
        on_bad_image=settings.on_bad_image,
    )
    files, others = scan(path)
    if not files:
        raise FingerprintsError(
            "\n".join(["The folder holds no image.", *others.notes(documents=True)]),
            where=path,
            fix=f"give a folder of pictures or DICOM files: {role}=DIR",
        )
    if any(file.dicom for file in files):
        require_pydicom(path)
    if role == GENERATED:  # nobody's patients: an image is its own group
        given: dict[str, str] = {file.name: "" for file in files}
        notes: list[str] = []
    else:
        given, notes = table_groups(groups, files)
    window = parse_window(settings.window)
    found, bad = read_all(files, given=given, settings=intake, window=window, progress=progress)
    require_usable(found, bad, settings=intake)
    dicom = {file.name for file in files if file.dicom}
    return Folder(
        role=role,
        path=path,
        pictures=tuple(with_clusters(found, threshold=settings.near_duplicate)),
        ids=tuple(_file(picture) for picture in found),
        groups=np.array([picture.group for picture in found], dtype=str),
        dicom=sum(picture.source in dicom for picture in found),
        notes=(*notes, *others.notes(documents=True)),
    )


def _file(picture: Picture) -> str:
    name = printable(picture.source)
    return name if picture.frame == 1 else f"{name} [{picture.frame}]"


def named(folder: Folder, *, salt: bytes | None) -> Folder:
    """The folder with names for readers.

    Patients become keyed hashes, and their images the hash and a number. Without a salt, patients and files
    keep their names; a cluster, which has none, is named after its first image. Generated images keep the
    names of their files.
    """
    if folder.role == GENERATED:
        return replace(folder, groups=np.array(folder.ids, dtype=str))
    if salt is None:
        first: dict[str, str] = {}
        for picture, name in zip(folder.pictures, folder.ids, strict=True):
            alone = {ALONE: name, CLUSTER: f"cluster of {name}"}.get(picture.origin)
            first.setdefault(picture.group, printable(picture.group) if alone is None else alone)
        return replace(folder, groups=np.array([first[one.group] for one in folder.pictures], dtype=str))
    hashed = [pseudonym(picture.group, salt=salt) for picture in folder.pictures]
    numbers: Counter[str] = Counter()
    ids = []
    for name in hashed:
        numbers[name] += 1
        ids.append(f"{name}_{numbers[name]:04d}")
    return replace(folder, ids=tuple(ids), groups=np.array(hashed, dtype=str))


def split_unused(real: Folder, unused: Path) -> tuple[Folder, Folder]:
    """The candidates and the reference, which are the patients listed in a file, one on each line.

    Raises:
        FingerprintsError: If the file cannot be read, lists nobody or a patient without images, or lists all.
    """
    try:
        lines = unused.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FingerprintsError(
            "The list of unused patients cannot be read.",
            where=unused,
            fix="give a text file in UTF-8 with one patient on each line: unused=FILE",
        ) from error
    listed = {line.strip() for line in lines} - {""}
    groups = {picture.group for picture in real.pictures if picture.origin not in (CLUSTER, ALONE)}
    strangers = sorted(listed - groups)
    if strangers or not listed:
        raise FingerprintsError(
            f"{len(strangers)} listed patient(s) have no image:\n{listing(strangers)}"
            if strangers
            else "The list of unused patients is empty.",
            where=unused,
            fix="write patients as in groups=CSV, as DICOM patient ids, or as folders with groups="
            f"{FOLDERS}; they must be known",
        )
    rows = {
        inside: [row for row, one in enumerate(real.pictures) if (one.group in listed) == inside]
        for inside in (True, False)
    }
    if not rows[False]:
        raise FingerprintsError(
            "Every patient is listed as unused, so that nobody is left to ask about.",
            where=unused,
            fix="list only patients whose images did not train the generator",
        )
    return real.taken(rows[False]), real.taken(rows[True], role=REFERENCE)
