"""The content of `audit.json`: the verdict in plain words, images, patients, and the limits of both."""

from __future__ import annotations

from typing import Any

import numpy as np

from fingerprints.auditing import earlier
from fingerprints.auditing.audit import Audit, Findings, without_private
from fingerprints.auditing.exposure import Judged
from fingerprints.auditing.power import KINDS
from fingerprints.core.options import plain
from fingerprints.evidence.power import POWER
from fingerprints.runs.provenance import provenance

EXPOSED, STANDING, NOTHING, RANKS = "exposed", "standing_out", "nothing_shown", "ranks_only"
NULL = (
    "p and q are valid if patients of the reference are exchangeable with candidates who were not used: the "
    "same hospital, scanners, protocols and years."
)
OF_IMAGES = (
    "p of an image counts the patients of the reference, because slices of one patient are alike. p_images "
    "counts its images as if they were independent: an image with a small p_images only stands out, and may "
    "do so by chance."
)


def document(done: Audit) -> dict[str, Any]:
    """The audit as JSON values, the most exposed first."""
    found, inputs, settings = done.findings, done.inputs, done.settings
    images, groups = _images(done), _groups(done)
    return {
        "format": earlier.FORMAT,
        "verdict": verdict(done),
        "images": images,
        "groups": groups,
        "copies": found.copies.to_json(inputs.real, inputs.generated),
        "set": None if found.as_a_set is None else found.as_a_set.describe(),
        "screen": inputs.screen.to_json() | {"forced": bool(inputs.screen.problems)},
        "null": {
            "error": settings.error,
            "assumption": NULL,
            "of_images": OF_IMAGES,
            "pooling": found.rule.describe(),
            "images": limits(found.exposure.images, error=settings.error),
            "standing": limits(found.exposure.standing, error=settings.error),
            "patients": limits(found.exposure.patients, error=settings.error),
        },
        "power": found.power,
        "against": None
        if done.before is None
        else earlier.changes(done.before, groups, error=settings.error),
        "detectors": found.detectors,
        "naming": inputs.naming,
        "inputs": inputs.screen.facts,
        "settings": plain(without_private(settings)),
        "seconds": round(done.seconds, 1),
        "peak_memory_mb": done.memory,
        "provenance": provenance(),
    }


def limits(one: Judged, *, error: float) -> dict[str, Any]:
    """How many there are, how small p can be, and which reference would find one, or all, of them."""
    m = one.compared_with
    return {
        "asked_about": len(one.names),
        "reference": m,
        "least_p": 1 / (m + 1) if m else None,
        "fewest_found": one.fewest(error),
        "needed_for_one": one.needed(error),
        "needed_for_all": one.needed(error, exposed=len(one.names)),
        "exposed": int(one.found(error).sum()),
    }


def _images(done: Audit) -> list[dict[str, Any]]:
    found, one, alone = done.findings, done.findings.exposure.images, done.findings.exposure.standing
    made = done.inputs.generated.ids
    return [
        {
            "id": str(one.names[row]),
            "group": str(done.inputs.real.groups[row]),
            **_figures(one, row),
            **{f"{key}_images": _figures(alone, row)[key] for key in ("p", "q")},
            "nearest": [
                {"generated": made[at], "rms": round(float(far), 2)}
                for at, far in zip(found.neighbours[row], found.distances[row], strict=True)
            ],
            "detectors": {
                name: {
                    "score": float(found.scores[at, row]),
                    "p": None if found.detector_p is None else float(found.detector_p[at, row]),
                }
                for at, name in enumerate(found.detectors)
            },
        }
        for row in order(one, alone)
    ]


def _groups(done: Audit) -> list[dict[str, Any]]:
    exposure, error = done.findings.exposure, done.settings.error
    one, images, own = exposure.patients, exposure.images, done.inputs.real.groups
    found, standing = images.found(error), exposure.standing.found(error)
    identical = np.isin(np.arange(len(own)), [i for i, _ in done.findings.copies.identical])
    rows = []
    for row in order(one):
        mine = own == one.names[row]
        rows.append(
            {
                "group": str(one.names[row]),
                "images": int(one.counts[row]),
                **_figures(one, row),
                "found_images": int(found[mine].sum()),
                "standing_images": int(standing[mine].sum()),
                "identical_images": int(identical[mine].sum()),
                "most_exposed": str(images.names[most_exposed(done.findings, mine)]),
            }
        )
    return rows


def most_exposed(found: Findings, among: Any) -> int:
    """Row of the most exposed image among those in the mask `(n,)`."""
    return next(row for row in order(found.exposure.images, found.exposure.standing) if among[row])


