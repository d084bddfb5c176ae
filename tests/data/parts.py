"""What tests of the index and of its checks and splits share."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

Root = Callable[..., Path]
Prepared = Callable[..., Any]


def parts_of_groups(table: pd.DataFrame) -> pd.Series:
    """How many parts of the data each group of real images stands in."""
    real = table[table["domain"] == "real"]
    part = real["split"].where(real["fold"] < 0, real["fold"].astype(str))
    return part.groupby([real["generator"], real["group"]]).nunique()


def regroup(root: Path, change: Callable[[str, str], str]) -> None:
    path = root / "groups.csv"
    with path.open() as handle:
        header, *rows = csv.reader(handle)
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows([header, *((file, change(file, group)) for file, group in rows)])
