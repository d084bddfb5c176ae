"""Figures from the content of `metrics.json`: by generator, over all of them, and the one to maximise.

A section (`test`, `validation`, a baseline) holds its metrics. With several generators it holds one
section for each generator, and their mean under `MEAN`.
"""

from __future__ import annotations

from typing import Any

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import get_task

Document = dict[str, Any]
MEAN = "mean"
PARTS = ("validation", "test")


def by_generator(section: Document) -> dict[str, Document]:
    """A section by generator: `''` if there is only one, else their names and `MEAN`; may be empty."""
    if not section:
        return {}
    return {"": section} if all("value" in figure for figure in section.values()) else section


def overall(section: Document) -> Document:
    """The metrics of the one generator, or the recorded mean over several; empty if there are none."""
    levels = by_generator(section)
    return levels.get("", levels.get(MEAN, {}))


def figure(section: Document, name: str) -> Document | None:
    """One metric of a section; with several generators their mean (recorded, or else computed here).

    Args:
        section: One part of `metrics.json`.
        name: The metric.

    Returns:
        `value`, `low`, `high` and more. If it could not be estimated for at least one of the generators,
        `value` is `None` and there is a `reason`. `None` if there is no such metric.
    """
    if name in (recorded := overall(section)):
        return recorded[name]
    found = [level[name] for level in by_generator(section).values() if name in level]
    missing = [one for one in found if one["value"] is None]
    if missing or not found:
        return missing[0] if missing else None
    return {"value": sum(one["value"] for one in found) / len(found), "low": None, "high": None}


def objective(document: Document, metric: str | None = None) -> float:
    """A figure from `metrics.json` that a search maximises.

    Args:
        document: What `metrics.json` holds.
        metric: Part and name, such as `validation.accuracy`; `None`: the task's `objective` on validation.
            A search on `test` figures makes its choice on the test part, which is then no fair test.

    Returns:
        Its value; with several generators the mean over them.

    Raises:
        FingerprintsError: If there is no such figure, or it could not be estimated; lists the known ones.
    """
    if metric is None:
        metric = f"validation.{get_task(document['task']).objective}"
    part, _, name = metric.partition(".")
    found = figure(document.get(part) or {}, name) if part in PARTS else None
    if found is not None and found.get("value") is not None:
        return float(found["value"])
    there = ", ".join(_estimated(document))
    why = "is not among the figures" if found is None else f"has no value: {found.get('reason')}"
    raise FingerprintsError(
        f"'{metric}' {why}.",
        where="objective",
        fix=f"one of {there}" if there else "hold images out (data.validation, data.fold)",
    )


def _estimated(document: Document) -> list[str]:
    """Part and name of every figure that has a value."""
    names = []
    for part in PARTS:
        section = document.get(part) or {}
        metrics = dict.fromkeys(name for level in by_generator(section).values() for name in level)
        for name in metrics:
            found = figure(section, name)
            if found is not None and found.get("value") is not None:
                names.append(f"{part}.{name}")
    return names
