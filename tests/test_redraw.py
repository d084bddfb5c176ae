"""The command that draws a finished run's page again: what it replaces, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fingerprints import redraw
from fingerprints.config.launch import Place
from fingerprints.config.roots import RedrawSettings
from fingerprints.core.errors import FingerprintsError
from fingerprints.experiment.perform import _refuse_training

REPLACED = ("report.html", "metrics.json")


def draw(folder: Path, **given: Any) -> None:
    redraw._job(RedrawSettings(run=folder, accelerator="cpu", **given), Place(folder))


def contents(folder: Path) -> dict[str, bytes]:
    kept = (path for path in folder.rglob("*") if path.is_file() and path.name not in ("train.log", "lock"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in kept}


@pytest.mark.usefixtures("no_drawing")
def test_the_page_gets_images_and_all_figures_and_answers_stay(finished_run: Any) -> None:
    folder = finished_run().folder
    before = contents(folder)
    draw(folder, images=True)
    after = contents(folder)
    assert {name for name in after if after[name] != before.get(name)} == set(REPLACED)
    assert b"data:image/png" in after["report.html"]
    assert b"data:image/png" not in before["report.html"]
    then, now = (json.loads(found["metrics.json"]) for found in (before, after))
    assert now["run"].pop("evaluated_again")["fingerprints"] == then["run"]["fingerprints"]
    assert now == then

    lines = before["predictions.csv"].decode().splitlines()
    own = lines[1].split(",")[1]
    other = next(line.split(",")[1] for line in lines[2:] if line.split(",")[1] != own)
    (folder / "predictions.csv").write_text(
        "\n".join([lines[0], lines[1].replace(own, other, 1), *lines[2:]])
    )
    with pytest.raises(FingerprintsError, match=r"1 of 9 answers would differ"):
        draw(folder)
    assert {name: contents(folder)[name] for name in REPLACED} == {name: after[name] for name in REPLACED}


def test_what_is_no_finished_run_is_refused_before_any_image_is_read(tmp_path: Path) -> None:
    with pytest.raises(FingerprintsError, match="no run folder"):
        draw(tmp_path)
    (tmp_path / "config.yaml").write_text("name: stopped\n")
    with pytest.raises(FingerprintsError, match="not finished") as caught:
        draw(tmp_path)
    assert f"resume={tmp_path}" in str(caught.value.fix)
    (tmp_path / "config.yaml").write_text("fused: {runs: [a, b]}\n")
    with pytest.raises(FingerprintsError, match="fusion"):
        draw(tmp_path)


def test_a_training_that_the_folder_lacks_is_not_made_up_for() -> None:
    _refuse_training("fold_1", "training fold 2/2", {"epoch": 1}, fresh=False)
    with pytest.raises(FingerprintsError, match="'training fold 2/2'"):
        _refuse_training("fold_1", "training fold 2/2", {"epoch": 1}, fresh=True)
