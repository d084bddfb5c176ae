"""Training through the real command line, in this process where a fresh one adds nothing."""

from __future__ import annotations

import csv
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import f1_score

from fingerprints import evaluate, predict, train
from fingerprints.config.schema import options
from fingerprints.core.errors import FingerprintsError
from fingerprints.detector.saved import load_run
from tests.compose import settings
from tests.shadow import shadow_pool

METRICS = {"accuracy", "precision", "recall", "f1", "specificity", "kappa", "auc"}
FAST = ["data.size=48", "trainer=cpu", "evidence.permutations=49"]


DRAWN = ("siamese_subtask1", "siamese_subtask2", "features_models", "classifier_models")
TINY_CLASSIFIER = ["data=imageclef2025_usage", "encoder=custom_cnn", "encoder.channels=[4,8]"]
# What an experiment needs beside tiny images, so that nothing is downloaded and nothing takes long.
SMALL_SIAMESE = ["encoder.channels=[4,4,4,4]"]
TINY = {
    "siamese_subtask1": SMALL_SIAMESE,
    "metric_subtask1": SMALL_SIAMESE,
    "metric_subtask2": SMALL_SIAMESE,
    "features_subtask2": ["encoder.input_size=32"],
    "features_models": ["encoder=lbp"],
    "tsne_models": ["encoder=lbp", "reduction.perplexity=5", "reduction.iterations=250"],
    "gmm_models": ["encoder.weights=none", "encoder.input_size=32"],
    "classifier_models": ["encoder.channels=[4,8]"],
    "pseudolabel_models": ["encoder=resnet18", "encoder.weights=none", "encoder.input_size=32"],
    "gan_leaks": ["encoder.side=16", "decision.scaled_by=reference"],
    "monte_carlo": ["encoder.side=16", "decision.member=group"],
    "calibrated_neighbour": ["encoder.side=16"],
    "domias": ["encoder.side=16", "decision.cut=reference"],
    "logan": ["encoder.side=16"],
    "window_em_usage": ["encoder.side=16", "decision.window=null"],
    "copies": ["encoder.side=16", "decision.patch=8"],
    "shadow": ["encoder.side=16"],
    "similarity_usage": ["data=imageclef2025_usage", "encoder=pixels", "decision.metric=ssim"],
    "multiformer_usage": ["data=imageclef2025_usage", "encoder.encoders=[lbp,spectrum]"],
    "vcmi_usage": ["data=imageclef2025_usage", "encoder.side=16", "decision.rule=ensemble"],
    "regions_usage": [
        *("data=imageclef2025_usage", "region=lung", "encoder=resnet18"),
        *("encoder.weights=none", "encoder.input_size=32"),
    ],
    "autoencoder_usage": [
        *("data=imageclef2025_usage", "decision=error_map", "training.own_part=true"),
        *("encoder.side=16", "encoder.channels=[4,4]"),
    ],
    "class_kmeans_usage": ["data=imageclef2025_usage", "encoder=lbp"],
    "pairs_usage": ["data=imageclef2025_usage", "encoder=lbp"],
    "colorized_usage": [*TINY_CLASSIFIER, "filter=colorize", "training.augment.shift=2"],
    "twostage_usage": TINY_CLASSIFIER,
    "filters_usage": [*TINY_CLASSIFIER, "filter=laplacian"],
    "multiformer_models": ["encoder.encoders=[lbp,spectrum]", "decision=vote"],
}
ON_COMMAND_LINE = (
    "siamese_subtask1",
    "siamese_subtask2",
    "metric_subtask1",
    "metric_subtask2",
    "features_subtask2",
)


@pytest.fixture(autouse=True)
def _drawn_where_looked_at(request):
    if not any(f"[{name}]" in request.node.name for name in DRAWN):
        request.getfixturevalue("no_drawing")


