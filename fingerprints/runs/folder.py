"""What a run folder holds."""

from __future__ import annotations

from pathlib import Path

from fingerprints.core.errors import FingerprintsError

CONFIG, METRICS, PREDICTIONS, RUN_FILE = "config.yaml", "metrics.json", "predictions.csv", "run.csv"
REPORT, CHECKPOINTS, LOG = "report.html", "checkpoints", "train.log"


def refuse_used_folder(folder: Path) -> None:
    """A run folder holds one run.

    Raises:
        FingerprintsError: If the folder already holds one.
    """
    if (folder / CONFIG).exists():
        raise FingerprintsError(
            "The run folder already holds a run.",
            where=folder,
            fix=f"run_dir=DIR with another folder, or to go on with that run: resume={folder}",
        )
