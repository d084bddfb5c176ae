"""Tables of a sweep's jobs, and figures over seeds and folds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from fingerprints.runs.folder import read_sweep
from fingerprints.runs.sweeps import aggregate, sweep_table, table_lines, write_table
from tests.runs.conftest import AddJob, settings


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


class TestTable:
    def test_columns_are_what_varies_and_the_figures_of_the_tasks(
        self, folder: Path, two_tasks: None
    ) -> None:
        table = sweep_table(read_sweep(folder))
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
        row = sweep_table(read_sweep(folder)).set_index("job").loc["7"]
        told = (row["state"], row["task"], row["experiment"], row["training.margin"], row["seed"])
        assert told == ("failed", "subset", "siamese_subtask2", 0.5, 1)
        assert row["error"] == "An image cannot be read."
        assert pd.isna(row["test.accuracy"])

    def test_without_overrides_the_leaves_that_differ(self, folder: Path, add_job: AddJob) -> None:
        for seed, fold in ((0, 0), (0, 1)):
            config = settings(seed, fold=fold, root="B") | {"run_dir": f"out/{fold}"}
            add_job(str(fold), None, config=config)
        table = sweep_table(read_sweep(folder))
        assert list(table.columns[3:-2]) == [
            "data.fold",
            *(f"{p}.accuracy{s}" for p in ("validation", "test") for s in ("", "_low", "_high")),
        ]
        assert table["data.fold"].tolist() == [0, 1]

    def test_a_group_is_named_by_its_option(self, folder: Path, add_job: AddJob) -> None:
        for number, pairing in enumerate(("all", "random")):
            words = [f"pairing={pairing}", f"hydra.sweep.dir={number}", f"run_dir=out{number}", "sweep=grid"]
            add_job(str(number), overrides=words, config=settings(0, pairing=pairing))
        table = sweep_table(read_sweep(folder))
        assert table["pairing"].tolist() == ["all", "random"]
        assert list(table.columns[3:4]) == ["pairing"]
        assert "run_dir" not in table

    def test_the_official_figure_is_that_of_the_layout(self, folder: Path, add_job: AddJob) -> None:
        for seed in (0, 1):
            config = settings(seed, official="f1_used")
            add_job(str(seed), overrides=[f"seed={seed}"], task="usage", config=config, value=0.4)
        add_job("2", "failed", overrides=["seed=2"], error="no")
        table = sweep_table(read_sweep(folder))
        assert table["test.f1_used"].tolist()[:2] == [0.4, 0.4]
        assert "test.kappa" not in table
        assert aggregate(table)["figure"].tolist() == [
            f"{part}.{name}" for part in ("validation", "test") for name in ("f1_used", "auc")
        ]
        assert "test f1_used" in table_lines(read_sweep(folder))[1]

    def test_several_generators_show_their_mean(self, folder: Path, add_job: AddJob) -> None:
        add_job("0", task="usage", config=settings(0), value=0.4, generators=("a", "b"))
        row = sweep_table(read_sweep(folder)).iloc[0]
        assert row["test.kappa"] == pytest.approx(0.45)
        assert pd.isna(row["test.kappa_low"])


class TestAggregate:
    def test_over_seeds_by_hand(self, folder: Path, two_tasks: None) -> None:
        summary = aggregate(sweep_table(read_sweep(folder)))
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
        summary = aggregate(sweep_table(read_sweep(folder)))
        figures = summary.groupby("task")["figure"].unique()
        assert set(figures["subset"]) == {"validation.accuracy", "test.accuracy"}
        assert set(figures["usage"]) == {f"{p}.{n}" for p in ("validation", "test") for n in ("kappa", "auc")}

    def test_folds_and_seeds_are_one_sample(self, folder: Path, add_job: AddJob) -> None:
        for number, (seed, fold) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
            words = [f"seed={seed}", f"data.fold={fold}"]
            add_job(str(number), overrides=words, config=settings(seed, fold=fold), value=0.5 + 0.1 * fold)
        summary = aggregate(sweep_table(read_sweep(folder)))
        assert list(summary["figure"]) == ["validation.accuracy", "test.accuracy"]
        assert summary["n"].tolist() == [4, 4]
        assert summary["mean"].tolist() == [pytest.approx(0.6), pytest.approx(0.55)]
        assert "seed" not in summary

    def test_one_job_has_no_spread_and_none_no_mean(self, folder: Path, add_job: AddJob) -> None:
        add_job("0", overrides=["pairing=all"], config=settings(0), value=0.5)
        add_job("1", "failed", overrides=["pairing=random"], error="no")
        by = aggregate(sweep_table(read_sweep(folder))).set_index(["pairing", "figure"])
        assert by.loc[("all", "test.accuracy"), "mean"] == 0.5
        assert pd.isna(by.loc[("all", "test.accuracy"), "std"])
        assert by.loc[("random", "test.accuracy"), "n"] == 0
        assert pd.isna(by.loc[("random", "test.accuracy"), "mean"])


class TestText:
    def test_lines_fit_and_name_every_job(self, folder: Path, two_tasks: None) -> None:
        lines = table_lines(read_sweep(folder))
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
        lines = table_lines(read_sweep(folder))
        assert max(map(len, lines)) <= 110
        assert "0.500" in lines[2]

    def test_nothing_to_say(self, folder: Path, add_job: AddJob) -> None:
        assert table_lines([]) == []
        add_job("0", "failed", overrides=["seed=0"], error="A value is missing.")
        lines = table_lines(read_sweep(folder))
        assert lines[0] == "unknown task: 1 job: 1 failed"
        assert lines[-1].strip() == "A value is missing."

    def test_files(self, folder: Path, two_tasks: None) -> None:
        jobs = read_sweep(folder)
        page = write_table(folder, jobs)
        assert page == folder / "sweep.md"
        text = page.read_text()
        assert "12 jobs: 11 finished, 1 failed" in text
        assert text.count("| job | state |") == 2
        table = pd.read_csv(folder / "sweep.csv", dtype={"job": str}).fillna({"error": ""})
        pd.testing.assert_frame_equal(table, sweep_table(jobs), check_dtype=False)
        summary = pd.read_csv(folder / "sweep_summary.csv")
        assert summary["mean"].tolist() == pytest.approx(aggregate(sweep_table(jobs))["mean"].tolist())
        assert read_sweep(folder) == jobs  # what was written is not taken for a job

    def test_a_bar_does_not_break_the_page(self, folder: Path, add_job: AddJob) -> None:
        add_job("0", "failed", overrides=["seed=0"], error="a|b")
        assert "a\\|b" in write_table(folder, read_sweep(folder)).read_text()
