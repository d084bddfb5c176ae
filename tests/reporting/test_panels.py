"""Tests of the figures of a run's page; test_run_report.py looks at whole pages."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd

from fingerprints.core.tasks import get_task
from fingerprints.reporting import panels


def test_curves_are_of_folds_if_trainings_have_unseen_images_else_of_the_training_part() -> None:
    def history(*losses: dict[str, list[float]]) -> pd.DataFrame:
        fits = {str(n): SimpleNamespace(history=pd.DataFrame(loss)) for n, loss in enumerate(losses)}
        index = SimpleNamespace(task=get_task("usage"))
        return panels._history(index, SimpleNamespace(fits=fits))  # type: ignore[arg-type]

    one, two = {"train_loss": [0.2]}, {"train_loss": [0.3]}
    assert history(one, two).to_dict("list") == one  # an autoencoder of each part
    folds = history(one | {"val_loss": [0.4]}, two | {"val_loss": [0.5]}, {"train_loss": [0.1]})
    assert folds[["val_loss", "fold"]].to_numpy().tolist() == [[0.4, 1], [0.5, 2]]
