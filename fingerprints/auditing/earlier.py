"""An earlier audit of the same patients: who has become more or less exposed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from fingerprints.core.errors import FingerprintsError

DOCUMENT, FORMAT = "audit.json", 2
KEYS = ("score", "p", "q", "standing_images")
NAMES, RANDOM = "names", ""


def naming(salt: bytes | None, *, saved: bool) -> str:
    """What patients are called: `names`, a digest of the saved salt, or empty for a key not saved."""
    if salt is None:
        return NAMES
    return hashlib.sha256(b"naming" + salt).hexdigest()[:16] if saved else RANDOM


def read(folder: Path) -> dict[str, Any]:
    """The document of an earlier audit.

    Raises:
        FingerprintsError: If the folder holds none, or one of another version.
    """
    path = folder / DOCUMENT
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FingerprintsError(
            "This is not the folder of an audit of this version.",
            where=path,
            fix="give the folder that an earlier audit wrote: against=DIR",
        ) from error
    return found


def check_names(before: dict[str, Any], *, naming: str, folder: Path | None) -> None:
    """Refuse an earlier audit that calls the same patients otherwise.

    Raises:
        FingerprintsError: If so.
    """
    if naming != before["naming"] or naming == RANDOM:
        raise FingerprintsError(
            "Patients have other names in the earlier audit, so that they cannot be found in it.",
            where=f"against={folder}",
            fix="give both audits the same salt=FILE, or names=keep",
        )


def changes(before: dict[str, Any], groups: list[dict[str, Any]], *, error: float) -> dict[str, Any]:
    """Patients of both audits, the largest rise of the score first.

    Args:
        before: The earlier document.
        groups: Patients of this audit, as in the document.
        error: Accepted share of false findings.

    Returns:
        `groups` (`KEYS` before and now, `change` in words), and names of `new` and `gone` patients.
    """
    old = {one["group"]: one for one in before["groups"]}
    now = {one["group"]: one for one in groups}
    both = [
        {
            "group": name,
            "before": {key: old[name][key] for key in KEYS},
            "now": {key: now[name][key] for key in KEYS},
            "change": _change(old[name]["q"], now[name]["q"], error=error),
        }
        for name in now
        if name in old
    ]
    both.sort(key=lambda one: one["before"]["score"] - one["now"]["score"])
    return {
        "folder_digest": before["inputs"]["generated"]["digest"],
        "groups": both,
        "new": sorted(now.keys() - old.keys()),
        "gone": sorted(old.keys() - now.keys()),
    }


def _change(before: float | None, now: float | None, *, error: float) -> str:
    if before is None or now is None:
        return "ranks only"
    return {
        (False, False): "not shown in either",
        (True, True): "shown in both",
        (False, True): "newly shown",
        (True, False): "no longer shown",
    }[before <= error, now <= error]
