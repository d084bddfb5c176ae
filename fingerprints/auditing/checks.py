"""What an audit refuses before any detector runs, and what it says of its images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from fingerprints.auditing.images import GENERATED, REAL, REFERENCE, Folder
from fingerprints.config.auditing import AUTO, AuditSettings
from fingerprints.core.errors import FingerprintsError, listing
from fingerprints.data.groups import near_pairs
from fingerprints.ingestion.groups import ALONE, CLUSTER
from fingerprints.ingestion.settings import IntakeSettings
from fingerprints.ingestion.write import check_places

FEWEST_REAL, FEWEST_GENERATED, FEWEST_PATIENTS = 20, 50, 2
MOSTLY = 0.5  # share of identical images from which one folder is probably the other
SUSPICIOUS = 0.001  # p-value of the brightness test from which it is reported


@dataclass(frozen=True)
class Screen:
    """What could explain scores without any leak.

    Attributes:
        problems: Differences that make the audit doubtful; refused without `force`.
        remarks: Differences that a reader must know.
        facts: Native sizes, formats and brightness of each folder.
    """

    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    facts: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Everything."""
        return {"problems": list(self.problems), "remarks": list(self.remarks), "folders": self.facts}


def check_folders(settings: AuditSettings) -> None:
    """Refuse missing folders and impossible outputs before any file is opened.

    Raises:
        FingerprintsError: If a folder is missing or given twice, the output exists or is inside an input,
            `reference=auto` and `unused` do not stand together, or a secret would be inside a data folder.
    """
    if (settings.reference == AUTO) != (settings.unused is not None):
        raise FingerprintsError(
            "reference=auto needs the list of patients who did not train the generator."
            if settings.unused is None
            else "A list of unused patients is for reference=auto only.",
            where="reference, unused",
            fix="give reference=auto unused=FILE, a text file with one patient on each line",
        )
    folders = {REAL: settings.real, GENERATED: settings.generated}
    if settings.reference not in (None, AUTO):
        folders[REFERENCE] = Path(str(settings.reference))
    for role, folder in folders.items():
        if not folder.is_dir():
            raise FingerprintsError(
                f"The folder of {role} images does not exist."
                if not folder.exists()
                else "This is not a folder.",
                where=folder,
                fix=f"give a folder of images: {role}=DIR",
            )
    places = {role: folder.resolve() for role, folder in folders.items()}
    for one, place in places.items():
        for other, within in places.items():
            if one != other and within.is_relative_to(place):
                raise FingerprintsError(
                    f"The folder of {other} images is that of {one} images, or inside it.",
                    where=folders[other],
                    fix=f"give a folder of its own: {other}=DIR",
                )
    for folder in folders.values():
        check_places(IntakeSettings(images=folder, out=settings.out, salt=settings.salt, key=settings.key))
    if settings.names == "keep" and (settings.salt is not None or settings.key is not None):
        raise FingerprintsError(
            "names=keep hashes nothing, so that it takes no salt and no key.",
            where="names, salt, key",
            fix="leave salt and key out, or leave names out",
        )


def check_images(real: Folder, generated: Folder, reference: Folder | None) -> None:
    """Refuse folders that are too small, overlap, or are probably exchanged.

    Raises:
        FingerprintsError: If one of these is so; the error names images or patients.
    """
    for folder, least in ((real, FEWEST_REAL), (generated, FEWEST_GENERATED)):
        if len(folder) < least:
            raise FingerprintsError(
                f"There are only {len(folder):,} {folder.role} images; an audit needs at least {least}.",
                where=folder.path,
                fix=f"give more images: {folder.role}=DIR",
            )
    patients = len({picture.group for picture in real.pictures})
    if patients < FEWEST_PATIENTS:
        raise FingerprintsError(
            "All real images are of one patient, so that nobody can be compared with anybody.",
            where=real.path,
            fix="give images of several patients; if they are, name them: groups=CSV or groups=folders",
        )
    _refuse_exchanged(real, generated)
    if reference is not None:
        _refuse_overlap(real, reference)


def _refuse_exchanged(real: Folder, generated: Folder) -> None:
    own = {picture.digest for picture in real.pictures}
    same = sum(picture.digest in own for picture in generated.pictures)
    if same >= MOSTLY * min(len(real), len(generated)):
        raise FingerprintsError(
            f"{same:,} of {len(generated):,} generated images have the pixels of a real image: one of the "
            "folders is probably the other one.",
            where=f"{REAL}={real.path}, {GENERATED}={generated.path}",
            fix="give the folder that the generator wrote as generated=DIR; if it really is this one, these "
            "real images are published as they are, and no audit is needed to see it",
        )
    if generated.dicom and not real.dicom:
        raise FingerprintsError(
            "The generated images are DICOM files and the real ones are not: the folders are probably "
            "exchanged.",
            where=f"{REAL}={real.path}, {GENERATED}={generated.path}",
            fix="exchange real=DIR and generated=DIR; if they are right, convert the generated images to PNG",
        )


