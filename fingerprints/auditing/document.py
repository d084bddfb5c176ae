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

EXPOSED, NOTHING, RANKS = "exposed", "nothing_shown", "ranks_only"
NULL = (
    "p and q are valid if patients of the reference are exchangeable with candidates who were not used: the "
    "same hospital, scanners, protocols and years."
)
OF_IMAGES = (
    "p of an image counts slices as if they were independent; slices of a patient are alike, so that it may "
    "be too small. Where patients and images disagree, rely on patients."
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
        "copies": found.copies.to_json(inputs.real, inputs.generated, threshold=settings.near_copy),
        "screen": inputs.screen.to_json() | {"forced": bool(inputs.screen.problems)},
        "null": {
            "error": settings.error,
            "assumption": NULL,
            "of_images": OF_IMAGES,
            "pooling": found.rule.describe(),
            "images": limits(found.images, error=settings.error),
            "patients": limits(found.patients, error=settings.error),
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
    found, one = done.findings, done.findings.images
    made = done.inputs.generated.ids
    return [
        {
            "id": str(one.names[row]),
            "group": str(done.inputs.real.groups[row]),
            **_figures(one, row),
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
        for row in order(one)
    ]


def _groups(done: Audit) -> list[dict[str, Any]]:
    one, images = done.findings.patients, done.findings.images
    own, found = done.inputs.real.groups, images.found(done.settings.error)
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
                "identical_images": int(identical[mine].sum()),
                "most_exposed": str(images.names[most_exposed(done.findings, mine)]),
            }
        )
    return rows


def most_exposed(found: Findings, among: Any) -> int:
    """Row of the image with the highest score among those in the mask `(n,)`."""
    return int(np.flatnonzero(among)[np.argmax(found.images.scores[among])])


def order(one: Judged) -> list[int]:
    """Rows, the most exposed first; ties by name."""
    return np.lexsort((one.names, -one.scores)).tolist()


def _figures(one: Judged, row: int) -> dict[str, float | None]:
    return {
        "score": round(float(one.scores[row]), 6),
        "p": None if one.p is None else float(one.p[row]),
        "q": None if one.q is None else float(one.q[row]),
    }


def verdict(done: Audit) -> dict[str, Any]:
    """Level and three sentences: what was found, how sure that is, and what it does not say."""
    found, error = done.findings, done.settings.error
    identical = len({i for i, _ in found.copies.identical})
    by_image, by_patient = found.images.found(error), found.patients.found(error)
    owners = len(set(done.inputs.real.groups[by_image].tolist()))
    images, patients = int(by_image.sum()), int(by_patient.sum())
    said = []
    if identical:
        are = "image is" if identical == 1 else "images are"
        said.append(f"{identical:,} real {are} among the generated ones, pixel for pixel")
    if patients:
        said.append(f"{patients:,} of {len(found.patients.names):,} patients stand out from the reference")
    if images:
        said.append(
            f"{images:,} of {len(found.images.names):,} images, of {owners:,} patients, are nearer to the "
            "generated ones than the reference explains"
        )
    level = EXPOSED if said else RANKS if found.patients.p is None else NOTHING
    first = {
        EXPOSED: f"{'; '.join(said)}.",
        RANKS: "Nobody is shown to be exposed: without a reference there are only ranks.",
        NOTHING: "Nobody is shown to be exposed, which does not show that nobody is.",
    }[level]
    sentences = [first, _sure(done), _limit(done)]
    counts = {"identical": identical, "images": images, "patients": patients}
    return {"level": level, "sentences": sentences, **counts}


def _sure(done: Audit) -> str:
    one, error = done.findings.patients, done.settings.error
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
        own = found[kind]["images"]
        least, most = own["smallest"], own["planted"][-1]
        words.append(
            f"of {least:,} planted {kind} at least {POWER:.0%} are found"
            if least
            else f"of up to {most:,} planted {kind} fewer than {POWER:.0%} are found"
        )
    return f"As a test, {', and '.join(words)}; fainter or rarer traces stay unseen."