@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_runs_on_tiny_images(
    experiment, command, subset_root, usage_root, model_root, tmp_path
):
    plan = settings(f"experiment={experiment}", "data.root=none")
    task = plan.task
    root = {"subset": subset_root, "usage": usage_root, "model": model_root}[task]()
    words = [f"experiment={experiment}", f"data.root={root}", *FAST, "trainer.max_epochs=1", "data.folds=2"]
    words += [*TINY.get(experiment, []), f"paths.outputs={tmp_path / 'outputs'}"]
    if plan.decision.uses_shadow:
        words.append(f"data.shadow={shadow_pool(root, tmp_path / 'shadow')}")
    folder = tmp_path / "run"
    if experiment in ON_COMMAND_LINE:
        code, printed = command(train, *words, f"run_dir={folder}")
        assert code == 0, printed
        assert "encoder budget" in printed
        assert "report:" in printed
    else:
        folder.mkdir()
        assert train.train(settings(*words), folder)["experiment"] == experiment
    for name in ("config.yaml", "metrics.json", "predictions.csv", "run.csv", "report.html", "train.log"):
        assert (folder / name).stat().st_size > 0
    document = json.loads((folder / "metrics.json").read_text())
    assert document["task"] == task
    assert document["experiment"] == experiment
    clusters = load_run(folder).decider().transductive
    trained = document["encoder_budget"]["images_encoded"] > 0
    assert trained == (document["features"] == {})
    on_pairs = load_run(folder).config["training"]["name"] == "pairs"
    assert ("pair_accuracy" in document["validation"]) == on_pairs
    assert ("pair_accuracy" in document["validation"]) == plan.training.on_pairs
    assert set(document["test"]) >= (METRICS if task != "model" else {"ari", "nmi", "accuracy_unmatched"})
    assert clusters == (task == "model" and experiment != "pseudolabel_models")
    for figure in document["test"].values():
        assert set(figure) >= {"value", "low", "high", "p"}
        assert figure["value"] is not None or figure["reason"]


def test_a_second_run_on_the_same_images_encodes_none(command, model_root, tmp_path):
    root = model_root()
    words = ["experiment=features_models", "encoder=residual", f"data.root={root}", *FAST]
    for decision, encoded in (("kmeans", 44), ("hierarchical", 0)):
        run = tmp_path / decision
        code, printed = command(train, *words, f"decision={decision}", f"run_dir={run}")
        assert code == 0, printed
        assert json.loads((run / "metrics.json").read_text())["features"]["features"]["encoded"] == encoded
        assert ("found in the cache" in printed) == (encoded == 0)


@pytest.mark.parametrize("on", ["real", "both", "generated"])
def test_clusters_of_real_images_have_their_own_figures(on, command, subset_root, tmp_path):
    words = [
        "experiment=features_subtask2",
        "encoder=spectrum",
        "decision=kmeans",
        f"data.root={subset_root()}",
    ]
    words += [] if on == "real" else [f"decision.cluster_on={on}"]  # real is the default, as in the source
    code, printed = command(train, *words, *FAST, f"run_dir={tmp_path / 'run'}")
    assert code == 0, printed
    document = json.loads((tmp_path / "run/metrics.json").read_text())
    page = (tmp_path / "run/report.html").read_text()
    shown = on != "generated"
    assert ("clustered_real" in document["controls"]) == shown
    assert ("clusters of real training images" in page) == shown
    assert ("real images of the training part by cluster" in page) == shown
    if shown:
        assert document["controls"]["clustered_real"]["ari"]["value"] > 0.5  # stripes tell classes apart


def test_a_subset_left_out_is_called_none(command, subset_root, tmp_path):
    root = subset_root(per_class=30, test=30)
    words = ["experiment=features_subtask2", "encoder=spectrum", f"data.root={root}", "data.leave_out=t3"]
    words += ["decision=centroid", "decision.fit_on=generated", "decision.open_set=true"]
    code, printed = command(train, *words, *FAST, f"run_dir={tmp_path / 'run'}")
    assert code == 0, printed
    predictions = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert [name for name in predictions if name.startswith("score_")] == [
        "score_t1",
        "score_t2",
        "score_none",
    ]
    truth = dict(csv.reader((tmp_path / "subset" / "test_truth.csv").open()))
    unknown = predictions["id"].map(truth) == "t3"
    assert (predictions["label"][unknown] == "none").mean() > 0.8
    assert (predictions["label"][~unknown] == "none").mean() < 0.5
    report = (tmp_path / "run" / "report.html").read_text()
    assert "subset t3 is left out of training" in report
    code, printed = command(train, *words, "data.leave_out=t9", *FAST, f"run_dir={tmp_path / 'no'}")
    assert code == 2
    assert "There is no subset 't9' to leave out." in printed


