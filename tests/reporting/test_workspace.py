"""The dashboard's panels, without a server."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.reporting.workspace import COLUMNS, dashboard, save_online, save_spec


def test_sections_and_what_stays_in_sight() -> None:
    pytest.importorskip("wandb_workspaces")
    workspace = dashboard(project="p", name="view")
    assert [section.name for section in workspace.sections] == [
        "Verdict and test figures",
        "Training",
        "Predictions",
        "Comparison with baselines",
        "Runs compared",
    ]
    assert set(COLUMNS) <= set(workspace.runset_settings.pinned_columns)
    for section in workspace.sections:
        grid = section.layout_settings
        assert grid.columns * grid.rows >= len(section.panels) > grid.columns * (grid.rows - 1)


def test_every_generator_has_a_confusion_matrix(tmp_path: Path) -> None:
    pytest.importorskip("wandb_workspaces")
    save_spec(dashboard(project="p", name="view", generators=["gan_a", "gan_b"]), tmp_path / "view.json")
    text = (tmp_path / "view.json").read_text()
    assert json.loads(text)
    assert "gan_a/confusion_matrix_table" in text
    assert "gan_b/confusion_matrix_table" in text


def test_a_project_name_that_wandb_refuses_is_an_error_with_the_name_of_the_runs() -> None:
    with pytest.raises(FingerprintsError, match="refuses this project name") as error:
        dashboard(project="team/proj", name="view")
    assert "project=team-proj" in str(error.value)


def test_a_server_that_refuses_is_an_error_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    monkeypatch.setattr(wandb, "login", lambda **_: False)
    with pytest.raises(FingerprintsError, match="cannot be saved on the W&B server") as error:
        save_online(SimpleNamespace(project="p", entity=""))
    assert "wandb login" in str(error.value.fix)
