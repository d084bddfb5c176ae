"""The command that labels images with a finished run: the files it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fingerprints import predict
from fingerprints.config.launch import Place
from fingerprints.config.roots import PredictSettings
from fingerprints.core.errors import FingerprintsError


def label(tmp_path: Path, run: Any, **given: Any) -> None:
    settings = {
        "run": run.folder,
        "images": run.root / "test/generated_unknown",
        "out": tmp_path / "labels.csv",
        "store": tmp_path / "store",
        "accelerator": "cpu",
    }
    predict._job(PredictSettings(**{**settings, **given}), Place(tmp_path))


def test_labels_and_scores_are_those_of_the_run(
    finished_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished_run()
    label(tmp_path, run, scores=tmp_path / "scores.csv")
    assert (tmp_path / "labels.csv").read_bytes() == (run.folder / "run.csv").read_bytes()
    printed = capsys.readouterr()
    first, labels, verdict = printed.out.splitlines()
    assert first == f"9 images labelled: {tmp_path / 'labels.csv'}"
    counts = (run.folder / "run.csv").read_text()
    assert all(f"t{k} {counts.count(f't{k}')} (" in labels for k in (1, 2, 3) if f"t{k}" in counts)
    known = json.loads((run.folder / "metrics.json").read_text())["verdict"]
    assert verdict == f"verdict of the run: {known['headline']} ({known['level']})"
    assert ("warning: " in printed.err) == (known["level"] != "clear")
    found, expected = (
        pd.read_csv(path).sort_values("id")
        for path in (tmp_path / "scores.csv", run.folder / "predictions.csv")
    )
    assert list(found) == list(expected) == ["id", "label", "score_t1", "score_t2", "score_t3"]
    np.testing.assert_allclose(found.filter(like="score_"), expected.filter(like="score_"), atol=1e-4)


def test_without_scores_there_is_the_run_file_alone(finished_run: Any, tmp_path: Path) -> None:
    label(tmp_path, finished_run())
    assert [path.name for path in tmp_path.glob("*.csv")] == ["labels.csv"]


def test_nothing_is_written_if_an_image_cannot_be_read(finished_run: Any, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    run = finished_run()
    good = next((run.root / "test/generated_unknown").iterdir())
    (images / "good.png").write_bytes(good.read_bytes())
    (images / "bad.png").write_bytes(b"no image")
    with pytest.raises(FingerprintsError, match="cannot be read"):
        label(tmp_path, run, images=images)
    assert not (tmp_path / "labels.csv").exists()
    label(tmp_path, run, images=images, on_bad_image="skip")
    assert (tmp_path / "labels.csv").read_text().startswith("good,")