def test_training_finds_what_is_there_and_predict_and_evaluate_agree(command, subset_root, tmp_path):
    root, folder = subset_root(), tmp_path / "run"
    words = ["experiment=metric_subtask2", f"data.root={root}", *FAST, "trainer.max_epochs=8"]
    code, printed = command(train, *words, f"run_dir={folder}")
    assert code == 0, printed
    document = json.loads((folder / "metrics.json").read_text())
    assert document["test"]["accuracy"]["value"] > 0.8

    code, printed = command(
        predict,
        f"run={folder}",
        f"images={root / 'test' / 'generated_unknown'}",
        "out=again.csv",
        "accelerator=cpu",
    )
    assert code == 0, printed
    first, again = (dict(csv.reader(path.open())) for path in (folder / "run.csv", tmp_path / "again.csv"))
    assert again == first

    truth = root / "test_truth.csv"
    code, printed = command(
        evaluate,
        "task=subset",
        f"predictions={folder / 'predictions.csv'}",
        f"truth={truth}",
        "out=m.json",
        "permutations=49",
    )
    assert code == 0, printed
    scored = json.loads((tmp_path / "m.json").read_text())["test"]
    for name, figure in document["test"].items():
        assert scored[name]["value"] == pytest.approx(figure["value"]), name

    predictions = pd.read_csv(folder / "predictions.csv")
    scores = predictions.filter(like="score_")
    assert (
        scores.columns[scores.to_numpy().argmax(1)].str.removeprefix("score_") == predictions["label"]
    ).all()
    run = load_run(folder)
    assert run.metrics == document
    assert not run.network().training


def test_evaluate_prints_why_a_figure_is_missing_and_writes_nothing_unasked(command, tmp_path):
    answers = "".join(f"i{number},{number % 2}\n" for number in range(12))
    (tmp_path / "truth.csv").write_text(answers)
    scored = [f"i{number},{number % 2},{number}\n" for number in range(12)]
    (tmp_path / "run.csv").write_text("id,label,score\n" + "".join(scored))
    words = ["task=usage", "predictions=run.csv", "truth=truth.csv", "permutations=19"]
    code, printed = command(evaluate, *words)
    assert code == 0, printed
    assert "usage: 12 images in 12 groups" in printed
    assert "tpr_at_fpr_0.01            -  6 non-members are too few for an FPR of 1 % (100 needed)" in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.csv", "truth.csv"]


def test_without_data_it_runs_on_the_embedded_phantoms_and_says_so(command, embedded, tmp_path):
    files = sorted(embedded.rglob("*"))
    words = ["experiment=siamese_subtask2", *FAST[1:], "trainer.max_epochs=1"]
    code, printed = command(train, *words, f"run_dir={tmp_path / 'run'}")
    assert code == 0, printed
    notice = "data: the embedded benchmark (phantoms, 48 x 48); your own data: data.root=DIR data.size=N"
    assert notice in printed
    assert "  baselines, accuracy: blind histogram_generated" in printed
    run = load_run(tmp_path / "run")
    assert (run.config["data"]["root"], run.config["data"]["size"]) == (str(embedded / "subset"), 48)
    assert "phantoms of the embedded benchmark" in run.metrics["verdict"]["notes"][0]
    assert run.metrics["test"]["accuracy"]["chance"] == pytest.approx(1 / 3, abs=0.1)
    assert run.metrics["verdict"]["notes"][0] in (tmp_path / "run" / "report.html").read_text()
    assert sorted(embedded.rglob("*")) == files  # nothing is written into the package

    images = embedded / "subset" / "test" / "generated_unknown"
    code, printed = command(predict, f"run={tmp_path / 'run'}", f"images={images}", "accelerator=cpu")
    assert code == 0, printed
    assert (tmp_path / "run.csv").read_bytes() == (tmp_path / "run" / "run.csv").read_bytes()


