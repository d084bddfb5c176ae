"""Sweep folders as a wrapper leaves them: jobs, tables, aggregates, and what a search maximises."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import TASKS
from fingerprints.detector import saved as runs
from fingerprints.runs import sweeps
from fingerprints.runs.sweeps import aggregate, objective, read_jobs, sweep_table, table_lines, write_table

AddJob = Callable[..., Path]


def figure(value: float | None, **more: Any) -> dict[str, Any]:
    around = (None, None) if value is None else (value - 0.1, value + 0.1)
    return {"value": value, "low": around[0], "high": around[1], "p": 0.5, **more}


def document(task: str, value: float, *, generators: tuple[str, ...] = ()) -> dict[str, Any]:
    names = {"subset": ("accuracy", "f1"), "usage": ("accuracy", "kappa", "auc")}[task]

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
                "host": socket.gethostname(),
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


@pytest.fixture
def two_tasks(add_job: AddJob) -> None:
    """12 jobs: two experiments of two tasks, two margins, three seeds; one failed early."""
    number = 0
    for experiment, task in (("siamese_subtask1", "usage"), ("siamese_subtask2", "subset")):
        for margin in (0.5, 1.0):
            for seed in range(3):
                words = [
                    f"experiment={experiment}",
                    f"training.margin={margin}",
                    f"seed={seed}",
                    "data.root=B",
                ]
                config = {"name": experiment, "seed": seed, "training": {"margin": margin}}
                if number == 7:
                    text = "An image cannot be read.\n  where: a.png"
                    add_job("7", "failed", overrides=words, error=text, seconds=1.0)
                else:
                    value = 0.5 + 0.1 * margin + 0.01 * seed
                    add_job(str(number), overrides=words, value=value, task=task, config=config)
                number += 1


class TestReadJobs:
    def test_numbers_count_as_numbers(self, folder: Path, add_job: AddJob) -> None:
        for name in ("10", "2", "0"):
            add_job(name)
        assert [job.number for job in read_jobs(folder)] == [0, 2, 10]

    def test_what_a_job_is(self, folder: Path, add_job: AddJob) -> None:
        add_job("0", overrides=["seed=3"], value=0.7, config=settings(3))
        (job,) = read_jobs(folder)
        assert (job.state, job.error, job.overrides, job.seconds) == ("finished", None, ("seed=3",), 12.0)
        assert (job.task, job.config["seed"]) == ("subset", 3)
        assert job.metrics is not None
        assert job.metrics["test"]["accuracy"]["value"] == 0.7

    def test_folders_of_any_name_up_to_three_levels_down(self, folder: Path, add_job: AddJob) -> None:
        add_job("b/seed_10")
        add_job("b/seed_9")
        add_job("a/x/y")
        add_job("a/x/z/too_deep")
        (add_job("c") / "checkpoints" / "0").mkdir(parents=True)
        (folder / ".submitit" / "0").mkdir(parents=True)
        found = [(job.number, job.name) for job in read_jobs(folder)]
        assert found == [(0, "a/x/y"), (1, "b/seed_9"), (2, "b/seed_10"), (3, "c")]

    def test_a_process_that_is_gone_was_interrupted(self, folder: Path, add_job: AddJob) -> None:
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        add_job("0", "running", pid=gone.pid)
        add_job("1", "running")  # this process
        add_job("2", "running", pid=gone.pid, host="another machine")
        add_job("3", "stopped", pid=gone.pid)
        states = [job.state for job in read_jobs(folder)]
        assert states == ["interrupted", "running", "running", "stopped"]

    def test_folders_without_a_status(self, folder: Path, add_job: AddJob) -> None:
        add_job("0", None)
        add_job("1", None, config=settings(1))
        add_job("2", None, config=settings(2), value=0.5)
        found = [(job.state, job.seconds) for job in read_jobs(folder)]
        assert found == [("not started", None), ("interrupted", None), ("finished", 9.0)]

    def test_files_cut_off_are_as_if_absent(self, folder: Path, add_job: AddJob) -> None:
        job = add_job("0", config=settings(0), value=0.5)
        (job / "metrics.json").write_text('{"test": {')
        (found,) = read_jobs(folder)
        assert found.metrics is None
        (job / "status.json").write_text("")
        assert read_jobs(folder)[0].state == "interrupted"

    def test_what_is_no_sweep_is_refused(self, folder: Path, add_job: AddJob) -> None:
        with pytest.raises(FingerprintsError, match="no such sweep folder"):
            read_jobs(folder / "nowhere")
        with pytest.raises(FingerprintsError, match="one run"):
            read_jobs(add_job("0"))
        (folder / "0" / "status.json").unlink()
        (folder / "0").rmdir()
        assert read_jobs(folder) == []


class TestTable:
    def test_columns_are_what_varies_and_the_figures_of_the_tasks(
        self, folder: Path, two_tasks: None
    ) -> None:
        table = sweep_table(read_jobs(folder))
        keys = ["experiment", "training.margin", "seed"]
        assert list(table.columns[: 3 + len(keys)]) == ["job", "state", "task", *keys]
        assert len(table) == 12
        first = table.iloc[0]
        assert (first["task"], first["training.margin"], first["seed"]) == ("usage", 0.5, 0)
        assert first["test.kappa"] == pytest.approx(0.55)
        assert first["test.kappa_low"] == pytest.approx(0.45)
        assert first["validation.auc_high"] == pytest.approx(0.7)
        assert pd.isna(first["test.accuracy"])  # measured too, but not what its task is about

    def test_a_job_that_failed_early_is_told_by_its_overrides(self, folder: Path, two_tasks: None) -> None:
        row = sweep_table(read_jobs(folder)).set_index("job").loc["7"]
        told = (row["state"], row["task"], row["experiment"], row["training.margin"], row["seed"])
        assert told == ("failed", "subset", "siamese_subtask2", 0.5, 1)
        assert row["error"] == "An image cannot be read."
        assert pd.isna(row["test.accuracy"])

    def test_without_overrides_the_leaves_that_differ(self, folder: Path, add_job: AddJob) -> None:
        for seed, fold in ((0, 0), (0, 1)):
            config = settings(seed, fold=fold, root="B") | {"run_dir": f"out/{fold}"}
            add_job(str(fold), None, config=config)
        table = sweep_table(read_jobs(folder))
        assert list(table.columns[3:-2]) == [
            "data.fold",
            *(f"{p}.accuracy{s}" for p in ("validation", "test") for s in ("", "_low", "_high")),
        ]
        assert table["data.fold"].tolist() == [0, 1]

    def test_a_group_is_named_by_its_option(self, folder: Path, add_job: AddJob) -> None:
        for number, pairing in enumerate(("all", "random")):
            words = [f"pairing={pairing}", f"hydra.sweep.dir={number}", f"run_dir=out{number}", "sweep=grid"]
            add_job(str(number), overrides=words, config=settings(0, pairing=pairing))
        table = sweep_table(read_jobs(folder))
        assert table["pairing"].tolist() == ["all", "random"]
        assert list(table.columns[3:4]) == ["pairing"]
        assert "run_dir" not in table

    def test_several_generators_show_their_mean(self, folder: Path, add_job: AddJob) -> None:
        add_job("0", task="usage", config=settings(0), value=0.4, generators=("a", "b"))
        row = sweep_table(read_jobs(folder)).iloc[0]
        assert row["test.kappa"] == pytest.approx(0.45)
        assert pd.isna(row["test.kappa_low"])

    def test_figures_are_those_that_the_tasks_rank_by(self) -> None:
        assert {task: names[0] for task, names in sweeps.FIGURES.items()} == {
            name: task.official for name, task in TASKS.items()
        }
        assert (sweeps.CONFIG, sweeps.METRICS) == (runs.CONFIG, runs.METRICS)


class TestAggregate:
    def test_over_seeds_by_hand(self, folder: Path, two_tasks: None) -> None:
        summary = aggregate(sweep_table(read_jobs(folder)))
        assert len(summary) == 2 * 4 + 2 * 2  # usage has two figures, subset one; each of two parts
        by = summary.set_index(["experiment", "training.margin", "figure"])
        row = by.loc[("siamese_subtask1", 1.0, "test.auc")]
        assert (row["jobs"], row["finished"], row["failed"], row["n"]) == (3, 3, 0, 3)
        # 0.60, 0.61, 0.62
        assert (row["mean"], row["std"]) == (pytest.approx(0.61), pytest.approx(0.01))
        assert (row["min"], row["max"]) == (pytest.approx(0.60), pytest.approx(0.62))
        row = by.loc[("siamese_subtask2", 0.5, "test.accuracy")]
        assert (row["jobs"], row["finished"], row["failed"], row["n"]) == (3, 2, 1, 2)
        assert row["mean"] == pytest.approx((0.55 + 0.57) / 2)

    def test_tasks_do_not_mix(self, folder: Path, two_tasks: None) -> None:
        summary = aggregate(sweep_table(read_jobs(folder)))
        figures = summary.groupby("task")["figure"].unique()
        assert set(figures["subset"]) == {"validation.accuracy", "test.accuracy"}
        assert set(figures["usage"]) == {f"{p}.{n}" for p in ("validation", "test") for n in ("kappa", "auc")}

    def test_folds_and_seeds_are_one_sample(self, folder: Path, add_job: AddJob) -> None:
        for number, (seed, fold) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
            words = [f"seed={seed}", f"data.fold={fold}"]
            add_job(str(number), overrides=words, config=settings(seed, fold=fold), value=0.5 + 0.1 * fold)
        summary = aggregate(sweep_table(read_jobs(folder)))
        assert list(summary["figure"]) == ["validation.accuracy", "test.accuracy"]
        assert summary["n"].tolist() == [4, 4]
        assert summary["mean"].tolist() == [pytest.approx(0.6), pytest.approx(0.55)]
        assert "seed" not in summary

    def test_one_job_has_no_spread_and_none_no_mean(self, folder: Path, add_job: AddJob) -> None:
        add_job("0", overrides=["pairing=all"], config=settings(0), value=0.5)
        add_job("1", "failed", overrides=["pairing=random"], error="no")
        by = aggregate(sweep_table(read_jobs(folder))).set_index(["pairing", "figure"])
        assert by.loc[("all", "test.accuracy"), "mean"] == 0.5
        assert pd.isna(by.loc[("all", "test.accuracy"), "std"])
        assert by.loc[("random", "test.accuracy"), "n"] == 0
        assert pd.isna(by.loc[("random", "test.accuracy"), "mean"])


class TestText:
    def test_lines_fit_and_name_every_job(self, folder: Path, two_tasks: None) -> None:
        lines = table_lines(read_jobs(folder))
        assert max(map(len, lines)) <= 110
        assert lines[0] == "usage, experiment siamese_subtask1: 6 jobs: 6 finished"
        assert [line.split()[:2] for line in lines[2:8]] == [[str(n), "finished"] for n in range(6)]
        text = "\n".join(lines)
        assert "0.610 ± 0.010" in text
        assert "subset, experiment siamese_subtask2: 6 jobs: 5 finished, 1 failed" in text
        assert "An image cannot be read." in text
        assert "where: a.png" not in text

    def test_long_settings_cost_the_intervals_not_the_width(self, folder: Path, add_job: AddJob) -> None:
        for number in range(3):
            words = [
                f"data.root=/a/rather/long/folder/of/images/{number}",
                f"encoder.weights=/w/{number}" * 4,
            ]
            add_job(str(number), overrides=words, task="usage", value=0.5, config={"name": "x"})
        lines = table_lines(read_jobs(folder))
        assert max(map(len, lines)) <= 110
        assert "0.500" in lines[2]

    def test_nothing_to_say(self, folder: Path, add_job: AddJob) -> None:
        assert table_lines([]) == []
        add_job("0", "failed", overrides=["seed=0"], error="A value is missing.")
        lines = table_lines(read_jobs(folder))
        assert lines[0] == "unknown task: 1 job: 1 failed"
        assert lines[-1].strip() == "A value is missing."

    def test_files(self, folder: Path, two_tasks: None) -> None:
        jobs = read_jobs(folder)
        page = write_table(folder, jobs)
        assert page == folder / "sweep.md"
        text = page.read_text()
        assert "12 jobs: 11 finished, 1 failed" in text
        assert text.count("| job | state |") == 2
        table = pd.read_csv(folder / "sweep.csv", dtype={"job": str}).fillna({"error": ""})
        pd.testing.assert_frame_equal(table, sweep_table(jobs), check_dtype=False)
        summary = pd.read_csv(folder / "sweep_summary.csv")
        assert summary["mean"].tolist() == pytest.approx(aggregate(sweep_table(jobs))["mean"].tolist())
        assert read_jobs(folder) == jobs  # what was written is not taken for a job

    def test_a_bar_does_not_break_the_page(self, folder: Path, add_job: AddJob) -> None:
        add_job("0", "failed", overrides=["seed=0"], error="a|b")
        assert "a\\|b" in write_table(folder, read_jobs(folder)).read_text()


class TestObjective:
    def test_a_figure_by_name(self) -> None:
        assert objective(document("subset", 0.5), "test.f1") == 0.5

    def test_validation_is_the_default(self) -> None:
        assert objective(document("subset", 0.5)) == pytest.approx(0.55)
        usage = document("usage", 0.5)
        usage["validation"]["auc"] = figure(0.9)
        assert objective(usage) == 0.9

    def test_mean_over_generators(self) -> None:
        several = document("usage", 0.5, generators=("a", "b"))
        assert objective(several, "test.kappa") == pytest.approx(0.55)
        several["test"]["mean"] = {"kappa": figure(0.1)}  # as recorded, where it was
        assert objective(several, "test.kappa") == 0.1
        several["validation"]["a"]["pair_accuracy"] = figure(0.25)
        assert objective(several, "validation.pair_accuracy") == 0.25

    @pytest.mark.parametrize("metric", ["validation.acuracy", "accuracy", "baselines.accuracy", "test"])
    def test_unknown_figures_name_those_there_are(self, metric: str) -> None:
        with pytest.raises(FingerprintsError, match="not among") as caught:
            objective(document("subset", 0.5), metric)
        assert caught.value.fix == "one of validation.accuracy, validation.f1, test.accuracy, test.f1"

    @pytest.mark.parametrize("generators", [(), ("a", "b")])
    def test_a_figure_without_a_value_says_why(self, generators: tuple[str, ...]) -> None:
        found = document("usage", 0.5, generators=generators)
        level = found["validation"].get("a", found["validation"])
        level["auc"] = figure(None, reason="one class only")
        with pytest.raises(FingerprintsError, match="one class only"):
            objective(found, "validation.auc")

    def test_nothing_held_out(self) -> None:
        with pytest.raises(FingerprintsError) as caught:
            objective({"task": "subset", "validation": {}, "test": {}})
        assert "data.validation" in str(caught.value)
