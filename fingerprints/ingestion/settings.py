"""Settings of an ingest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fingerprints.core.options import option

FOLDERS = "folders"  # the value of `groups` that makes each folder a patient


@dataclass(frozen=True, kw_only=True)
class IntakeSettings:
    """Input folder, output folder, and how pictures and groups are made.

    The group of a file is that of the group table, else the DICOM patient id, else the folder.
    """

    images: Path = option(help="input folder, read with all its subfolders")
    out: Path = option(help="output folder, new or empty")
    size: int = option(256, least=1, most=4096, help="side of the pictures in pixels")
    window: str = option("lung", help="window of DICOM files: lung, or CENTER,WIDTH in Hounsfield units")
    groups: str | None = option(
        None, help="CSV of groups; folders: each folder is a patient; null: near-duplicate clusters"
    )
    near_duplicate: float = option(
        0.95, above=0, most=1, help="pictures with at least this thumbnail correlation are near-duplicates"
    )
    on_bad_image: Literal["error", "skip"] = option("error", help="skip: continue without unusable files")
    salt: Path | None = option(
        None, help="file of the key that hashes groups, made if missing; null: a random key, not saved"
    )
    key: Path | None = option(None, help="file that records the source of each picture; null: no such file")
