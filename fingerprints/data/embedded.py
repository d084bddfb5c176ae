"""The embedded benchmark: small image folders inside the package, for runs without `data.root`.

Its real images are phantoms of virtual patients. Its generated images come from GANs that were trained on
known parts of these phantoms. `python -m fingerprints.simulate` made it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def simulation_notes(root: str | Path, test_root: str | Path | None = None) -> list[str]:
    """Notes on generators of a simulated benchmark that `simulate` warned of: collapsed or below the floor.

    Args:
        root: The data folder; without the record of a simulation there are no notes.
        test_root: The folder of the test part, if it is another one.
    """
    notes = []
    for folder in (root,) if test_root is None else (root, test_root):
        for name, found in _qualities(Path(folder) / FACTS).items():
            collapsed, low = found.get("collapsed"), found.get("below_floor") or ()
            if collapsed or low:
                how = "has collapsed" if collapsed else f"is below the floor: {', '.join(low)}"
                notes.append(
                    f"The generator '{name}' of this simulation {how}. Figures on such images say little "
                    "about generators that anybody would use; see its contact_sheet.png."
                )
    return notes


def _qualities(path: Path) -> dict[str, dict[str, Any]]:
    """The quality of each generator, by the record of a simulation; empty without one."""
    try:
        generators = json.loads(path.read_text())["generators"]
        return {name: dict(facts.get("quality") or {}) for name, facts in generators.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # no such file, or not of a simulation
        return {}
