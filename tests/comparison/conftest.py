"""Run folders written by hand: no training, and every figure is known."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fingerprints.comparison.systems import DataSet, data_sets, finished
from fingerprints.core.tasks import get_task
from fingerprints.runs.folder import find_runs

CLASSES = ("t1", "t2", "t3")


def figure(
    value: float | None, low: float | None = None, high: float | None = None, **more: Any
) -> dict[str, Any]:
    """An estimate as `metrics.json` writes it."""
    return {"value": value, "low": low, "high": high, "p": 0.01, **more}


def _lines(path: Path, rows: Sequence[Sequence[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)


class Workshop:
    """Makes data folders (truth, no pixels) and runs on them below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def truth(self, *, n: int = 60, task: str = "subset", name: str = "data") -> list[str]:
        """Write a truth file and return its labels; label i is that of image `g<i>`."""
        classes = get_task(task).classes or CLASSES
        labels = [classes[i % len(classes)] for i in range(n)]
        rows = [[f"g{i}", get_task(task).to_run(label)] for i, label in enumerate(labels)]
        _lines(self.folder / name / "test_truth.csv", rows)
        return labels

    def run(
        self,
        where: str,
        answers: Sequence[str],
        *,
        task: str = "subset",
        experiment: str = "siamese_subtask2",
        seed: int = 0,
        data: str = "data",
        fingerprint: str | None = None,
        state: str = "finished",
        test: dict[str, Any] | None = None,
        validation: dict[str, Any] | None = None,
        baselines: dict[str, Any] | None = None,
        sources: Sequence[dict[str, Any]] = (),
        shuffle: bool = False,
        reference: str | None = None,
        official: str | None = None,
        **config: Any,
    ) -> Path:
        """Write a run folder whose test figures are those of its answers unless given.

        The data fingerprint is another for every folder of data, seed and shuffle, as in real runs.
        """
        fingerprint = f"{data} {seed} {shuffle}" if fingerprint is None else fingerprint
        folder, metric = self.folder / where, get_task(task, official=official).official
        folder.mkdir(parents=True)
        settings = {
            "name": experiment,
            "task": task,
            "seed": seed,
            "run_dir": str(folder),
            "data": {
                "name": "layout",
                "root": str(self.folder / data),
                "size": 64,
                "sources": list(sources),
                "truth": "test_truth.csv",
                "groups": None,
                "reference": reference,
                "official": official,
                "shuffle_labels": shuffle,
            },
            "encoder": {"name": "siamese_cnn", "weights": None},
            "decision": {"name": "centroid"},
            "published": {"source": "", "test": {}},
        } | config
        (folder / "config.yaml").write_text(yaml.safe_dump(settings))
        status = {"state": state, "error": "out of memory\nat line 3" if state == "failed" else None}
        (folder / "status.json").write_text(json.dumps(status | {"overrides": [], "cwd": str(self.folder)}))
        if state != "finished":
            return folder
        if test is None:
            with (self.folder / data / "test_truth.csv").open() as handle:
                truth = [row[1] for row in csv.reader(handle)]
            right = float(
                np.mean([get_task(task).to_run(a) == t for a, t in zip(answers, truth, strict=True)])
            )
            test = {metric: figure(right, right - 0.1, right + 0.1, chance=1 / 3)}
        document = {
            "task": task,
            "experiment": experiment,
            "validation": validation or {},
            "test": test,
            "baselines": baselines or {},
            "controls": {},
            "run": {"data_fingerprint": fingerprint},
        }
        (folder / "metrics.json").write_text(json.dumps(document))
        _lines(
            folder / "run.csv", [[f"g{i}", get_task(task).to_run(label)] for i, label in enumerate(answers)]
        )
        return folder

    def plan(
        self, name: str, *, seed: int, steps: int = 8, images: str = "real", below: tuple[str, ...] = ()
    ) -> None:
        """Write into a data folder what `simulate` writes about its benchmark, and its generator's faults."""
        settings = {"seed": seed, "steps": steps}
        facts = {"format": 2, "settings": settings, "images": {"fingerprint": images}}
        facts["generators"] = {"gan": {"quality": {"below_floor": list(below)}}}
        (self.folder / name / "benchmark.json").write_text(json.dumps(facts))

    def sets(self, pattern: str = "runs/*", **options: Any) -> list[DataSet]:
        """The finished runs by task and data."""
        return data_sets(finished(find_runs([pattern], within=self.folder))[0], **options)

    def only_set(self) -> DataSet:
        """All finished runs, which are of one task and on the same data."""
        (data,) = self.sets()
        return data


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A place to make runs in."""
    return Workshop(tmp_path)


@pytest.fixture
def wrong() -> Callable[..., list[str]]:
    """`wrong(truth, share, seed=0)`: the labels with that share of them replaced by the next class."""

    def make(
        truth: Sequence[str], share: float, *, seed: int = 0, classes: Sequence[str] = CLASSES
    ) -> list[str]:
        picked = np.random.default_rng(seed).permutation(len(truth))[: round(share * len(truth))]
        after = dict(zip(classes, [*classes[1:], classes[0]], strict=True))
        return [after[label] if i in set(picked.tolist()) else label for i, label in enumerate(truth)]

    return make


@pytest.fixture
def planned(workshop, wrong):
    """Two systems on four benchmarks of one plan, better on average by 0.1, but not on every benchmark."""
    for seed, (good, bad) in enumerate([(0.1, 0.35), (0.3, 0.25), (0.1, 0.3), (0.3, 0.3)]):
        truth = workshop.truth(n=200, name=f"b{seed}")
        workshop.plan(f"b{seed}", seed=seed)
        for name, share in (("good", good), ("bad", bad)):
            answers = wrong(truth, share, seed=seed + 10 * (name == "bad"))
            workshop.run(f"runs/{name}{seed}", answers, experiment=name, data=f"b{seed}")
    return workshop