def order(one: Judged, *finer: Judged) -> list[int]:
    """Rows, the smallest p first; ties by p of the others, by score, and by name."""
    p = [judged.p for judged in (one, *finer) if judged.p is not None]
    return np.lexsort((one.names, -one.scores, *reversed(p))).tolist()


def _figures(one: Judged, row: int) -> dict[str, float | None]:
    return {
        "score": round(float(one.scores[row]), 6),
        "p": None if one.p is None else float(one.p[row]),
        "q": None if one.q is None else float(one.q[row]),
    }


def verdict(done: Audit) -> dict[str, Any]:
    """Level and three sentences: what was found, how sure that is, and what it does not say.

    Levels: `exposed`, if real images are among the generated ones, or images or patients have q of at most
    the accepted error; `standing_out`, if images have it only where images of the reference are counted as if
    they were independent; `nothing_shown`; `ranks_only` without a reference.
    """
    found, error = done.findings.exposure, done.settings.error
    identical = len({i for i, _ in done.findings.copies.identical})
    by_image, by_patient = found.images.found(error), found.patients.found(error)
    standing = found.standing.found(error)
    images, alone, patients = (int(mask.sum()) for mask in (by_image, standing, by_patient))
    said = []
    if identical:
        are = "image is" if identical == 1 else "images are"
        said.append(f"{identical:,} real {are} among the generated ones, pixel for pixel")
    if patients:
        said.append(f"{patients:,} of {len(found.patients.names):,} patients stand out from the reference")
    if images:
        said.append(
            f"{_images_of(done, by_image)} are nearer to the generated ones than the reference explains"
        )
    level = EXPOSED if said else STANDING if alone else RANKS if found.patients.p is None else NOTHING
    if alone > images:
        said.append(f"{_images_of(done, standing)} stand out image by image, which is less sure")
    first = {
        EXPOSED: f"{'; '.join(said)}.",
        STANDING: f"Nobody is shown to be exposed, but {said[0] if said else ''}.",
        RANKS: "Nobody is shown to be exposed: without a reference there are only ranks.",
        NOTHING: "Nobody is shown to be exposed, which does not show that nobody is.",
    }[level]
    sure = _unsure(done, alone) if level == STANDING else _sure(done)
    counts = {"identical": identical, "images": images, "standing_images": alone, "patients": patients}
    return {"level": level, "sentences": [first, sure, _limit(done)], **counts}


def _images_of(done: Audit, rows: Any) -> str:
    owners = len(set(done.inputs.real.groups[rows].tolist()))
    return f"{rows.sum():,} of {len(rows):,} images, of {owners:,} patient{'s' * (owners != 1)},"


def _unsure(done: Audit, standing: int) -> str:
    """Why images that stand out do not show that they are exposed, and which reference could."""
    one = done.findings.exposure.images
    needed, m = one.needed(done.settings.error, exposed=standing), one.compared_with
    why = "Slices of a patient are alike, so that this may be chance"
    if m < needed:
        return (
            f"{why}: the reference has {m:,} patients, and at least {needed:,} are needed to be sure of "
            f"{standing:,} images."
        )
    return f"{why}: counted by patients, the {m:,} of the reference have too many such images, too."


def _sure(done: Audit) -> str:
    one, error = done.findings.exposure.patients, done.settings.error
    everybody, alone = one.needed(error, exposed=len(one.names)), one.needed(error)
    m = one.compared_with
    if one.p is None:
        return (
            "How sure this is cannot be said: images of other patients who certainly did not train the "
            "generator (reference=DIR) would give every patient a p-value."
        )
    if m < everybody:
        return (
            f"As a whole no patient can be significant: the reference has {m:,} patients, and at least "
            f"{everybody:,} are needed, {alone:,} to find a patient who is the only one exposed."
        )
    sure = f"Of those found, about {error:.0%} are expected to be false, if the reference is like the others"
    if m < alone:
        return f"{sure}; to find a patient who is the only one exposed, it needs {alone:,} patients."
    return f"{sure}; its {m:,} patients suffice to find a patient who is the only one exposed."


def _limit(done: Audit) -> str:
    found = done.findings.power
    if found["reason"]:
        return f"What this audit could not have seen is not known: {found['reason']}."
    words = []
    for kind in KINDS:
        sure, alone = found[kind]["images"], found[kind]["standing"]
        own, are = (sure, "are found") if sure["smallest"] or not alone["smallest"] else (alone, "stand out")
        least, most = own["smallest"], own["planted"][-1]
        words.append(
            f"of {least:,} planted {kind} at least {POWER:.0%} {are}"
            if least
            else f"of up to {most:,} planted {kind} fewer than {POWER:.0%} {are}"
        )
    return f"As a test, {', and '.join(words)}; fainter or rarer traces stay unseen."
