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
    found, real, made = done.findings.copies, done.inputs.real, done.inputs.generated
    rows = []
    for row in found.listed()[: done.settings.shown]:
        other = int(found.matches.nearest[row])
        own, beside = real.pictures[row].pixels, made.pictures[other].pixels
        moved = like(found.matches.aligned(own, row), beside)
        change, listed = found.matches.change(row), "" if found.above[row] else " (not listed as copy)"
        title = f"{real.groups[row]}: similarity {found.matches.similarity[row]:.4f}{listed}, {change}"
        tiles = [
            PictureTile(png(own), f"real\n{real.ids[row]}", f"Real image {real.ids[row]}."),
            PictureTile(png(beside), f"generated\n{made.ids[other]}", f"Generated {made.ids[other]}."),
            PictureTile(png(moved), f"real, changed\n{change}", f"Real image {real.ids[row]}, {change}."),
            PictureTile(png(difference(moved, beside)), "difference", f"Difference to {made.ids[other]}."),
        ]
        rows.append(PictureRow(title, tiles))
    return PicturePanel(
        title="Images of the most similar pairs",
        caption="The real image is moved onto the generated one, and its brightness and contrast are fitted. "
        + COLOURS.format(first="changed real", second="generated"),
        rows=rows,
    )


def like(image: NDArray[np.float32], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image `(side, side)` with the contrast and brightness that bring it nearest to the other one."""
    centred, mean = image - image.mean(), other.mean(dtype=np.float64)
    contrast = (centred * (other - mean)).sum() / max(float((centred**2).sum()), 1.0)
    return np.clip(np.rint(contrast * centred + mean), 0, 255).astype(np.uint8)


def _pictures(done: Audit) -> PicturePanel:
    found, real, made = done.findings, done.inputs.real, done.inputs.generated
    patients = found.exposure.patients
    rows = []
    for at in order(patients)[: done.settings.shown]:
        row = most_exposed(found, real.groups == patients.names[at])
        own = real.pictures[row].pixels
        said = f"score {patients.scores[at]:.4f}"
        if patients.p is not None and patients.q is not None:
            said += f", p {chance(patients.p[at])}, q {chance(patients.q[at])}"
        tiles = [PictureTile(png(own), f"real\n{real.ids[row]}", f"Real image {real.ids[row]}.")]
        for rank, (other, rms) in enumerate(
            zip(found.neighbours[row], found.distances[row], strict=True), start=1
        ):
            beside, name = made.pictures[other].pixels, made.ids[other]
            tiles += [
                PictureTile(png(beside), f"generated {rank}\n{name}, rms {rms:.1f}", f"Generated {name}."),
                PictureTile(png(difference(own, beside)), "difference", f"Difference to {name}."),
            ]
        rows.append(PictureRow(f"{patients.names[at]}: {said}", tiles))
    return PicturePanel(
        title="Images of the most exposed patients, and the generated images nearest to them",
        caption=DIFFERENCES.format(first="real", second="generated"),
        rows=rows,
    )