def test_data_of_ones_own_are_not_called_embedded_and_curves_are_written(
    command, embedded, subset_root, tmp_path
):
    words = ["experiment=siamese_subtask2", f"data.root={subset_root(name='own')}", *FAST, "logger=csv"]
    code, printed = command(train, *words, "trainer.max_epochs=2", f"run_dir={tmp_path / 'run'}")
    assert code == 0, printed
    assert f"data: {tmp_path / 'own'}" in printed
    curves = pd.read_csv(tmp_path / "run" / "curves" / "metrics.csv")
    assert curves["train_loss"].notna().sum() == 2
    texts = [(tmp_path / "run" / name).read_text() for name in ("metrics.json", "report.html")]
    assert not any("embedded benchmark" in text for text in [printed, *texts])


def test_usage_scores_do_not_depend_on_which_others_are_asked(command, usage_root, tmp_path):
    root, folder = usage_root(), tmp_path / "run"
    words = ["experiment=metric_subtask1", f"data.root={root}", *FAST, "trainer.max_epochs=2", "data.folds=2"]
    code, printed = command(train, *words, f"run_dir={folder}")
    assert code == 0, printed
    document = json.loads((folder / "metrics.json").read_text())
    assert document["test"]["auc"]["value"] > 0.7
    assert {"f1_used", "precision_used", "recall_used"} <= set(document["test"])

    whole = pd.read_csv(folder / "predictions.csv", dtype={"id": str, "label": str}).set_index("id")
    some = tmp_path / "some"
    some.mkdir()
    for path in sorted((root / "test" / "real_unknown").iterdir())[:3]:
        (some / path.name).write_bytes(path.read_bytes())
    code, printed = command(
        predict,
        f"run={folder}",
        f"images={some}",
        f"generated={root / 'test' / 'generated'}",
        "out=some.csv",
        "scores=scores.csv",
        "accelerator=cpu",
    )
    assert code == 0, printed
    part = pd.read_csv(tmp_path / "scores.csv", dtype={"id": str, "label": str}).set_index("id")
    assert len(part) == 3
    assert (part["label"] == whole.loc[part.index, "label"]).all()
    np.testing.assert_allclose(part["score"], whole.loc[part.index, "score"], atol=1e-4)


def test_reference_images_elsewhere_calibrate_and_are_named(command, usage_root, tmp_path):
    root, folder = usage_root(), tmp_path / "run"
    poor = {"quality": {"collapsed": False, "below_floor": ["coverage"]}}
    (root / "benchmark.json").write_text(json.dumps({"generators": {"poor": poor}}))
    elsewhere = usage_root(name="elsewhere", seed=1) / "real_not_used"
    words = ["experiment=window_em_usage", f"data.root={root}", *FAST, *TINY["window_em_usage"]]
    code, printed = command(train, *words, f"data.reference={elsewhere}", f"run_dir={folder}")
    assert code == 0, printed
    assert "reference real 16" in printed
    report = (folder / "report.html").read_text()
    for text in (
        "above the highest of 16 reference images",
        "reference real 16",
        "16 of 16 reference images were compared",
        str(elsewhere),
    ):
        assert text in report
    run = load_run(folder)
    assert len(run.decider().decision.reference) == 16
    said = "of this simulation is below the floor: coverage"
    assert said in printed
    assert said in report
    assert any(said in note for note in run.metrics["verdict"]["notes"])

    elsewhere.rename(tmp_path / "away")  # a finished run needs it no more
    asked = [
        "accelerator=cpu",
        f"images={root / 'test/real_unknown'}",
        f"generated={root / 'test/generated'}",
    ]
    code, printed = command(predict, f"run={folder}", *asked, "out=again.csv", f"groups={root}/groups.csv")
    assert code == 0, printed
    assert (tmp_path / "again.csv").read_bytes() == (folder / "run.csv").read_bytes()
    patients = pd.read_csv(tmp_path / "again_patients.csv")
    assert "of 16 reference patients" in printed
    assert patients["images"].sum() == 12
    assert patients["p"].between(1 / 17, 1).all()

    code, printed = command(train, *words, f"data.reference={elsewhere}", f"run_dir={tmp_path / 'no'}")
    assert code == 2
    assert "folder of reference images does not exist" in printed


