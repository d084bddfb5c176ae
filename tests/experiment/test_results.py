"""Tests of what a run leaves in its folder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fingerprints.experiment.results import conclude
from fingerprints.reporting.figures import score
from tests.compose import settings


def test_a_verdict_knows_groups_that_used_and_not_used_images_share(detected: Any, usage_root: Any) -> None:
    root = usage_root()
    index, store, detections, _ = detected(root, "usage")
    given = settings("experiment=siamese_subtask1", f"data.root={root}", "data.size=48")
    scores = score(index, store, detections, settings=given.evidence, seed=0)
    apart = conclude(index, scores, clustered=False)
    table = index.table.copy()
    table.loc[table["label"] == "used", "group"] = table.loc[table["label"] == "not_used", "group"].iloc[0]
    shared = conclude(replace(index, table=table), scores, clustered=False)
    assert apart.level == shared.level
    assert apart.headline == shared.headline
    assert apart.notes != shared.notes
