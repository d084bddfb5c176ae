"""The output folder of an audit, which appears only when it is complete, and its key file."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from fingerprints.auditing.audit import Audit
from fingerprints.auditing.document import document
from fingerprints.auditing.earlier import DOCUMENT
from fingerprints.auditing.page import render
from fingerprints.ingestion.write import key_file, whole_folder, write_rows, writing

PAGE, IMAGES, PATIENTS = "audit.html", "images.csv", "patients.csv"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(done: Audit) -> dict[str, Any]:
    """Write `audit.json`, `images.csv`, `patients.csv`, `audit.html` and, if asked for, the key.

    Returns:
        The content of `audit.json`.

    Raises:
        FingerprintsError: If something cannot be written; then nothing is left behind.
    """
    settings, found = done.settings, document(done)
    contents = {
        DOCUMENT: json.dumps(found, indent=1, allow_nan=False) + "\n",
        IMAGES: images_csv(found),
        PATIENTS: patients_csv(found),
        PAGE: render(done, found),
    }
    key = key_file(settings.key, ("id", "group", "role", "patient", "file", "frame"), _origins(done))
    with key, writing(settings.out), whole_folder(settings.out) as folder:
        for name, content in contents.items():
            (folder / name).write_text(content, encoding="utf-8", newline="")
    return found


def images_csv(found: dict[str, Any]) -> str:
    """One row for each candidate image, the most exposed first."""
    header = ["id", "group", "score", "p", "q", "p_images", "q_images", "nearest", "rms"]
    header += [f"{name}: {what}" for name in found["detectors"] for what in ("score", "p")]
    rows = [
        [
            safe(one["id"]),
            safe(one["group"]),
            *_figures(one),
            one["p_images"],
            one["q_images"],
            safe(one["nearest"][0]["generated"]),
            one["nearest"][0]["rms"],
            *(own[what] for own in one["detectors"].values() for what in ("score", "p")),
        ]
        for one in found["images"]
    ]
    return _table(header, rows)


def patients_csv(found: dict[str, Any]) -> str:
    """One row for each candidate patient, the most exposed first."""
    rows = [
        [
            safe(one["group"]),
            one["images"],
            *_figures(one),
            one["found_images"],
            one["standing_images"],
            one["identical_images"],
            safe(one["most_exposed"]),
        ]
        for one in found["groups"]
    ]
    header = ["group", "images", "score", "p", "q", "found_images", "standing_images", "identical_images"]
    return _table([*header, "most_exposed"], rows)


def safe(name: str) -> str:
    """A name as the cell of a table: a spreadsheet takes no part of it for a formula."""
    return f"'{name}" if name.startswith(_FORMULA) else name


def _figures(one: dict[str, Any]) -> list[Any]:
    return [one["score"], one["p"], one["q"]]


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    handle = io.StringIO(newline="")
    write_rows(handle, header, rows)
    return handle.getvalue()


def _origins(done: Audit) -> Iterable[tuple[object, ...]]:
    for folder in (done.inputs.real, done.inputs.reference):
        if folder is not None:
            for name, group, one in zip(folder.ids, folder.groups.tolist(), folder.pictures, strict=True):
                yield name, group, folder.role, one.group, folder.path.resolve() / one.source, one.frame
