"""Tests of what is known of a detector afterwards."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fingerprints.decisions.contract import Images, Part
from fingerprints.detector.detection import Decider, Detection

NOBODY = Part(Images(np.empty((0, 2), np.float32)), Images(np.empty((0, 2), np.float32)), "real")


def test_costs_and_pair_accuracy_are_those_of_all_trainings() -> None:
    def training(encoded: int, **history: list[float]) -> Any:
        return SimpleNamespace(images_encoded=encoded, seconds=1.5, history=pd.DataFrame(history))

    fits = {
        "fold 1/2": training(10, val_pair_accuracy=[0.1, 0.5]),
        "fold 2/2": training(20, val_pair_accuracy=[0.9]),
        "training": training(30, train_loss=[0.2]),
    }
    decider: Any = Decider(None, None)  # type: ignore[arg-type]
    nothing: Any = None
    found = Detection("", nothing, decider, None, None, None, fits, NOBODY, None, (np.empty(0), np.empty(0)))
    assert (found.images_encoded, found.training_seconds) == (60, 4.5)
    assert found.pair_accuracy == pytest.approx(0.7)


def test_references_are_reduced_only_for_decisions_that_look_at_them() -> None:
    def decision(*, looks: bool) -> Any:
        return SimpleNamespace(settings=SimpleNamespace(uses_references=looks), predict=lambda part: part)

    part = Part(Images(np.ones((1, 2), np.float32)), Images(np.ones((3, 2), np.float32)), "real")
    reduction: Any = SimpleNamespace(apply=lambda embeddings: embeddings[:, :1])
    for looks, width in ((True, 1), (False, 2)):
        seen: Any = Decider(reduction, decision(looks=looks)).answer(part)
        assert seen.queries.embeddings.shape == (1, 1)
        assert seen.references.embeddings.shape == (3, width)