def test_same_seed_same_figures_and_another_seed_others(command, finished_run, tmp_path):
    first = finished_run(name="a")
    for name, seed in (("b", 0), ("c", 1)):
        assert command(train, *first.words, f"seed={seed}", f"run_dir={tmp_path / name}")[0] == 0
    documents = [(tmp_path / name / "predictions.csv").read_bytes() for name in "abc"]
    assert documents[0] == documents[1]
    assert documents[0] != documents[2]


def test_several_generators_give_one_level_more(command, usage_root, tmp_path):
    root = usage_root(generators=("model_1", "model_2"))
    words = [
        "experiment=siamese_subtask1",
        "data=imageclef2024_usage",
        f"data.root={root}",
        *FAST,
        *SMALL_SIAMESE,
        "trainer.max_epochs=1",
        "data.folds=2",
    ]
    code, printed = command(train, *words, f"run_dir={tmp_path / 'run'}")
    assert code == 0, printed
    document = json.loads((tmp_path / "run" / "metrics.json").read_text())
    test = document["test"]
    assert set(test) == {"model_1", "model_2", "mean"}
    assert document["official"] == load_run(tmp_path / "run").task.official == "f1_used"
    assert "mean of 2 generators: f1_used" in printed
    answers, truth = (
        dict(csv.reader(path.open())) for path in (tmp_path / "run/run.csv", root / "test_truth.csv")
    )
    own = [sorted(name for name in truth if name.startswith(model)) for model in ("model_1", "model_2")]
    figures = [f1_score([truth[n] for n in ids], [answers[n] for n in ids], pos_label="1") for ids in own]
    assert test["mean"]["f1_used"]["value"] == pytest.approx(sum(figures) / 2)
    both = [test[name]["auc"]["value"] for name in ("model_1", "model_2")]
    assert test["mean"]["auc"]["value"] == pytest.approx(sum(both) / 2)
    assert load_run(tmp_path / "run").generators == ["model_1", "model_2"]


def test_without_truth_the_test_part_is_predicted_and_not_scored(command, subset_root, tmp_path):
    root = subset_root()
    (root / "test_truth.csv").unlink()
    words = ["experiment=siamese_subtask2", f"data.root={root}", *FAST, "trainer.max_epochs=1"]
    code, printed = command(train, *words, f"run_dir={tmp_path / 'run'}")
    assert code == 0, printed
    document = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert document["test"] == {}
    assert document["verdict"]["level"] == "unscored"
    assert document["validation"]
    assert (tmp_path / "run" / "run.csv").stat().st_size > 0


def test_early_stopping_and_best_weights_take_effect(command, subset_root, tmp_path):
    words = [
        "experiment=metric_subtask2",
        f"data.root={subset_root()}",
        *FAST,
        "trainer.max_epochs=12",
        "callbacks=best",
        "callbacks.early_stopping.patience=1",
        "training.optimiser.lr=0.05",
    ]
    code, printed = command(train, *words, f"run_dir={tmp_path / 'run'}")
    assert code == 0, printed
    assert "epoch 12/12" not in printed
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").exists()


def test_encoder_weights_of_another_architecture_are_refused(command, finished_run, tmp_path):
    run = finished_run()
    checkpoint = run.folder / "checkpoints" / "last.ckpt"
    code, printed = command(
        train,
        *run.words,
        f"run_dir={tmp_path / 'other'}",
        f"encoder.weights={checkpoint}",
        "encoder.embedding=32",
    )
    assert code == 2
    assert "another architecture" in printed
    assert "dense.weight" in printed
    assert not (tmp_path / "other").exists()


def remove(path):
    for file in path.iterdir():
        file.unlink()
    path.rmdir()


