from __future__ import annotations

import base64
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import auc as area

from benchmarks.wandb_offline import charts, describe, offline_runs
from fingerprints import train
from fingerprints.evidence.metrics import auc
from fingerprints.reporting import tracking
from fingerprints.reporting.panels import judged_confusion
from fingerprints.reporting.tracking import (
    MAX_IMAGES,
    ROC_POINTS,
    examples,
    figures_table,
    log_results,
    roc_table,
    scores_table,
    summary,
)
from fingerprints.training.loggers import open_logger
from fingerprints.training.settings import LoggerSettings

TWO = ("m1", "m2")


def send(folder, found, *, name="wandb", log_images=False):
    index, store, detections, document = found
    settings = LoggerSettings(name=name, log_images=log_images)
    config = {"name": "exp"}
    with open_logger(settings, folder=folder, run_name="r", run_id="0123abcd", config=config) as tracker:
        log_results(
            tracker,
            index=index,
            detections=detections,
            document=document,
            images=store,
            log_images=log_images,
        )


def pixels_in(folder, store, root):
    """Files below `folder` that hold pixels of any image, raw, as text, or as the image's own file."""
    needles = [
        line for image in store.images for line in (image[20].tobytes(), str(image[20, :8].tolist())[1:-1])
    ]
    needles += [str(image[20, :8].tolist())[1:-1].replace(" ", "") for image in store.images]
    files = [path.read_bytes() for path in sorted(root.rglob("*.png"))]
    needles += [content[40:100] for content in files] + [base64.b64encode(c)[60:120] for c in files]
    raw = [needle.encode() if isinstance(needle, str) else needle for needle in needles]
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and (path.suffix == ".png" or any(n in path.read_bytes() for n in raw)):
            found.append(path)
    return found


def test_summary_is_the_figures_of_metrics_json(detected, subset_root):
    _, _, _, document = detected(subset_root(), "subset")
    flat = summary(document)
    for part in ("test", "validation"):
        for metric, figure in document[part].items():
            for name, key in (("value", ""), ("low", "_low"), ("high", "_high"), ("p", "_p")):
                assert flat.get(f"{part}/{metric}{key}") == figure[name]
    assert flat["baseline/file/accuracy"] == document["baselines"]["file"]["accuracy"]["value"]
    assert "baseline/file/precision" not in flat
    assert flat["verdict/headline"] == "Nothing found."
    assert flat["run/encoder_budget"] == 7
    assert flat["run/peak_memory_mb_host"] == 100.0
    assert "run/revision" not in flat
    json.dumps(flat, allow_nan=False)


def test_several_generators_have_their_mean_and_each_its_own(detected, usage_root):
    found = detected(usage_root(generators=TWO), "usage_2024")
    document = found[3]
    flat = summary(document)
    assert flat["test/auc"] == document["test"]["mean"]["auc"]["value"]
    assert flat["m2/test/auc_low"] == document["test"]["m2"]["auc"]["low"]
    assert flat["baseline/file/kappa"] == document["baselines"]["file"]["mean"]["kappa"]["value"]
    assert not [key for key in flat if key.startswith("m1/baseline")]
    assert flat["run/encoder_budget"] == 14
    table = figures_table(document)
    assert set(table["generator"]) == {"", *TWO}
    missing = table[table["value"].isna()]
    assert missing["reason"].notna().all()
    assert set(scores_table(*found[0:3:2])["generator"]) == set(TWO)
    assert set(roc_table(*found[0:3:2])["class"]) == {"m1 used", "m2 used"}


def test_scores_have_truth_only_where_it_is_known(detected, subset_root, usage_root):
    index, _, detections, _ = detected(subset_root(), "subset")
    table = scores_table(index, detections)
    assert list(table) == ["id", "truth", "label", "score_t1", "score_t2", "score_t3"]
    assert (table["truth"] == detections[0].test.rows["label"].to_numpy()).all()
    index, _, detections, _ = detected(usage_root(truth=False), "usage")
    table = scores_table(index, detections)
    assert list(table) == ["id", "label", "score"]
    assert set(table["label"]) <= {"0", "1"}
    index, _, detections, _ = detected(usage_root(test=0, name="untested"), "usage")
    table = scores_table(index, detections)
    assert list(table) == ["id", "truth", "label", "score"]
    assert len(table) == len(detections[0].validation.rows)


