"""From downloads as they unpack to a comparison: every command that finds images or truth again."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fingerprints import compare, evaluate, predict, train
from tests.data.archives import SUBSETS, unpack

FAST = ["data.size=48", "trainer=cpu", "evidence.permutations=19", "data.folds=2"]
Command = Callable[..., tuple[int, str]]


def rows(path: Path) -> list[list[str]]:
    with path.open() as handle:
        return list(csv.reader(handle))


def test_a_subset_download_is_trained_on_predicted_evaluated_and_compared(
    command: Command, tmp_path: Path
) -> None:
    root, test_root = unpack(tmp_path, "2025 subset, t1")
    inside = "Subtask2/Subtask2/Subtask2_test/generated_unknown"
    truth = [f"{inside}/generated_unknown_{n}.png,{SUBSETS[n % 3]}" for n in range(1, 13)]
    (test_root / "test_truth.csv").write_text("\n".join(["image_path,predicted_class", *truth]))
    words = ["experiment=features_subtask2", f"data.root={root}", f"data.test_root={test_root}", *FAST]
    words += ["data.run_file.header=image_path,predicted_class", "data.run_file.ids=file"]
    run = tmp_path / "runs" / "lbp"
    code, printed = command(train, *words, "encoder=lbp", f"run_dir={run}")
    assert code == 0, printed
    assert f"data: {root}, test part in {test_root}" in printed
    assert f"{root}, test part in {test_root}" in (run / "report.html").read_text()
    document = json.loads((run / "metrics.json").read_text())
    assert document["baselines"]["file"]["accuracy"]["value"] is not None  # reads the files again
    header, *answers = rows(run / "run.csv")
    assert header == ["image_path", "predicted_class"]
    assert [name for name, _ in answers][:2] == ["generated_unknown_1.png", "generated_unknown_10.png"]

    images = f"images={test_root / inside}"
    code, printed = command(predict, f"run={run}", images, "out=again.csv", "accelerator=cpu")
    assert code == 0, printed
    assert rows(tmp_path / "again.csv") == rows(run / "run.csv")
    code, printed = command(
        predict, f"run={run}", images, "out=plain.csv", "header=none", "ids=id", "accelerator=cpu"
    )
    assert code == 0, printed
    assert rows(tmp_path / "plain.csv") == [[n.removesuffix(".png"), a] for n, a in answers]

    draws = ["permutations=19"]
    for file in (run / "run.csv", tmp_path / "plain.csv"):
        given = [f"predictions={file}", f"truth={test_root / 'test_truth.csv'}", "task=subset", "out=m.json"]
        code, printed = command(evaluate, *given, *draws)
        assert code == 0, printed
        found = json.loads((tmp_path / "m.json").read_text())["test"]["accuracy"]["value"]
        assert found == pytest.approx(document["test"]["accuracy"]["value"])

    code, printed = command(compare, "runs=runs/*", "out=compared", *draws)
    assert code == 0, printed
    assert f"test part in {test_root}" in (tmp_path / "compared/comparison.html").read_text()


@pytest.mark.usefixtures("no_drawing")
def test_a_usage_download_with_two_generators_has_figures_for_both(command: Command, tmp_path: Path) -> None:
    root, test_root = unpack(tmp_path, "2024 in one folder")
    truth = [(f"real_unknown_{model}_{n:06d}.png", str(n % 2)) for model in (1, 2) for n in range(1, 13)]
    (root / "test_truth.csv").write_text("\n".join(map(",".join, truth)))
    words = ["experiment=similarity_usage", "encoder=pixels", f"data.root={root}", *FAST]
    code, printed = command(train, *words, f"data.test_root={test_root}", f"run_dir={tmp_path / 'run'}")
    assert code == 0, printed
    assert {"1", "2", "mean"} <= set(json.loads((tmp_path / "run" / "metrics.json").read_text())["test"])
    assert {name for name, _ in rows(tmp_path / "run" / "run.csv")} == {
        n.removesuffix(".png") for n, _ in truth
    }
