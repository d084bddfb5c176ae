"""The embedded benchmark: small image folders inside the package, for runs without `data.root`.

Its real images are phantoms of virtual patients. Its generated images come from GANs that were trained on
known parts of these phantoms. `python -m fingerprints.simulate` made it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "embedded"
OF_LAYOUT = {"imageclef2025_subset": "subset", "imageclef2025_usage": "usage", "imageclef2024_model": "model"}
FACTS = "benchmark.json"
"""File in which a simulation records its settings; a folder without this file is not a benchmark."""


@dataclass(frozen=True)
class EmbeddedBenchmark:
    """A folder of the package in one of the layouts; `size` is the side length of its images, in pixels."""

    root: Path
    size: int


def embedded_benchmark(layout: str | None) -> EmbeddedBenchmark | None:
    """The embedded benchmark of a layout, or `None` if it has none."""
    root = FOLDER / OF_LAYOUT.get(layout or "", "")
    if layout not in OF_LAYOUT or not (root / FACTS).is_file():
        return None
    return EmbeddedBenchmark(root, size=json.loads((root / FACTS).read_text())["settings"]["size"])


def is_embedded(root: str | Path) -> bool:
    """Whether a data folder is inside the package."""
    return Path(root).resolve().is_relative_to(FOLDER.resolve())


def is_simulated(root: str | Path) -> bool:
    """Whether `simulate` made a data folder, so that its generators are not those of a challenge."""
    return (Path(root) / FACTS).is_file()


def describe_data(root: str | Path, *, size: int, test_root: str | Path | None = None) -> str:
    """Where the images come from: the folder or folders, or a note that they are the embedded phantoms."""
    if not is_embedded(root):
        return str(root) if test_root is None else f"{root}, test part in {test_root}"
    return f"the embedded benchmark (phantoms, {size} x {size}); your own data: data.root=DIR data.size=N"


def embedded_notes(root: str | Path) -> list[str]:
    """Notes for the reader of a report if the run used the embedded benchmark; else none."""
    if not is_embedded(root):
        return []
    return [
        "These images are phantoms of the embedded benchmark, not patients: the figures show how the method "
        "works and say nothing about real CT. To use your own data: data.root=DIR data.size=N."
    ]