def _refuse_overlap(real: Folder, reference: Folder) -> None:
    own: dict[bytes, str] = {}
    for name, picture in zip(real.ids, real.pictures, strict=True):
        own.setdefault(picture.digest, name)
    same = [
        f"{name} = {own[picture.digest]}"
        for name, picture in zip(reference.ids, reference.pictures, strict=True)
        if picture.digest in own
    ]
    if same:
        raise FingerprintsError(
            f"{len(same)} reference image(s) have the pixels of a real one:\n{listing(same)}",
            where=reference.path,
            fix="remove them from one of the folders: the reference must hold only images that did not train "
            "the generator",
        )
    patients = {
        (folder.role, picture.group)
        for folder in (real, reference)
        for picture in folder.pictures
        if picture.origin not in (CLUSTER, ALONE)
    }
    shared = sorted({group for _, group in patients if {(REAL, group), (REFERENCE, group)} <= patients})
    if shared:
        raise FingerprintsError(
            f"{len(shared)} patient(s) are among the real images and in the reference:\n{listing(shared)}",
            where=reference.path,
            fix="give a reference of other patients, or other names if these are not the same people",
        )


def screen(real: Folder, generated: Folder, reference: Folder | None, *, near_copy: float) -> Screen:
    """Compare native sizes, formats and brightness, and look for near copies of real images in the reference.

    Args:
        real: The candidates.
        generated: The generated images.
        reference: The reference, or `None`.
        near_copy: Correlation of thumbnails from which an image of the reference is a near copy.
    """
    folders = [folder for folder in (real, generated, reference) if folder is not None]
    facts = {folder.role: _facts(folder) for folder in folders}
    problems, remarks = [], []
    for folder in folders:
        if len(facts[folder.role]["native_sizes"]) > 1:
            remarks.append(f"{folder.role} images have several native sizes: {_sizes(facts[folder.role])}")
    for other in folders[1:]:
        mine, theirs = facts[REAL], facts[other.role]
        if set(mine["native_sizes"]) != set(theirs["native_sizes"]):
            problems.append(
                f"native sizes differ: real {_sizes(mine)}, {other.role} {_sizes(theirs)}. Resampling "
                "leaves traces that detectors see"
                + (", so that p and q may be wrong" if other.role == REFERENCE else "")
            )
    if reference is not None:
        if (real.dicom > 0) != (reference.dicom > 0):
            problems.append(
                "real images and reference are not both DICOM files, so that their grey levels may come from "
                "different windows, and p and q may be wrong"
            )
        remarks += _near_copies(real, reference, threshold=near_copy)
        p = _brightness(real, reference)
        if p < SUSPICIOUS:
            remarks.append(
                f"real images and reference differ in brightness (Kolmogorov-Smirnov test over patients, p = "
                f"{p:.1g}): if scanners or protocols differ, p and q may be wrong"
            )
    if real.dicom and not generated.dicom:
        remarks.append(
            "real images are DICOM files shown in one window, generated ones are pictures: their window must "
            "be the same (window=...)"
        )
    remarks += [
        f"no patients are known in the {folder.role} images: groups are clusters of near-duplicates, and a "
        "patient may be in several"
        for folder in folders
        if folder.role != GENERATED and folder.clustered
    ]
    return Screen(tuple(problems), tuple(remarks), facts)


def require_comparable(found: Screen, *, force: bool) -> None:
    """Refuse images that cannot be compared fairly.

    Raises:
        FingerprintsError: If there are problems, and `force` is false.
    """
    if found.problems and not force:
        raise FingerprintsError(
            f"The images cannot be compared fairly:\n{listing(found.problems)}",
            where="native sizes and formats",
            fix="export all images in one size and format, or go on: force=true (the page says so)",
        )


def _facts(folder: Folder) -> dict[str, Any]:
    sizes = Counter(f"{width} x {height}" for width, height in (p.native_size for p in folder.pictures))
    grey = _greys(folder)
    return {
        "images": len(folder),
        "patients": None if folder.role == GENERATED else len(set(folder.groups.tolist())),
        "native_sizes": dict(sizes.most_common()),
        "from_dicom": folder.dicom,
        "brightness": {"mean": round(float(np.mean(grey)), 2), "sd": round(float(np.std(grey)), 2)},
        "digest": folder.digest,
        "notes": list(folder.notes),
    }


def _greys(folder: Folder) -> Any:
    return folder.pixels.reshape(len(folder), -1).mean(axis=1)


def _brightness(real: Folder, reference: Folder) -> float:
    """p-value of the same distribution of mean grey levels of patients."""
    return float(ks_2samp(*(_by_patient(folder) for folder in (real, reference))).pvalue)


def _near_copies(real: Folder, reference: Folder, *, threshold: float) -> list[str]:
    """A remark that names reference images that are almost real ones: the same image in another file?"""
    vectors = np.array([picture.thumbnail for one in (real, reference) for picture in one.pictures])
    border = len(real)
    pairs = [
        f"{reference.ids[j - border]} and {real.ids[i]}"
        for rows, others, _ in near_pairs(vectors, threshold=threshold)
        for i, j in zip(rows, others, strict=True)
        if i < border <= j
    ]
    if not pairs:
        return []
    more = f" and {len(pairs) - 3} more pairs" if len(pairs) > 3 else ""
    return [
        f"images of the reference are near copies of real ones ({'; '.join(pairs[:3])}{more}): if they show "
        "the same people, p and q are too large"
    ]


def _by_patient(folder: Folder) -> Any:
    code = np.unique(folder.groups, return_inverse=True)[1]
    return np.bincount(code, weights=_greys(folder)) / np.bincount(code)


def _sizes(facts: dict[str, Any]) -> str:
    names: Sequence[str] = list(facts["native_sizes"])
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
