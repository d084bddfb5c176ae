"""A run's page has the panels and facts of its task."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import pytest

from fingerprints import train
from fingerprints.config.roots import PrintedFigures, PublishedSettings
from fingerprints.reporting import run_report

FAST = ["data.size=48", "trainer=cpu", "evidence.permutations=19"]
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
    # Pixels are not on the page unless they were asked for, but the command that shows them is.
    assert "data:image/png" not in page
    for text in (
        "Highest score",
        "stand out (adjusted p",
        "the least possible is 1 /",
        "95 % limits at each rate",
    ):
        assert text in page, text
    assert "Suspected images" not in page
    assert "holds images of the data" not in page
    assert f"data.root={tmp_path / 'usage'}" in page
    assert f"fingerprints.redraw run={tmp_path / 'run'} images=true</code>" in page
    assert "<dt>shortened training</dt>" in page
    assert "trainer.max_epochs is 1 and not 30, data.folds is 2 and not 5" in page


@pytest.mark.usefixtures("no_drawing")
def test_a_subset_page(command: Any, subset_root: Any, tmp_path: Path) -> None:
    root = subset_root()
    (root / "test_truth.csv").unlink()
    words = ["experiment=siamese_subtask2", f"data.root={root}", f"run_dir={tmp_path / 'run'}"]
    code, printed = command(train, *words, *FAST, "report.images=true", "callbacks.checkpoint.best=true")
    assert code == 0, printed
    page = html.unescape((tmp_path / "run/report.html").read_text())
    assert page.count("data:image/png") > 7
    assert 'alt=""' not in page
    assert "<li>This page holds images of the data" in page
    told = "number of epochs chosen on these same images"
    for text in (*EVERY, "Stars are the centroids", "validation", "real images nearest to them", told):
        assert text in page, text
    for text in ("calls every image used", "one line per fold", "ROC"):
        assert text not in page, text


def test_printed_figures_stand_beside_their_own_or_in_a_table_of_the_rest() -> None:
    printed = PublishedSettings(
        source="Paper",
        training={"f1": 0.1},
        test={"f1": 0.2, "kappa": 0.3},
        generators={"m1": PrintedFigures(test={"f1": 0.4}), "m3": PrintedFigures(test={"f1": 0.5})},
        runs={"run 2": PrintedFigures(test={"f1": 0.6}, part_unknown={"kappa": 0.7})},
    )
    shown = {("test", ""): ["f1"], ("test", "m1"): ["f1", "kappa"], ("test", "m2"): ["f1"]}
    rest = run_report._printed_elsewhere(printed, shown)
    assert [(row.title, row.figures) for row in rest] == [
        ("mean, training part", {"f1": 0.1}),
        ("mean, test part", {"kappa": 0.3}),
        ("m3, test part", {"f1": 0.5}),
        ("run 2, test part", {"f1": 0.6}),
        ("run 2, part not named", {"kappa": 0.7}),
    ]
    assert run_report._printed_elsewhere(PublishedSettings(), shown) == []


def test_the_page_names_the_weights_that_encoders_start_from() -> None:
    several = [{"name": "resnet50", "weights": "v1"}, {"name": "lbp"}, {"name": "dinov2", "weights": "none"}]
    assert run_report._weights({"name": "concatenated", "encoders": several}) == "resnet50 v1, dinov2 random"
    assert run_report._weights({"name": "siamese_cnn", "weights": None}) == ""
