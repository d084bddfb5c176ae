"""Run folders as training leaves them, also unfinished ones and those of earlier versions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.runs.folder import (
    CONFIG,
    find_runs,
    leaves,
    natural_order,
    read_config,
    read_job,
    read_metrics,
    read_run,
    read_sweep,
    refuse_used_folder,
    short_names,
    write_config,
    write_metrics,
)
from fingerprints.runs.status import FAILED, FINISHED, REFUSED, new_status
from tests.runs.conftest import AddJob, document, settings


class TestReadRun:
    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        config = {"name": "x", "task": "subset", "data": {"root": "/tmp/Köln", "size": None}, "rate": 1e-4}
        write_config(tmp_path, config)
        write_metrics(tmp_path, document("subset", 0.5))
        assert (read_config(tmp_path), read_metrics(tmp_path)) == (config, document("subset", 0.5))
        run = read_run(tmp_path)
        assert (run.folder, run.name, run.experiment) == (tmp_path, tmp_path.name, "x")
        assert (run.state, run.task.official, run.seconds) == (FINISHED, "accuracy", 9.0)
        assert (run.config, run.metrics) == (config, document("subset", 0.5))

    def test_settings_and_figures_by_name(self, folder: Path, add_job: AddJob) -> None:
        run = read_run(add_job("0", task="usage", config=settings(3), value=0.4, generators=("a", "b")))
        assert (run.setting("seed"), run.setting("pairing.name"), run.setting("pairing.nam")) == (
            3,
            "all",
            None,
        )
        assert run.setting("seed.deeper") is None
        assert list(run.by_generator("test")) == ["a", "b"]
        assert run.figures("test") == run.figures("nothing") == {}
        kappa = run.figure("test", "kappa")
        assert kappa is not None
        assert kappa["value"] == pytest.approx(0.45)

    def test_relative_paths_belong_to_where_the_run_was_started(self, folder: Path, add_job: AddJob) -> None:
        run = read_run(add_job("0", config=settings(0), cwd=str(folder)))
        assert run.path("images") == folder / "images"
        assert run.path("/images") == Path("/images")
        assert read_run(add_job("1", config=settings(0))).path("images") == Path("images")

    def test_what_is_no_run_is_refused(self, folder: Path) -> None:
        with pytest.raises(FingerprintsError, match="no run folder"):
            read_run(folder)

    @pytest.mark.parametrize("text", ["a: [1", "a: ${nowhere}", "- a list", "\0"])
    def test_a_damaged_configuration_is_named(self, folder: Path, text: str) -> None:
        (folder / CONFIG).write_text(text)
        with pytest.raises(FingerprintsError, match="configuration cannot be read") as error:
            read_run(folder)
        assert error.value.where == str(folder / CONFIG)

    def test_a_used_folder_is_refused(self, folder: Path, add_job: AddJob) -> None:
        refuse_used_folder(folder)
        job = add_job("0", config=settings(0))
        with pytest.raises(FingerprintsError, match="already holds a run") as error:
            refuse_used_folder(job)
        assert f"resume={job}" in str(error.value)
        with pytest.raises(FingerprintsError, match="out=DIR"):
            refuse_used_folder(job, fix="out=DIR")

    def test_a_job_whose_folder_is_another_runs_does_not_speak_for_it(self, add_job: AddJob) -> None:
        job = add_job("0", config=settings(0), value=0.5)
        status = {**new_status(overrides=["seed=1"], job=0), "state": FAILED, "error": "another run"}
        (job / REFUSED).write_text(json.dumps(status))
        assert (read_run(job).state, read_run(job).setting("seed")) == (FINISHED, 0)
        refused = read_job(job)
        assert (refused.state, refused.error, refused.overrides) == (FAILED, "another run", ("seed=1",))
        assert refused.config == refused.metrics == {}
        assert refused.task_name == refused.experiment == ""


class TestFindRuns:
    def test_runs_come_once_and_sweeps_stand_for_their_jobs(self, folder: Path, add_job: AddJob) -> None:
        one = add_job("runs/one")
        jobs = [add_job(f"sweeps/monday/{i}") for i in (0, 2, 10)]
        (one / "checkpoints").mkdir()
        (folder / "runs" / "note.txt").write_text("not a run")

        def found(*patterns: str) -> list[Path]:
            return [run.folder for run in find_runs(patterns, within=folder)]

        assert found("sweeps/*") == found("sweeps/monday") == found("sweeps/monday/*") == jobs
        assert found(str(folder / "**")) == [one, *jobs]
        assert found("runs/*", "runs/one", "sweeps") == [one, *jobs]
        assert found("runs/*/*", "runs/one") == [one]

    @pytest.mark.parametrize(
        ("pattern", "message"),
        [("nowhere/*", "Nothing matches 'nowhere"), ("data*", "none of them is or holds a run")],
    )
    def test_a_glob_without_runs_is_an_error(self, folder: Path, pattern: str, message: str) -> None:
        (folder / "data").mkdir()
        with pytest.raises(FingerprintsError, match=message):
            find_runs([pattern], within=folder)

    def test_each_glob_must_match(self, folder: Path, add_job: AddJob) -> None:
        job = add_job("0", config={"task": "subset"})
        (folder.parent / "empty").mkdir()
        for patterns, said in [
            (["sweep/0", "nowhere"], "Nothing matches 'nowhere'"),
            (["sweep/*", "no/*", "nor[1]"], r"Nothing matches 'no/\*', 'nor\[1\]'"),
            (["sweep/0", "empty"], "'empty' matches 1 .* none of them is or holds a run"),
            ([], "Nothing matches an empty list"),
        ]:
            with pytest.raises(FingerprintsError, match=said):
                find_runs(patterns, within=folder.parent)
        assert [run.folder for run in find_runs(["sweep/0"], within=folder.parent)] == [job]

    def test_names_that_look_like_globs_are_literal_first(self, folder: Path, add_job: AddJob) -> None:
        jobs = {name: add_job(name, config={"task": "subset"}) for name in ("a[1]", "a1", "b[2]/x", "c1")}
        for pattern, expected in {
            "a[1]": "a[1]",
            "b[2]/*": "b[2]/x",
            "c[1]": "c1",
            str(folder / "a[1]"): "a[1]",
        }.items():
            assert [run.folder for run in find_runs([pattern], within=folder)] == [jobs[expected]]

    def test_links_that_lead_up_are_not_followed(self, folder: Path, add_job: AddJob) -> None:
        job = add_job("0", config={"task": "subset"})
        (folder / "again").symlink_to(folder)
        (folder / "itself").symlink_to("itself")
        assert [run.folder for run in read_sweep(folder)] == [job]
        assert [run.folder for run in find_runs(["*"], within=folder)] == [job]


class TestReadSweep:
    def test_numbers_count_as_numbers(self, folder: Path, add_job: AddJob) -> None:
        for name in ("10", "2", "0"):
            add_job(name)
        assert [job.name for job in read_sweep(folder)] == ["0", "2", "10"]

    def test_what_a_job_is(self, folder: Path, add_job: AddJob) -> None:
        add_job("0", overrides=["seed=3"], value=0.7, config=settings(3))
        (job,) = read_sweep(folder)
        assert (job.state, job.error, job.overrides, job.seconds) == ("finished", None, ("seed=3",), 12.0)
        assert (job.task_name, job.config["seed"]) == ("subset", 3)
        assert job.metrics["test"]["accuracy"]["value"] == 0.7

    def test_folders_of_any_name_up_to_three_levels_down(self, folder: Path, add_job: AddJob) -> None:
        add_job("b/seed_10")
        add_job("b/seed_9")
        add_job("a/x/y")
        add_job("a/x/z/too_deep")
        (add_job("c") / "checkpoints" / "0").mkdir(parents=True)
        (folder / ".submitit" / "0").mkdir(parents=True)
        found = [job.name for job in read_sweep(folder)]
        assert found == ["a/x/y", "b/seed_9", "b/seed_10", "c"]

    def test_a_process_that_is_gone_was_interrupted(self, folder: Path, add_job: AddJob) -> None:
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        add_job("0", "running", pid=gone.pid)
        add_job("1", "running")  # this process
        add_job("2", "running", pid=gone.pid, host="another machine")
        add_job("3", "stopped", pid=gone.pid)
        states = [job.state for job in read_sweep(folder)]
        assert states == ["interrupted", "running", "running", "stopped"]

    def test_folders_without_a_status(self, folder: Path, add_job: AddJob) -> None:
        add_job("0", None)
        add_job("1", None, config=settings(1))
        add_job("2", None, config=settings(2), value=0.5)
        found = [(job.state, job.seconds) for job in read_sweep(folder)]
        assert found == [("not started", None), ("interrupted", None), ("finished", 9.0)]

    def test_files_cut_off_are_as_if_absent(self, folder: Path, add_job: AddJob) -> None:
        job = add_job("0", config=settings(0), value=0.5)
        (job / "metrics.json").write_text('{"test": {')
        (found,) = read_sweep(folder)
        assert found.metrics == {}
        (job / "status.json").write_text("")
        assert read_sweep(folder)[0].state == "interrupted"

    def test_what_is_no_sweep_is_refused(self, folder: Path, add_job: AddJob) -> None:
        with pytest.raises(FingerprintsError, match="no such sweep folder"):
            read_sweep(folder / "nowhere")
        with pytest.raises(FingerprintsError, match="one run"):
            read_sweep(add_job("0"))
        (folder / "0" / "status.json").unlink()
        (folder / "0").rmdir()
        assert read_sweep(folder) == []


def test_names_in_their_natural_order() -> None:
    names = ["b", "a/10", "a/9", "seed_10", "seed_9", "10", "9"]
    found = sorted(map(Path, names), key=natural_order)
    assert list(map(str, found)) == ["9", "10", "a/9", "a/10", "b", "seed_9", "seed_10"]


def test_short_names_are_as_long_as_needed() -> None:
    paths = [Path("/x/a/0"), Path("/x/b/0")]
    assert short_names(paths) == ["a/0", "b/0"]
    assert short_names(paths[:1]) == ["0"]


def test_leaves_are_dotted_keys_and_lists_are_one_value() -> None:
    config = {"a": {"b": 1, "c": {"d": [1, {"e": 2}]}}, "f": None, "g": {}}
    assert dict(leaves(config)) == {"a.b": 1, "a.c.d": [1, {"e": 2}], "f": None}


def test_reading_a_folder_needs_nothing_heavy(folder: Path, add_job: AddJob) -> None:
    job = add_job("0", config=settings(0), value=0.5)
    code = (
        "import sys; from fingerprints.runs.folder import read_run\n"
        "assert 'omegaconf' not in sys.modules\n"
        "assert read_run(sys.argv[1]).metrics\n"
        "assert not {'torch', 'pandas', 'numpy', 'hydra'} & set(sys.modules)"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(job)], check=True, cwd=root)
