"""Parts and fittings for tests of decisions, in few words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fingerprints.core.options import part_of, settings_class
from fingerprints.decisions.contract import Answers, Decision, Fitting, Images, Part

NOBODY = np.empty((0, 1), np.float32)


def images(points: np.ndarray, labels: Sequence[str] | None = None, groups: Any = None) -> Images:
    names = np.array([""] * len(points) if labels is None else list(labels), dtype=str)
    return Images(points, names, np.empty(0, dtype=str) if groups is None else np.asarray(groups))


def about_generated(real: Images, generated: Images) -> Part:
    """A part of `subset` or `model`."""
    return Part(queries=generated, references=real, unit="generated")


def about_real(real: Images, generated: Images) -> Part:
    """A part of `usage`."""
    return Part(queries=real, references=generated, unit="real")


def asked(points: np.ndarray) -> Part:
    """A part whose generated images are asked about."""
    return about_generated(images(points[:0]), images(points))


def settings(name: str, **options: Any) -> Any:
    return settings_class("decision", name)(**options)


def fitted(
    name: str,
    part: Part,
    classes: Sequence[str],
    *,
    seed: int = 0,
    given: Images | None = None,
    **options: Any,
) -> Any:
    """The decision of that name with these options, fitted on a part and on the reference images `given`."""
    own = settings(name, **options)
    fitting = Fitting(part=part, classes=tuple(classes), seed=seed, reference=given)
    return part_of(own).fit(own, fitting)


def answers(decision: Decision, points: np.ndarray) -> Answers:
    return decision.predict(asked(points))


def clustering(name: str, clusters: int, *, seed: int = 0, **options: Any) -> Any:
    own = settings(name, **options)
    return part_of(own)(settings=own, clusters=clusters, seed=seed)


def finished_run(
    folder: Path, labels: dict[str, str], *, task: str = "subset", state: str = "finished"
) -> Path:
    """A run folder with these predictions."""
    folder.mkdir()
    (folder / "config.yaml").write_text(f"task: {task}\n")
    (folder / "status.json").write_text(json.dumps({"state": state}))
    rows = "".join(f"{name},{label},0.5\n" for name, label in labels.items())
    (folder / "predictions.csv").write_text(f"id,label,score_t1\n{rows}")
    return folder
