"""Summary at the end of a simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fingerprints.config.layouts import FIRST
from fingerprints.core.errors import command
from fingerprints.encoders.settings import SiameseCNNSettings
from fingerprints.encoders.siamese_cnn import smallest_size

# The Siamese network of two of the experiments cannot take smaller images; training scales them up.
LEAST = smallest_size(len(SiameseCNNSettings().channels))


def summary(document: dict[str, Any], out: Path) -> list[str]:
    """Lines about the result, and the next command."""
    task, images, settings = document["settings"]["task"], document["images"], document["settings"]
    generators = document["generators"]
    size = settings["size"]
    files = sum(folder["files"] for name, folder in document["files"].items() if name != ".")
    lines = [
        f"benchmark: {task}, {files:,} images of {size} x {size} in {out}",
        f"real: {images['count']:,} {'phantoms' if images['origin'] == 'phantoms' else 'images'} of "
        f"{document['groups']['count']:,} groups; {len(generators)} generators, {document['seconds']:,.0f} s",
    ]
    if (control := document.get("control")) is not None:  # benchmarks of earlier versions lack it
        lines.append(f"control {control['name']}: {control['means']}")
    if document["planted"]["copies"]:
        lines.append(f"planted: {document['planted']['copies']:,} copies of training images (planted.csv)")
    collapsed = [name for name, facts in generators.items() if facts["quality"]["collapsed"]]
    below = [name for name, facts in generators.items() if facts["quality"]["below_floor"]]
    low = [name for name in below if name not in collapsed]
    for words, bad in (("COLLAPSED", collapsed), ("BELOW THE FLOOR", low)):
        if bad:
            lines.append(
                f"{words}: {', '.join(bad)}; check generators/*/contact_sheet.png, train longer "
                "(scale.max_steps=N) or try another seed"
            )
    if task in FIRST:
        layout = ["data=imageclef2024_usage"] if task == "usage" and len(settings["designs"]) > 1 else []
        experiment = [
            f"experiment={FIRST[task]}",
            *layout,
            f"data.root={out}",
            f"data.size={max(size, LEAST)}",
        ]
        lines.append(f"next: {command('train', *experiment)}")
    return lines
