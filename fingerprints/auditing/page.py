"""The page of an audit with, if asked for, the images of the most exposed patients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerprints.auditing.audit import Audit
from fingerprints.auditing.document import most_exposed, order
from fingerprints.reporting.audit_page import chance, render_audit
from fingerprints.reporting.html import PicturePanel, PictureRow, PictureTile
from fingerprints.reporting.pictures import COLOURS, DIFFERENCES, difference, png

HOW = (
    "No image of a patient is on this page. To see each patient's most exposed image beside the nearest "
    "generated ones, run the same command with embed_images=true and another out=DIR; that page must not "
    "leave the hospital."
)


ALIGNED = "“Real, changed” is moved onto the generated image, with its brightness and contrast."


def render(done: Audit, document: dict[str, Any]) -> str:
    """The page as text."""
    shown = done.settings.embed_images
    return render_audit(
        document,
        _pictures(done) if shown else None,
        copies=_copies(done) if shown else None,
        how=HOW,
    )


def _copies(done: Audit) -> PicturePanel:
    found, groups = done.findings.copies, done.inputs.real.groups
    rows = [
        PictureRow(
            f"{groups[row]}: similarity {found.matches.similarity[row]:.4f}, {found.matches.change(row)}"
            f"{'' if found.above[row] else ' (below the level)'}",
            [_real(done, row), *_match(done, row)],
        )
        for row in found.listed()[: done.settings.shown]
    ]
    return PicturePanel(
        title="Images of the most similar pairs",
        caption=f"{ALIGNED} “rms” is the root mean square difference, in grey levels of 255. "
        + COLOURS.format(first="changed real", second="generated"),
        rows=rows,
    )


def _pictures(done: Audit) -> PicturePanel:
    found, real, made = done.findings, done.inputs.real, done.inputs.generated
    patients = found.exposure.patients
    rows = []
    for at in order(patients)[: done.settings.shown]:
        row = most_exposed(found, real.groups == patients.names[at])
        said = f"score {patients.scores[at]:.4f}"
        if patients.p is not None and patients.q is not None:
            said += f", p {chance(patients.p[at])}, q {chance(patients.q[at])}"
        other, rms = int(found.neighbours[row, 0]), found.distances[row, 0]
        name, beside = made.ids[other], made.pictures[other].pixels
        apart = difference(real.pictures[row].pixels, beside)
        tiles = [
            _real(done, row),
            *_match(done, row),
            PictureTile(png(beside), f"nearest by pixels\n{name}, rms {rms:.1f}", f"Generated {name}."),
            PictureTile(png(apart), "difference", f"Difference to {name}."),
        ]
        rows.append(PictureRow(f"{patients.names[at]}: {said}", tiles))
    return PicturePanel(
        title="The most exposed image of each of the most exposed patients",
        caption="Beside it are the generated image that it matches best if it is moved, and the one that is "
        f"nearest as it is. {ALIGNED} {DIFFERENCES.format(first='real', second='generated')}",
        rows=rows,
    )


def _real(done: Audit, row: int) -> PictureTile:
    one = done.inputs.real
    return PictureTile(png(one.pictures[row].pixels), f"real\n{one.ids[row]}", f"Real image {one.ids[row]}.")


def _match(done: Audit, row: int) -> list[PictureTile]:
    """The generated image that a real one matches best, the real one moved onto it, and their difference."""
    found, made = done.findings.copies.matches, done.inputs.generated
    other = int(found.nearest[row])
    name, change, beside = made.ids[other], found.change(row), made.pictures[other].pixels
    changed = like(found.aligned(done.inputs.real.pictures[row].pixels, row), beside)
    rms = np.sqrt(np.mean((changed.astype(np.float32) - beside) ** 2))
    return [
        PictureTile(png(beside), f"best match\n{name}", f"Generated {name}."),
        PictureTile(png(changed), f"real, changed\n{change}", f"The real image, {change}."),
        PictureTile(
            png(difference(changed, beside)),
            f"difference after change\nrms {rms:.1f}",
            f"Difference to {name}.",
        ),
    ]


def like(image: NDArray[np.float32], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image `(side, side)` with the contrast and brightness that bring it nearest to the other one."""
    centred, mean = image - image.mean(), other.mean(dtype=np.float64)
    contrast = (centred * (other - mean)).sum() / max(float((centred**2).sum()), 1.0)
    return np.clip(np.rint(contrast * centred + mean), 0, 255).astype(np.uint8)
