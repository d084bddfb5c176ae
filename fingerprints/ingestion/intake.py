"""Convert a folder of pictures and DICOM files to grey square images of one size, without patient names.

The output contains only pixels and keyed hashes: no file names, header values or dates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fingerprints import __version__
from fingerprints.core.errors import FingerprintsError, command
from fingerprints.core.progress import Progress
from fingerprints.data.decode import Unusable, narrow_notes
from fingerprints.data.layout import IMAGE_SUFFIXES
from fingerprints.data.leftovers import LeftOut
from fingerprints.ingestion.anonymise import anonymise
from fingerprints.ingestion.copies import identical, near_duplicates
from fingerprints.ingestion.dicom import Window, parse_window, require_pydicom
from fingerprints.ingestion.groups import ALONE, CLUSTER, FOLDER, table_groups
from fingerprints.ingestion.read import Picture, read_all, require_usable
from fingerprints.ingestion.scan import SourceFile, scan
from fingerprints.ingestion.settings import FOLDERS, IntakeSettings
from fingerprints.ingestion.write import check_places, write

PAIRS_SHOWN = 5
FEW_IMAGES = 400
"""As many images as `simulate task=usage` takes: four sets of 100."""

FEW_PATIENTS = 40
"""Half of them used and half not: with fewer than 20 to compare with, no patient has p of 0.05 or less."""


@dataclass(frozen=True)
class Intake:
    """The result of an ingest.

    Attributes:
        out: The output folder.
        facts: The content of `ingest.json`.
        worst: The most similar pairs of pictures in different groups: file, file, correlation.
        notes: Remarks for the user.
    """

    out: Path
    facts: dict[str, Any]
    worst: tuple[tuple[str, str, float], ...]
    notes: tuple[str, ...]

    def describe(self) -> str:
        """The summary for the console."""
        facts, pairs = self.facts, self.facts["near_duplicates"]
        by = ", ".join(f"{name} ({count:,} images)" for name, count in facts["groups_from"].items())
        near = f"near-duplicates in different groups (correlation at least {pairs['correlation']:g})"
        if set(facts["groups_from"]) == {CLUSTER}:
            near += ": none, because near-duplicates form the groups"
        else:
            near += f": {pairs['pairs']:,} pairs"
        lines = [
            f"{facts['images']:,} images of {facts['size']} x {facts['size']} "
            f"in {facts['groups']:,} groups: {self.out}",
            f"  groups by {by}",
            f"  {near}",
            *(f"    {r:.4f}  {a}  {b}" for a, b, r in self.worst),
            f"  identical images: {facts['identical']['copies']:,} copies of another image, "
            f"{facts['identical']['across_groups']:,} images with a copy in another group",
        ]
        lines += [f"  skipped: {count:,} ({reason})" for reason, count in facts["skipped"].items()]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join([*lines, *self._few(), *self._next()])

    @property
    def _patients(self) -> bool:
        """Whether groups are patients, as far as files and settings say."""
        return not {CLUSTER, ALONE} & set(self.facts["groups_from"])

    def _few(self) -> list[str]:
        """A line if results on so few images or patients will be weak."""
        images, groups = self.facts["images"], self.facts["groups"]
        few = [f"{images:,} images"] if images < FEW_IMAGES else []
        if self._patients and groups < FEW_PATIENTS:
            few.append(f"{groups:,} patients")
        if not few:
            return []
        return [
            f"  note: results on {' of '.join(few)} will be weak: with fewer than {FEW_IMAGES} images, or "
            f"{FEW_PATIENTS} patients, only a strong trace is found"
        ]

    def _next(self) -> list[str]:
        """The commands for these images; clusters are not given as groups where groups must be patients."""
        images, table, out = self.out / "images", f"groups={self.out / 'groups.csv'}", "out=DIR"
        patients = [table] if self._patients else []
        steps = {
            "if a generator was trained on some of them": command(
                "audit", f"real={images}", "generated=DIR", *patients, out
            ),
            "to see what can be found in such images": command(
                "simulate", "task=usage", f"images={images}", table, out
            ),
            "with a finished run": command(
                "predict", "run=OUT", f"images={images}", "generated=DIR", *patients
            ),
        }
        return [f"next, {when}: {words}" for when, words in steps.items()]


def ingest(settings: IntakeSettings, *, progress: Progress | None = None) -> Intake:
    """Read a folder, and write pictures, groups and facts about them.

    Args:
        settings: Input, output and conversion.
        progress: Called repeatedly.

    Raises:
        FingerprintsError: If there is nothing to read, files cannot be used (the error lists them all before
            anything is written), or the output cannot be written.
    """
    window = parse_window(settings.window)
    check_places(settings)
    files, others = scan(settings.images)
    _require_images(files, others, settings.images)
    given, notes = table_groups(settings.groups, files)
    found, bad = read_all(files, given=given, settings=settings, window=window, progress=progress)
    require_usable(found, bad, settings=settings)
    names, pictures = anonymise(found, near_duplicate=settings.near_duplicate, salt=settings.salt)
    pairs, count = near_duplicates(pictures, threshold=settings.near_duplicate)
    dicom = {file.name for file in files if file.dicom}
    facts = _facts(
        settings,
        pictures,
        window=window,
        from_dicom=sum(picture.source in dicom for picture in pictures),
        pairs=count,
        bad=bad,
        others=others.total,
    )
    write(settings, names=names, pictures=pictures, pairs=pairs, facts=facts, progress=progress)
    return Intake(
        out=settings.out,
        facts=facts,
        worst=tuple((names[i], names[j], r) for i, j, r in pairs[:PAIRS_SHOWN]),
        notes=(
            *notes,
            *others.notes(documents=True),
            *narrow_notes(sum(picture.narrow for picture in pictures), len(pictures)),
            *_notes(facts, settings=settings, pairs=len(pairs)),
        ),
    )


def _require_images(files: Sequence[SourceFile], others: LeftOut, folder: Path) -> None:
    if not files:
        only = f", only {others.total:,} other file(s)" if others.total else ""
        raise FingerprintsError(
            "\n".join([f"The folder holds no image{only}.", *others.notes(documents=True)]),
            where=folder,
            fix=f"give a folder of DICOM files or images ({', '.join(sorted(IMAGE_SUFFIXES))})",
        )
    if any(file.dicom for file in files):
        require_pydicom(folder)


def _facts(
    settings: IntakeSettings,
    pictures: Sequence[Picture],
    *,
    window: Window,
    from_dicom: int,
    pairs: int,
    bad: Mapping[str, Unusable],
    others: int,
) -> dict[str, Any]:
    """The content of `ingest.json`: counts and settings, nothing about a single patient or file."""
    sizes = Counter(f"{width} x {height}" for width, height in (p.native_size for p in pictures))
    return {
        "fingerprints": __version__,
        "images": len(pictures),
        "from_dicom": from_dicom,
        "size": settings.size,
        "window": {"center": window.center, "width": window.width} if from_dicom else None,
        "native_sizes": dict(sizes.most_common()),
        "groups": len({picture.group for picture in pictures}),
        "groups_from": dict(sorted(Counter(picture.origin for picture in pictures).items())),
        "repeatable_groups": settings.salt is not None,
        "near_duplicates": {"correlation": settings.near_duplicate, "pairs": pairs},
        "identical": identical(pictures),
        "skipped": dict(sorted(Counter(why.reason for why in bad.values()).items())),
        "ignored_files": others,
    }


def _notes(facts: Mapping[str, Any], *, settings: IntakeSettings, pairs: int) -> list[str]:
    notes = []
    if facts["groups"] == 1 and facts["images"] > 1:
        notes.append(
            "all images are of one group, so that nothing can be split by patient; if they are of several "
            f"patients, give groups=CSV or groups={FOLDERS}"
        )
    if settings.groups == FOLDERS and FOLDER not in facts["groups_from"]:
        notes.append(f"groups={FOLDERS} has had no effect: every image has a patient id")
    if len(facts["native_sizes"]) > 1:
        notes.append(
            f"images of {len(facts['native_sizes'])} sizes were resized, which leaves traces in the pixels"
        )
    if CLUSTER in facts["groups_from"]:
        notes.append(
            "near-duplicate clusters replace patients, but slices of one patient may be in several clusters: "
            "groups=CSV or groups=folders is better"
        )
    if facts["near_duplicates"]["pairs"] > pairs:
        notes.append(
            f"near_duplicates.csv holds the {pairs:,} most similar of "
            f"{facts['near_duplicates']['pairs']:,} pairs"
        )
    return notes
