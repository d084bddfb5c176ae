"""Predictions become figures: of every part and generator, with the baselines that fit the task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fingerprints.detector.detection import Predictions
from fingerprints.reporting.figures import judged_part, labels_asked, overall, silhouettes

TRIVIAL = {"usage": {"all_used"}, "subset": set(), "model": set()}
COMMON = {"majority", "random", "file", "file_within_test", "histogram_within_test"}
BLIND = {
    "usage": {"histogram", "appearance", "appearance_within_test"},
    "subset": {"histogram_generated", "histogram_real"},
    "model": {"histogram_generated"},
}


@pytest.mark.parametrize("layout", ["usage", "subset", "model"])
def test_every_task_has_its_figures_and_baselines(
    layout: str, usage_root: Any, subset_root: Any, model_root: Any, detected: Any
) -> None:
    root = {"usage": usage_root, "subset": subset_root, "model": model_root}[layout]()
    index, _, _, document = detected(root, layout)
    assert document["task"] == layout
    assert set(document["baselines"]) == COMMON | TRIVIAL[layout] | BLIND[layout]
    for figures in (document["validation"], document["test"], *document["baselines"].values()):
        assert index.task.official in figures
        assert {"value", "low", "high", "p"} <= set(figures["accuracy"])
    assert document["run"]["seconds"] == 2.5
    assert document["validation"]["accuracy"]["chosen_on"] == ["threshold"]
    assert not any("chosen_on" in document[part].get("auc", {}) for part in ("validation", "test"))
    assert "chosen_on" not in document["test"]["accuracy"]


def test_several_generators_have_figures_each_and_their_mean(usage_root: Any, detected: Any) -> None:
    _, _, _, document = detected(usage_root(generators=("gan_a", "gan_b")), "usage_2024")
    test = document["test"]
    assert set(test) == {"gan_a", "gan_b", "mean"}
    values = [test[name]["accuracy"]["value"] for name in ("gan_a", "gan_b")]
    assert test["mean"]["accuracy"]["value"] == pytest.approx(np.mean(values))


def test_without_truth_validation_is_judged(subset_root: Any, detected: Any) -> None:
    root = subset_root()
    index, _, (detection,), document = detected(root, "subset")
    assert judged_part(index, detection) is detection.test
    (root / "test_truth.csv").unlink()
    index, _, (detection,), document = detected(root, "subset")
    assert judged_part(index, detection) is detection.validation
    assert document["test"] == {}
    assert document["validation"]["accuracy"]["value"] is not None


def test_labels_that_only_the_answers_have_are_asked_too(subset_root: Any, detected: Any) -> None:
    index, _, (detection,), _ = detected(subset_root(), "subset")
    own = detection.test
    answers = Predictions(
        rows=own.rows, labels=np.where(np.arange(len(own.rows)) == 0, "none", own.labels), scores=None
    )
    assert labels_asked(index, own) == index.classes
    assert labels_asked(index, answers) == (*index.classes, "none")
    clusters = replace(answers, clusters=True)  # names of clusters are no labels
    assert labels_asked(index, clusters) == index.classes


def test_the_overall_figure_is_the_mean_where_there_is_one() -> None:
    one, mean = object(), object()
    assert overall({"": one}) is one  # type: ignore[dict-item]
    assert overall({"a": one, "mean": mean}) is mean  # type: ignore[dict-item]
    assert overall({}) is None


def test_silhouettes_need_the_embeddings_of_generated_units(subset_root: Any, detected: Any) -> None:
    index, _, (detection,), _ = detected(subset_root(), "subset")
    assert silhouettes(index, detection) == {}  # nothing was embedded


def test_usage_has_its_patients_of_every_generator(usage_root: Any, subset_root: Any, detected: Any) -> None:
    _, _, detections, document = detected(usage_root(generators=("gan_a", "gan_b")), "usage_2024")
    assert set(document["patients"]) == {"gan_a", "gan_b"}
    for detection in detections:
        found = document["patients"][detection.generator]
        rows = detection.test.rows
        assert sum(one["images"] for one in found["patients"]) == len(rows)
        assert found["compared_with"] == rows[rows["label"] == "not_used"]["group"].nunique()
    assert detected(subset_root(), "subset")[3]["patients"] == {}
