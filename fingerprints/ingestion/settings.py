"""What an ingest reads, and what it makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fingerprints.core.options import option

FOLDERS = "folders"  # the value of `groups` that makes each folder a patient


@dataclass(frozen=True, kw_only=True)
class IntakeSettings:
    """Which folder is read, which is made, and how pictures and groups come about.

    A row of the group table counts before the patient id of a DICOM file, the id before the folder.
    """

    images: Path = option(help="folder that is read, with all folders in it")
    out: Path = option(help="folder that is made")
    size: int = option(256, least=1, most=4096, help="side of the pictures in pixels")
    window: str = option("lung", help="of DICOM files: lung, or CENTER,WIDTH in Hounsfield units")
    groups: str | None = option(
        None, help="CSV of groups; folders: each folder is a patient; null: near-duplicate clusters"
    )
    near_duplicate: float = option(
        0.95, above=0, most=1, help="thumbnail correlation from which two pictures are nearly the same"
    )
    on_bad_image: Literal["error", "skip"] = option("error", help="skip goes on without unusable files")
    salt: Path | None = option(
        None, help="file of the key that hashes groups, made if missing; null: a random key, thrown away"
    )
    key: Path | None = option(None, help="file to write the way back to the sources to; null: there is none")
