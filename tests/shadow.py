"""A folder of shadow generators, in the layout of `simulate task=shadow`, for a benchmark of `usage`."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path


def shadow_pool(root: Path, folder: Path, *, generated: int = 8) -> Path:
    """Candidates are the real images of the benchmark; each generator returns some of its half unchanged."""
    real = sorted(path for path in root.rglob("*.png") if "generated" not in path.parts)
    (folder / "real").mkdir(parents=True)
    table = [["file", "s000", "s001"]]
    for at, path in enumerate(real):
        name = f"real/candidate_{at:05d}.png"
        shutil.copy(path, folder / name)
        table.append([name, str(int(at % 2 == 0)), str(at % 2)])
    for number in (0, 1):
        made = folder / f"generated/s{number:03d}"
        made.mkdir(parents=True)
        for at, path in enumerate(real[number::2][:generated]):
            shutil.copy(path, made / f"image_{at:06d}.png")
    with (folder / "membership.csv").open("w", newline="") as file:
        csv.writer(file).writerows(table)
    return folder
