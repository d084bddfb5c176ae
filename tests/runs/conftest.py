"""Folders of sweeps and runs written by hand: no training, and every figure is known."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

AddJob = Callable[..., Path]


def figure(value: float | None, **more: Any) -> dict[str, Any]:
    around = (None, None) if value is None else (value - 0.1, value + 0.1)
    return {"value": value, "low": around[0], "high": around[1], "p": 0.5, **more}


def document(task: str, value: float, *, generators: tuple[str, ...] = ()) -> dict[str, Any]:
    names = {"subset": ("accuracy", "f1"), "usage": ("accuracy", "kappa", "auc", "f1_used")}[task]

    def part(shift: float) -> dict[str, Any]:
        levels = {
            generator: {name: figure(value + shift + 0.1 * n) for name in names}
            for n, generator in enumerate(generators)
        }
        return levels or {name: figure(value + shift) for name in names}

    return {"task": task, "validation": part(0.05), "test": part(0.0), "run": {"seconds": 9.0}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sweep").mkdir()
    return tmp_path / "sweep"


@pytest.fixture
def add_job(folder: Path) -> AddJob:
    """`add_job(name, state, overrides=[...], value=None, task="subset", **status)`."""

    def add(
        name: str,
        state: str | None = "finished",
        *,
        overrides: list[str] | None = None,
        value: float | None = None,
        task: str = "subset",
        config: dict[str, Any] | None = None,
        generators: tuple[str, ...] = (),
        **status: Any,
    ) -> Path:
        job = folder / name
        job.mkdir(parents=True)
        if state is not None:
            status = {
                "seconds": 12.0,
                "error": None,
                "pid": os.getpid(),
                "host": platform.node(),
            } | status
            found = {"state": state, "overrides": overrides or [], **status}
            (job / "status.json").write_text(json.dumps(found))
        if config is not None:
            (job / "config.yaml").write_text(yaml.safe_dump({"task": task, **config}))
        if value is not None:
            (job / "metrics.json").write_text(json.dumps(document(task, value, generators=generators)))
        return job

    return add


def settings(seed: int, *, pairing: str = "all", **data: Any) -> dict[str, Any]:
    return {
        "name": "metric",
        "seed": seed,
        "run_dir": f"out/{seed}",
        "pairing": {"name": pairing},
        "data": data,
    }
