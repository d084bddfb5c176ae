"""Names and errors of W&B in words; test_loggers.py opens runs."""

from __future__ import annotations

import pytest

from fingerprints.training.wandb_run import project_name, reason


@pytest.mark.parametrize("name", ["fingerprints", "a b", "é", "x" * 128, ""])
def test_good_project_names_stay(name: str) -> None:
    assert project_name(name) == name


@pytest.mark.parametrize("name", ["team/proj", "a\\b", "a#b", "50%", "what?", "a:b", "x" * 200, "/" * 200])
def test_other_project_names_become_ones_that_wandb_accepts(name: str) -> None:
    import wandb

    with pytest.raises(wandb.errors.UsageError):
        wandb.Settings(project=name)
    assert wandb.Settings(project=project_name(name)).project


def test_reasons_are_one_line() -> None:
    import wandb

    with pytest.raises(ValueError, match="validation") as caught:
        wandb.Settings(resume="maybe")
    assert reason(caught.value) == "resume: Input should be 'allow', 'must', 'never' or 'auto'"
    assert reason(OSError(28, "No space left on device")) == "No space left on device"
    assert reason(PermissionError(13, "Permission denied", "/x")) == "Permission denied: /x"
    assert reason(RuntimeError("\n first\nsecond")) == "first"
    assert reason(BrokenPipeError()) == "BrokenPipeError"