def test_clusters_have_a_matrix_and_captions_but_no_curve(detected, subset_root):
    index, _, (detection,), _ = detected(subset_root(test=12), "subset")
    names = np.array([f"cluster_{1 + number % 4}" for number in range(12)])
    clustered = replace(detection.test, labels=names, scores=None, clusters=True)
    found = [replace(detection, test=clustered)]
    assert roc_table(index, found).empty
    assert list(scores_table(index, found)) == ["id", "truth", "label"]
    _, matrix = judged_confusion(index, clustered)
    assert matrix.shape == (3, 4)
    # Images go round three classes and four clusters: every class meets every cluster once.
    assert (matrix == 1).all()
    assert tracking._captions(index, clustered)[0] == (
        "unknown_000, generated image: truth t1, predicted cluster_1"
    )


def test_a_thinned_curve_keeps_its_area_and_both_ends(detected, usage_root):
    index, _, detections, _ = detected(usage_root(), "usage")
    (detection,) = detections
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"label": rng.choice(["used", "not_used"], 5000)})
    scores = rng.normal(size=5000) + (rows["label"] == "used")
    test = type(detection.test)(rows=rows, labels=rows["label"].to_numpy(), scores=scores.to_numpy())
    detections = [type(detection)(**{**vars(detection), "test": test})]
    curve = roc_table(index, detections)
    assert len(curve) <= ROC_POINTS
    assert curve[["fpr", "tpr"]].iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
    exact = auc(positive=(rows["label"] == "used").to_numpy(), scores=test.scores)
    assert area(curve["fpr"], curve["tpr"]) == pytest.approx(exact, abs=0.005)


@pytest.mark.usefixtures("private_wandb")
def test_offline_files_hold_charts_and_tables_and_no_pixels(detected, usage_root, tmp_path):
    root = usage_root()
    found = detected(root, "usage")
    index, store, detections, document = found
    send(tmp_path / "run", found)
    (run,) = offline_runs(tmp_path / "run")
    assert summary(document).items() <= run.summary.items()
    assert run.summary.keys() >= {"confusion_matrix_table", "roc_table", "scores", "figures", "verdict"}
    counts = {(c["Actual"], c["Predicted"]): c["nPredictions"] for c in run.table("confusion_matrix_table")}
    test = detections[0].test
    for actual in index.classes:
        for predicted in index.classes:
            both = (test.rows["label"] == actual) & (test.labels == predicted)
            assert counts[actual, predicted] == both.sum()
    assert pd.DataFrame(run.table("scores")).equals(scores_table(index, detections))
    x, y = run.curve("roc/tpr")
    curve = roc_table(index, detections)
    assert (x, y) == (curve["fpr"][curve["fpr"] > 0].tolist(), curve["tpr"][curve["fpr"] > 0].tolist())
    assert run.table("verdict") == [
        {"level": "nothing", "text": "Nothing found."},
        {"level": "note", "text": "a note"},
    ]
    assert pixels_in(tmp_path / "run", store, root) == []
    assert not [name for name in run.files if name.startswith("media/images")]


@pytest.mark.usefixtures("private_wandb")
def test_images_are_logged_when_asked_for(detected, subset_root, tmp_path):
    root = subset_root(test=20)
    found = detected(root, "subset")
    index, store, detections, _ = found
    send(tmp_path / "run", found, log_images=True)
    (run,) = offline_runs(tmp_path / "run")
    logged = run.summary["test_images"]
    shown = examples(index, detections)
    assert logged["count"] == len(shown) == MAX_IMAGES
    assert logged["captions"] == shown["caption"].tolist()
    label = detections[0].test.labels[0]
    assert shown["caption"][0].startswith(
        f"unknown_000, generated image: truth t1, predicted {label}, score 0."
    )
    with Image.open(run.folder / "files" / logged["filenames"][3]) as image:
        assert (np.asarray(image.convert("L")) == store.images[shown["row"][3]]).all()
    assert len(pixels_in(tmp_path / "run", store, root)) >= MAX_IMAGES  # the search finds pixels