def spoil(name):
    def damage(root):
        real = sorted((root / "real" / "t1").iterdir())
        if name == "no generated":
            remove(root / "generated" / "gen_t1")
        elif name == "gen without real":
            remove(root / "real" / "t1")
        elif name == "empty folder":
            for file in real:
                file.unlink()
        elif name == "truncated":
            real[0].write_bytes(real[0].read_bytes()[:60])
            real[1].write_text("not an image")
            real[2].write_bytes(b"")
        elif name == "links to nowhere":
            for file in real[:2]:
                file.unlink()
                file.symlink_to(f"/not/fetched/{file.name}")
        elif name == "pages":
            page = Image.open(real[0]).copy()
            real[0].unlink()
            page.save(real[0].with_suffix(".tif"), save_all=True, append_images=[page])
        elif name == "duplicate id":
            real[0].with_suffix(".jpg").write_bytes(real[0].read_bytes())
        elif name == "unknown truth":
            with (root / "test_truth.csv").open("a") as out:
                out.write("nobody,t1\n")
        elif name == "missing truth":
            lines = (root / "test_truth.csv").read_text().splitlines()
            (root / "test_truth.csv").write_text("\n".join(lines[:-1]) + "\n")
        elif name == "repeated truth":
            lines = (root / "test_truth.csv").read_text().splitlines()
            (root / "test_truth.csv").write_text("\n".join([*lines, lines[-1]]) + "\n")

    return damage


BAD = {
    "no generated": "t1 have real but no generated",
    "gen without real": "t1 have generated but no real",
    "empty folder": "No images in 1 folder",
    "truncated": "3 image(s) cannot be read",
    "links to nowhere": "it is a link to a file that does not exist",
    "pages": "several pages: 2",
    "duplicate id": "Duplicate ids",
    "unknown truth": "nobody",
    "missing truth": "no line",
    "repeated truth": "repeated",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data_are_said_in_plain_words(name, subset_root, prepared):
    root = subset_root()
    spoil(name)(root)
    with pytest.raises(FingerprintsError) as error:
        prepared(root, "subset")
    assert BAD[name] in str(error.value)
    assert error.value.fix


# A fault of each kind: of the folders, the files, the ids, the truth.
@pytest.mark.parametrize("name", ["no generated", "truncated", "pages", "duplicate id", "unknown truth"])
def test_bad_input_is_one_message_and_leaves_no_run_folder(name, command, subset_root, tmp_path):
    root = subset_root()
    spoil(name)(root)
    words = [
        "experiment=siamese_subtask2",
        f"data.root={root}",
        *FAST,
        f"run_dir={tmp_path / 'bad'}",
    ]
    code, printed = command(train, *words)
    assert code == 2
    assert BAD[name] in printed
    assert printed.count("error:") == 1
    assert "fix:" in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "bad").exists()


def test_missing_root_unwritable_output_and_used_folder(command, finished_run, tmp_path):
    run = finished_run()
    code, printed = command(train, *run.words, "data.root=nowhere", "run_dir=r")
    assert code == 2
    assert "nowhere" in printed
    (tmp_path / "file").write_text("")
    code, printed = command(train, *run.words, f"run_dir={tmp_path / 'file' / 'run'}")
    assert code == 2
    assert "Traceback" not in printed
    assert "file" in printed
    before = (tmp_path / "run" / "metrics.json").read_bytes()
    code, printed = command(train, *run.words, f"run_dir={tmp_path / 'run'}")
    assert code == 2
    assert "already holds a run" in printed
    assert (tmp_path / "run" / "metrics.json").read_bytes() == before


def test_predict_says_what_is_wrong(command, finished_run, tmp_path):
    assert "no run folder" in command(predict, f"run={tmp_path}", "images=x")[1]
    run = finished_run()
    code, printed = command(predict, f"run={tmp_path / 'run'}", "images=nowhere")
    assert code == 2
    assert "nowhere" in printed
    images = run.root / "test" / "generated_unknown"
    code, printed = command(predict, f"run={tmp_path / 'run'}", f"images={images}", f"generated={images}")
    assert code == 2
    assert "no second folder" in printed
    # A configuration edited after the fact does not fit its weights.
    path = tmp_path / "run" / "config.yaml"
    path.write_text(path.read_text().replace("embedding: 256", "embedding: 64"))
    code, printed = command(predict, f"run={tmp_path / 'run'}", f"images={images}", "accelerator=cpu")
    assert code == 2
    assert "another architecture" in printed


def test_hardware_that_is_not_there_is_said_before_any_work(command, subset_root, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    words = ["experiment=siamese_subtask2", f"data.root={subset_root()}", "data.size=48", "trainer=gpu"]
    code, printed = command(train, *words, f"run_dir={tmp_path / 'run'}")
    assert code == 2
    assert "trainer=cpu" in printed
    assert not (tmp_path / "run").exists()
