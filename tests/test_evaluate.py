"""The command that scores a run file: what it prints and writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fingerprints import evaluate
from fingerprints.config.launch import Place
from fingerprints.config.roots import EvaluateSettings

CLASSES = ("t1", "t2")


@pytest.fixture
def files(tmp_path: Path, write_rows: Any) -> dict[str, Any]:
    """Twenty images of two classes and ten patients; every fourth is labelled wrongly."""
    names = [f"i{number:02d}" for number in range(20)]
    truth = [CLASSES[number % 2] for number in range(20)]
    answers = [CLASSES[(number + (number % 4 == 0)) % 2] for number in range(20)]
    write_rows(tmp_path / "truth.csv", list(zip(names, truth, strict=True)))
    write_rows(tmp_path / "run.csv", list(zip(names, answers, strict=True)))
    table = [(f"{name}.png", f"p{number // 2}") for number, name in enumerate(names)]
    write_rows(tmp_path / "groups.csv", [("file", "group"), *table])
    return {
        "task": "subset",
        "predictions": tmp_path / "run.csv",
        "truth": tmp_path / "truth.csv",
        "permutations": 19,
    }


def run(folder: Path, **given: Any) -> None:
    evaluate._job(EvaluateSettings(**given), Place(folder))


def test_figures_are_written_where_asked_and_printed(
    files: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "figures.json"
    run(tmp_path, **files, out=out)
    document = json.loads(out.read_text())
    assert (document["task"], document["n"], document["n_groups"]) == ("subset", 20, 20)
    accuracy = document["test"]["accuracy"]
    assert accuracy["value"] == pytest.approx(15 / 20)
    lines = capsys.readouterr().out.splitlines()
    assert "20 images in 20 groups" in lines[0]
    (line,) = (line.split() for line in lines if line.split()[0] == "accuracy")
    assert line[1] == "0.7500"
    assert line[2:4] == [f"[{accuracy['low']:.4f},", f"{accuracy['high']:.4f}]"]


def test_a_figure_that_cannot_be_had_says_why(
    files: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("truth", "predictions"):
        files[name].write_text("".join(f"i{number:02d},t1\n" for number in range(20)))
    run(tmp_path, **files, out=tmp_path / "figures.json")
    figures = json.loads((tmp_path / "figures.json").read_text())["test"]
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[1:]}
    assert lines.keys() == figures.keys()
    lacking = {name for name, figure in figures.items() if figure["value"] is None}
    assert lacking
    assert "accuracy" not in lacking
    for name in lacking:
        assert figures[name]["reason"]
        assert lines[name].endswith(f"-  {figures[name]['reason']}")


def test_patients_are_counted_and_nothing_is_written_unasked(
    files: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.iterdir())
    run(tmp_path, **files, groups=tmp_path / "groups.csv")
    assert "20 images in 10 groups" in capsys.readouterr().out
    assert sorted(tmp_path.iterdir()) == before


def test_headers_and_empty_groups_are_noted_and_count_as_nothing(
    files: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, **files)
    plain = capsys.readouterr()
    assert plain.err == ""
    for name in ("truth", "predictions"):
        files[name].write_text("image_path,predicted_class\n" + files[name].read_text())
    groups = tmp_path / "groups.csv"
    groups.write_text(groups.read_text().replace(",p0", ","))
    run(tmp_path, **files)
    headed = capsys.readouterr()
    assert headed.out == plain.out
    assert headed.err.splitlines() == [
        f"note: line 1 of {name}.csv (image_path,predicted_class) was read as a header"
        for name in ("truth", "run")
    ]
    run(tmp_path, **files, groups=groups)
    noted = capsys.readouterr()
    assert "20 images in 11 groups" in noted.out
    assert "note: 2 image(s) have an empty group in groups.csv" in noted.err


def test_the_command_reads_tables_of_other_programs(tmp_path: Path) -> None:
    rows = [("NA", 1), ("001", 0), ("x.png.jpg", 1), ('"a,b.png"', 0), ("id", 1), ("nan", 0)]
    truth = "".join(f"{name},{label}\n" for name, label in rows)
    (tmp_path / "truth.csv").write_text("\ufeffimage_path,used?\n" + truth, newline="\r\n")
    scored = "".join(f"{name};{label};{label}.5\n" for name, label in reversed(rows))
    (tmp_path / "run.csv").write_text("image_path;used?;score\n" + scored)
    groups = (f"{name},{'p ' if at < 2 else ''}\n" for at, (name, _) in enumerate(rows))
    (tmp_path / "groups.csv").write_text("".join(groups))
    command = "task=usage predictions=run.csv truth=truth.csv groups=groups.csv permutations=19"
    done = subprocess.run(
        [sys.executable, "-m", "fingerprints.evaluate", *command.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(evaluate.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "usage: 6 images in 5 groups" in done.stdout
    figures = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()[1:]}
    assert (figures["accuracy"], figures["auc"]) == ("1.0000", "1.0000")
    assert "4 image(s) have an empty group" in done.stderr
