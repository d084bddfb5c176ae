"""One audit: read three folders, score, compare with the reference, and say who is exposed and how sure."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerprints.auditing import checks, earlier
from fingerprints.auditing.battery import Scores, check_battery, combined, names_of, score
from fingerprints.auditing.exposure import Exposure, Pooling, expose, pooling_for
from fingerprints.auditing.images import GENERATED, REAL, REFERENCE, Folder, named, read_folder, split_unused
from fingerprints.auditing.neighbours import CopiesFound, copies_among, nearest, unit
from fingerprints.auditing.power import Slices, power
from fingerprints.config.auditing import AUTO, AuditSettings
from fingerprints.core.progress import Progress
from fingerprints.evidence.copying import Copying, copying
from fingerprints.evidence.patients import conformal_p
from fingerprints.ingestion.anonymise import read_salt
from fingerprints.ingestion.dicom import parse_window
from fingerprints.ingestion.settings import FOLDERS
from fingerprints.runs.provenance import peak_memory

TRIAL = 64  # largest side of the random images on which a battery is tried
NEIGHBOURS = 3  # nearest generated images that are named for each real one


@dataclass(frozen=True)
class Inputs:
    """What was read.

    Attributes:
        real: The candidates.
        generated: The generated images.
        reference: Real images that did not train the generator; `None` without a reference.
        screen: What could explain scores without any leak.
        naming: What names stand for: `names`, a digest of the salt, or empty for a random key.
    """

    real: Folder
    generated: Folder
    reference: Folder | None
    screen: checks.Screen
    naming: str


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        detectors: Names of the detectors.
        scores: `(d, n)` score of each candidate image by each detector.
        detector_p: `(d, n)` their conformal p-values; `None` without a reference.
        exposure: Candidate images and patients with scores, p and q.
        rule: How a patient's score was made.
        copies: Identical images and changed copies.
        as_a_set: Figures of the generated images as a whole; `None` without a reference.
        neighbours: `(n, 3)` rows of the nearest generated images, nearest first.
        distances: `(n, 3)` root mean square differences to them, in grey levels.
        power: What an audit of this size could have seen.
    """

    detectors: list[str]
    scores: Scores
    detector_p: Scores | None
    exposure: Exposure
    rule: Pooling
    copies: CopiesFound
    as_a_set: Copying | None
    neighbours: NDArray[np.int64]
    distances: NDArray[np.float32]
    power: dict[str, Any]


@dataclass(frozen=True)
class Audit:
    """An audit that is done: settings, inputs, findings, the earlier audit if any, and what it took."""

    settings: AuditSettings
    inputs: Inputs
    findings: Findings
    before: dict[str, Any] | None
    seconds: float
    memory: dict[str, float]


def audit(settings: AuditSettings, *, progress: Progress | None = None) -> Audit:
    """Compare a data holder's images with generated ones; nothing is trained, and no label is used.

    Args:
        settings: Folders, battery and what is accepted.
        progress: Called repeatedly.

    Raises:
        FingerprintsError: If something cannot be used, before any detector runs.
    """
    start = time.monotonic()
    parse_window(settings.window)
    checks.check_folders(settings)
    check_battery(settings.battery.detectors, side=min(settings.size, TRIAL))
    before = None if settings.against is None else earlier.read(settings.against)
    inputs = read_inputs(settings, before=before, progress=progress)
    findings = find(settings, inputs, progress=progress)
    return Audit(settings, inputs, findings, before, time.monotonic() - start, peak_memory())


def read_inputs(
    settings: AuditSettings, *, before: dict[str, Any] | None, progress: Progress | None
) -> Inputs:
    """The three folders, checked and named.

    Raises:
        FingerprintsError: If they cannot be used, or their names are not those of the earlier audit.
    """
    salt = None if settings.names == "keep" else read_salt(settings.salt)
    naming = earlier.naming(None if salt is None else salt, saved=settings.salt is not None)
    if before is not None:
        earlier.check_names(before, naming=naming, folder=settings.against)
    real = read_folder(settings, REAL, settings.real, groups=settings.groups, progress=progress)
    generated = read_folder(settings, GENERATED, settings.generated, groups=None, progress=progress)
    reference = None
    if settings.reference == AUTO:
        assert settings.unused is not None
        real, reference = split_unused(real, settings.unused)
    elif settings.reference is not None:
        groups = settings.reference_groups
        if groups is None and settings.groups == FOLDERS:
            groups = FOLDERS
        place = Path(settings.reference)
        reference = read_folder(settings, REFERENCE, place, groups=groups, progress=progress)
    checks.check_images(real, generated, reference)
    real, generated = named(real, salt=salt), named(generated, salt=salt)
    reference = None if reference is None else named(reference, salt=salt)
    found = checks.screen(real, generated, reference, near_copy=settings.near_copy)
    checks.require_comparable(found, force=settings.force)
    return Inputs(real, generated, reference, found, naming)


def find(settings: AuditSettings, inputs: Inputs, *, progress: Progress | None) -> Findings:
    """Copies first, then the battery, p and q, and the power."""
    real, generated, reference = inputs.real, inputs.generated, inputs.reference
    copies = copies_among(real, generated, reference)
    own, made = real.pixels, generated.pixels
    unused = own[:0] if reference is None else reference.pixels
    unused_groups = real.groups[:0] if reference is None else reference.groups
    neighbours, distances = nearest(own, made, count=NEIGHBOURS)
    detectors, count = settings.battery.detectors, len(own)
    each = score(
        detectors,
        np.concatenate([own, unused]),
        made,
        groups=np.concatenate([real.groups, unused_groups]),
        seed=settings.seed,
        progress=progress,
    )
    sizes = [np.unique(groups, return_counts=True)[1] for groups in (real.groups, unused_groups)]
    rule = pooling_for(sizes[0], sizes[1])
    weights = np.array(settings.battery.weights) if settings.battery.weights else None
    return Findings(
        detectors=names_of(detectors),
        scores=each[:, :count],
        detector_p=np.array([conformal_p(row[:count], compared_with=row[count:]) for row in each])
        if len(unused)
        else None,
        exposure=expose(
            each,
            combined(each),
            ids=np.array(real.ids),
            groups=real.groups,
            unused=unused_groups,
            rule=rule,
            weights=weights,
        ),
        rule=rule,
        copies=copies,
        as_a_set=copying(unit(made), unit(own), unit(unused), seed=settings.seed) if len(unused) else None,
        neighbours=neighbours,
        distances=distances,
        power=power(
            detectors,
            candidates=Slices(own, real.groups),
            reference=Slices(unused, unused_groups),
            generated=made,
            rule=rule,
            weights=weights,
            error=settings.error,
            most=settings.planted,
            seed=settings.seed,
            progress=progress,
        ),
    )


def without_private(settings: AuditSettings) -> AuditSettings:
    """The settings without the places of secrets, as they are recorded."""
    return replace(settings, salt=None, key=None)
