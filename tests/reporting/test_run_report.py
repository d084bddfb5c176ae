"""A run's page has the panels and facts of its task."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import pytest

from fingerprints import train

FAST = ["data.size=48", "trainer=cpu", "evidence.resamples=20", "evidence.permutations=19"]
FAST += ["trainer.max_epochs=1", "data.folds=2"]
EVERY = ("Embeddings in two principal components", "Learning curves", "Distances of unseen pairs")


@pytest.mark.usefixtures("no_drawing")
def test_a_usage_page(command: Any, usage_root: Any, tmp_path: Path) -> None:
    words = ["experiment=siamese_subtask1", f"data.root={usage_root()}", f"run_dir={tmp_path / 'run'}"]
    code, printed = command(train, *words, *FAST)
    assert code == 0, printed
    page = html.unescape((tmp_path / "run/report.html").read_text())
    for text in (*EVERY, "ROC", "one line per fold", "Stars are the centroids"):
        assert (text in page) == (text != "Stars are the centroids"), text
    for fact in ("groups of real images", "test units / groups", "threshold", "images encoded in training"):
        assert fact in page, fact
    assert "calls every image used" in page
    assert "experiment=siamese_subtask1" in page


@pytest.mark.usefixtures("no_drawing")
def test_a_subset_page(command: Any, subset_root: Any, tmp_path: Path) -> None:
    root = subset_root()
    (root / "test_truth.csv").unlink()
    words = ["experiment=siamese_subtask2", f"data.root={root}", f"run_dir={tmp_path / 'run'}"]
    code, printed = command(train, *words, *FAST)
    assert code == 0, printed
    page = html.unescape((tmp_path / "run/report.html").read_text())
    for text in (*EVERY, "Stars are the centroids", "validation"):
        assert text in page, text
    for text in ("calls every image used", "one line per fold", "ROC"):
        assert text not in page, text
