"""`docs/new_score.md` followed to the letter, in a copy of the project."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TINY = ["data.size=16", "trainer=cpu", "evidence.permutations=19"]


def blocks(language: str) -> list[str]:
    page = (ROOT / "docs/new_score.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of package and configuration with the page's score in it."""
    folder = tmp_path / "project"
    for name in ("fingerprints", "conf"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    module, settings = blocks("python")
    (experiment,) = blocks("yaml")
    (folder / "fingerprints/decisions/scores/ratio.py").write_text(module)
    with (folder / "fingerprints/decisions/scores/settings.py").open("a") as file:
        file.write(f"\n\n{settings}")
    (folder / "conf/experiment/ratio_usage.yaml").write_text(experiment)
    return folder


def run(project: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "fingerprints.train", *words],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_score_takes_fewer_than_40_lines() -> None:
    written = [*blocks("python"), *blocks("yaml")]
    assert len(written) == 3
    count = sum(len(block.splitlines()) for block in written)
    assert count < 40
    for page in ("docs/new_score.md", "docs/systems.md"):
        assert f"{count} lines" in (ROOT / page).read_text(encoding="utf-8")


def test_the_score_runs_from_the_command_line(project: Path, usage_root: Callable[..., Path]) -> None:
    page = run(project, "--help", "decision=ratio")
    assert "decision.k=1" in page
    assert "neighbours that count" in page
    assert "decision.cut=out_of_fold" in page

    root = usage_root(noise=2.0)
    run(project, "experiment=ratio_usage", f"data.root={root}", "decision.k=2", "run_dir=made", *TINY)
    metrics = json.loads((project / "made/metrics.json").read_text())
    assert metrics["test"]["accuracy"]["value"] > 0.9  # generated images are near copies of the used ones
    with (project / "made/run.csv").open() as file:
        assert sum(1 for _ in csv.reader(file)) == 12
