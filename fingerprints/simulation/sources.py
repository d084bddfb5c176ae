"""The real images of a benchmark: a folder of files, or phantoms."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError, command, listing
from fingerprints.core.progress import Progress
from fingerprints.data.decode import Preprocessing, narrow_notes
from fingerprints.data.groups import near_duplicate_groups, read_groups
from fingerprints.data.layout import ImageFile, Source, scan
from fingerprints.data.leftovers import left_out
from fingerprints.data.store import ImageStore, open_store
from fingerprints.generators.phantoms.make import make_phantoms

NEAR_DUPLICATE = 0.95
SPARE = 1.6  # phantoms made per phantom used, so that some of each patient are kept out of training


@dataclass(frozen=True)
class RealImages:
    """Real images, or phantoms used as real images.

    Attributes:
        images: `(n, S, S)` uint8.
        names: Name of each image at its source.
        groups: Group of each image.
        origin: `images` or `phantoms`.
        pseudo_groups: Whether clusters of near-duplicates are used as groups.
        notes: Messages for the user.
    """

    images: NDArray[np.uint8]
    names: list[str]
    groups: list[str]
    origin: str
    pseudo_groups: bool = False
    notes: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Digest of pixels, names and groups."""
        digest = hashlib.blake2b(np.ascontiguousarray(self.images).tobytes(), digest_size=16)
        digest.update("\n".join(f"{n}\t{g}" for n, g in zip(self.names, self.groups, strict=True)).encode())
        return digest.hexdigest()


def read_images(
    folder: Path, *, groups: Path | None, size: int, cache: Path, progress: Progress | None = None
) -> RealImages:
    """All images below a folder, in grey levels, `size` x `size` pixels; identical images appear once.

    Args:
        folder: Folder of PNG, JPEG, BMP or TIFF files.
        groups: CSV of file and group; default `groups.csv` in the folder or above it, else clusters of
            near-duplicates.
        size: Image side in pixels.
        cache: Folder of image stores.
        progress: Called from time to time while decoding.

    Raises:
        FingerprintsError: If the folder is missing or empty, an image cannot be read, sizes differ, or
            images are missing in the group table.
    """
    if not folder.is_dir():
        raise FingerprintsError(
            "The folder of real images does not exist.",
            where=f"images={folder}",
            fix="images=DIR with an existing folder, or leave images out to use phantoms",
        )
    files, store = _decoded(folder, size=size, cache=cache, progress=progress)
    names = [file.name for file in files]
    _, first = np.unique(store.digests, return_index=True)
    kept = np.sort(first)  # a copy of a member must not be a non-member or in another subset
    notes = [*left_out(folder, names).notes(), *narrow_notes(len(store.narrow), len(names))]
    if len(kept) < len(names):
        notes.append(f"{len(names) - len(kept)} copies of other images left out")
    images = np.array(store.images[kept])
    given, more = _given_groups(folder, groups, names, kept=kept.tolist())
    notes += more
    names = [names[row] for row in kept]
    if given is None:
        clusters = near_duplicate_groups(images, threshold=NEAR_DUPLICATE)
        notes.append(
            "no group table: clusters of near-duplicates replace patients, which is less safe (groups=CSV)"
        )
        stand_in = [f"near_{number:05d}" for number in clusters]
        return RealImages(images, names, stand_in, "images", pseudo_groups=True, notes=tuple(notes))
    return RealImages(images, names, given, "images", notes=tuple(notes))


def _decoded(
    folder: Path, *, size: int, cache: Path, progress: Progress | None
) -> tuple[list[ImageFile], ImageStore]:
    """The image files of a folder and their store; checks that all are readable and have the same size."""
    try:
        files = scan(folder, [Source(pattern="**/*", domain="real", part="train")])
    except FingerprintsError as error:
        if error.where != str(folder):  # not about the folder itself, but about a link in it
            raise
        others = left_out(folder, []).notes(documents=True)
        raise FingerprintsError(
            "\n".join(["The folder holds no image (PNG, JPEG, BMP or TIFF).", *others]),
            where=f"images={folder}",
            fix="convert DICOM files first: `python -m fingerprints.ingest images=DIR out=DIR`",
        ) from error
    store = open_store(files, Preprocessing(size), cache=cache, progress=progress)
    if store.errors:
        bad = [f"{files[row].name}: {why}" for row, why in sorted(store.errors.items())]
        raise FingerprintsError(
            f"{len(bad)} image(s) cannot be read:\n{listing(bad)}",
            where=f"images={folder}",
            fix="repair or remove them, or ingest the folder first: fingerprints.ingest on_bad_image=skip",
        )
    sizes = np.unique(store.native_sizes, axis=0)
    if len(sizes) > 1:
        shown = ", ".join(f"{width} x {height}" for width, height in sizes[:6])
        raise FingerprintsError(
            f"The images have {len(sizes)} sizes ({shown}): traces of resampling would tell them apart.",
            where=f"images={folder}",
            fix=f"bring them to one size: {command('ingest', f'images={folder}', 'out=DIR')}",
        )
    return files, store


def _given_groups(
    folder: Path, table: Path | None, names: list[str], *, kept: list[int]
) -> tuple[list[str] | None, list[str]]:
    """The groups of the kept images by the table, if there is one, and notes."""
    if table is None:
        beside = [path for path in (folder / "groups.csv", folder.parent / "groups.csv") if path.is_file()]
        if not beside:
            return None, []
        table = beside[0]
    found = read_groups(table, names)
    missing = found.lacking(names, needed={names[row] for row in kept})
    if missing:
        raise FingerprintsError(
            f"The group table lacks {len(missing)} of {len(names)} images:\n{listing(missing, 5)}",
            where=table,
            fix="give a row (file,group) for each image",
        )
    return [str(found.groups[row]) for row in kept], found.notes()


def phantom_images(
    needed: int, *, size: int, seed: int, slices_per_patient: int = 10, progress: Progress | None = None
) -> RealImages:
    """Phantoms of virtual patients, 60 % more than needed.

    Args:
        needed: Number of images that the benchmark uses.
        size: Image side in pixels.
        seed: Seed of the patients.
        slices_per_patient: Number of slices per patient.
        progress: Called from time to time.
    """
    patients = -(-round(SPARE * needed) // slices_per_patient)
    phantoms = make_phantoms(
        patients=patients,
        slices_per_patient=slices_per_patient,
        size=size,
        seed=seed,
        progress=progress,
    )
    numbers = [number % slices_per_patient for number in range(len(phantoms.images))]
    names = [f"{patient}/{n:03d}" for patient, n in zip(phantoms.patients, numbers, strict=True)]
    return RealImages(phantoms.images, names, phantoms.patients, "phantoms")
