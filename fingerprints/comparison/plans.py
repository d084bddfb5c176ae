"""Which data sets are simulated benchmarks of one plan: the same settings and real images, another seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fingerprints.data.embedded import FACTS
from fingerprints.runs.folder import RunRecord


class _Plan(NamedTuple):
    """All settings of a simulation but its seed, and the seed."""

    settings: str
    seed: Any


def same_plans(sets: Sequence[Sequence[RunRecord]]) -> list[list[int]]:
    """Places of data sets that belong together, in order; a data set without a like is alone.

    `simulate` records its settings and the fingerprint of its real images. Benchmarks that differ in the seed
    alone have generators that were trained again, each on another choice of these images. Data sets with
    equal seeds are not joined: they are versions of one benchmark, and not a sample.

    Args:
        sets: Runs of each data set.
    """
    plans = [_plan(members) for members in sets]
    by_settings: dict[str, list[int]] = {}
    for place, plan in enumerate(plans):
        by_settings.setdefault(f"alone {place}" if plan is None else plan.settings, []).append(place)
    found: list[list[int]] = []
    for places in by_settings.values():
        seeds = [plan.seed for place in places if (plan := plans[place]) is not None]
        found += [places] if len(set(map(str, seeds))) == len(seeds) else [[place] for place in places]
    return sorted(found)


def _plan(members: Sequence[RunRecord]) -> _Plan | None:
    """The plan of the benchmark that a data set is; `None` if nothing says that it is one."""
    first = members[0]
    roots = [first.setting(key) for key in ("data.root", "data.test_root")]
    if roots[0] is None or roots[1] is not None:  # two folders: the plan of one says nothing about the other
        return None
    try:
        facts = json.loads((Path(first.path(str(roots[0]))) / FACTS).read_text())
        settings = dict(facts["settings"])
        seed = settings.pop("seed")
        same = [first.task_name, first.setting("data.name"), facts["format"], settings, facts.get("control")]
        return _Plan(json.dumps([*same, facts["images"]["fingerprint"]], sort_keys=True), seed)
    except (OSError, ValueError, KeyError, TypeError):
        return None