@pytest.mark.usefixtures("private_wandb")
def test_several_generators_have_a_matrix_each(detected, usage_root, tmp_path):
    found = detected(usage_root(generators=TWO), "usage_2024")
    send(tmp_path, found)
    # Real images of patients are called so; the same image is asked of every generator.
    captions = [tracking._captions(found[0], detection.test)[0] for detection in found[2]]
    assert [
        ", real image asked of m1: truth " in captions[0],
        ", real image asked of m2: truth " in captions[1],
    ] == [
        True,
        True,
    ]
    (run,) = offline_runs(tmp_path)
    assert run.summary.keys() >= {"m1/confusion_matrix_table", "m2/confusion_matrix_table"}
    assert "roc/tpr" not in run.axes


@pytest.mark.usefixtures("private_wandb")
def test_without_truth_the_charts_are_of_validation(detected, usage_root, tmp_path):
    found = detected(usage_root(truth=False), "usage")
    send(tmp_path, found)
    (run,) = offline_runs(tmp_path)
    assert "test/accuracy" not in run.summary
    assert run.summary["validation/accuracy"] == found[3]["validation"]["accuracy"]["value"]
    counted = sum(cell["nPredictions"] for cell in run.table("confusion_matrix_table"))
    assert counted == len(found[2][0].validation.rows)


def test_csv_gets_the_figures_and_none_gets_nothing(detected, subset_root, tmp_path):
    found = detected(subset_root(), "subset")
    send(tmp_path / "csv", found, name="csv")
    table = pd.read_csv(tmp_path / "csv" / "curves" / "metrics.csv")
    assert table["test/accuracy_low"].iloc[-1] == found[3]["test"]["accuracy"]["low"]
    send(tmp_path / "none", found, name="none")
    assert not (tmp_path / "none").exists()


def test_tensorboard_gets_figures_charts_and_images_only_when_asked(detected, usage_root, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = detected(usage_root(), "usage")
    for name, log_images in (("without", False), ("with", True)):
        send(tmp_path / name, found, name="tensorboard", log_images=log_images)
        events = EventAccumulator(str(tmp_path / name / "curves"))
        events.Reload()
        tags = set(events.Tags()["images"])
        assert {"confusion_matrix", "roc"} <= tags
        assert any(tag.startswith("test_images/") for tag in tags) == log_images
        assert "test/accuracy" in events.Tags()["scalars"]


@pytest.mark.usefixtures("private_wandb")
def test_a_whole_run_can_be_drawn_again_from_its_offline_files(usage_root, tmp_path, command):
    root, folder = usage_root(), tmp_path / "run"
    words = [
        "experiment=siamese_subtask1",
        f"data.root={root}",
        "data.size=48",
        "trainer=cpu",
        "data.folds=2",
    ]
    words += ["evidence.permutations=19", "trainer.max_epochs=2", "logger=wandb"]
    code, printed = command(train, *words, "logger.tags=[mine]", f"run_dir={folder}")
    assert code == 0, printed
    assert "wandb sync" in printed
    (run,) = offline_runs(folder)
    document = json.loads((folder / "metrics.json").read_text())
    assert summary(document).items() <= run.summary.items()
    assert run.config["training"]["optimiser"]["lr"] == 1e-4
    assert run.group == "siamese_subtask1"
    assert {"mine", "usage"} <= set(run.tags)
    for prefix in ("", "fold_0/", "fold_1/"):
        assert run.curve(f"{prefix}train_loss")[0] == [1, 2]
    assert len(run.curve("fold_1/val_pair_accuracy")[1]) == 2
    table = pd.DataFrame(run.table("scores"))
    written = pd.read_csv(folder / "predictions.csv", dtype={"id": str, "label": str})
    assert (table["id"] == written["id"]).all()
    assert (table["label"] == written["label"]).all()
    assert not list(folder.rglob("wandb/**/*.png"))
    assert any("train_loss x 2" in line for line in describe(run))
    assert len(charts(run).axes) == 9
