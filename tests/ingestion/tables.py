"""What an ingest wrote, as tests read it."""

from __future__ import annotations

import csv
from pathlib import Path


def table(path: Path) -> list[list[str]]:
    with path.open(newline="") as handle:
        return list(csv.reader(handle))


def members(out: Path) -> list[int]:
    groups = [group for _, group in table(out / "groups.csv")[1:]]
    return sorted(groups.count(group) for group in set(groups))
