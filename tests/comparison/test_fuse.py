from __future__ import annotations

import csv
import json
from collections import Counter

import numpy as np
import pytest
import yaml
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import accuracy_score, adjusted_rand_score

from fingerprints.comparison.answers import own_run_file
from fingerprints.comparison.fuse import align, fuse, reranked, shares, vote
from fingerprints.core.errors import FingerprintsError
from fingerprints.runs.folder import read_run
from tests.comparison.conftest import figure

DRAWS = {"seed": 0, "permutations": 49}


def rows_of(path):
    with path.open() as handle:
        return list(csv.reader(handle))


def test_majority_counts_and_ties_go_to_the_earliest_run():
    answers = [np.array(list(text)) for text in ("aabc", "bbbc", "cbab", "bcaa")]
    found = vote(answers, rule="majority")
    for row, label in zip(zip(*answers, strict=True), found, strict=True):
        counts = Counter(map(str, row))
        assert counts[label] == max(counts.values())
    assert found.tolist() == ["b", "b", "b", "c"]
    assert shares(answers, classes="abc").tolist()[0] == [0.25, 0.5, 0.25]


def test_unanimous_is_used_only_if_all_say_so():
    answers = [np.array(["used", "used", "not_used"]), np.array(["used", "not_used", "not_used"])]
    found = vote(answers, rule="unanimous", positive="used", negative="not_used")
    assert found.tolist() == ["used", "not_used", "not_used"]
    with pytest.raises(FingerprintsError, match="needs a default label"):
        vote(answers, rule="unanimous")


@pytest.mark.parametrize("classes", [("used", "not_used"), ("t1", "t2", "t3")])
def test_reranked_images_get_the_majority_label_of_their_ward_cluster(classes):
    rng = np.random.default_rng(0)
    truth = rng.choice(classes, 60)
    wrong = [rng.random(60) < share for share in (0.1, 0.3, 0.6, 0.6, 0.6)]
    answers = [np.where(flip, rng.choice(classes, 60), truth) for flip in wrong]
    rows = sorted(zip(*(map(str, run) for run in answers), strict=True))
    table = np.array([[float(label == name) for label in row for name in classes] for row in rows])
    clusters = AgglomerativeClustering(len(classes)).fit_predict(table)
    votes = vote(answers, rule="majority")
    of_row = dict(zip(zip(*answers, strict=True), votes, strict=True))
    expected = {}
    for cluster in set(clusters):
        members = [row for row, code in zip(rows, clusters, strict=True) if code == cluster]
        label = max(sorted(classes), key=[of_row[row] for row in members].count)
        expected |= dict.fromkeys(members, label)
    found = reranked(answers)
    assert found.tolist() == [expected[row] for row in zip(*answers, strict=True)]
    assert found.tolist() != votes.tolist()
    moved = rng.permutation(60)
    assert reranked([run[moved] for run in answers]).tolist() == found[moved].tolist()


def test_reranking_equal_answers_gives_them_back():
    same = np.array(["used", "used", "not_used"])
    assert reranked([same, same]).tolist() == same.tolist()
    assert reranked([same[:2], same[:2]]).tolist() == ["used", "used"]


def test_clusters_are_aligned_with_the_first_run_whatever_they_are_called():
    rng = np.random.default_rng(0)
    first = rng.choice(["0", "1", "2"], 50)
    renamed = np.array([{"0": "2", "1": "0", "2": "9"}[label] for label in first])
    _, aligned, classes = align([first, renamed, renamed], clusters=[True, True, False])
    np.testing.assert_array_equal(aligned, first)
    np.testing.assert_array_equal(classes, renamed)
    more = np.where(np.arange(50) == 0, "new", first)
    assert align([first, more], clusters=[True, True])[1][0] == "extra new"


def test_a_vote_is_a_run_that_can_be_compared_and_is_better_than_its_runs(workshop, wrong):
    truth = workshop.truth(n=300)
    baselines = {"file": {"accuracy": figure(0.4)}}
    for seed in range(3):
        answers = wrong(truth, 0.3, seed=seed)
        workshop.run(f"runs/{seed}", answers, seed=seed, baselines=baselines)
    workshop.run("runs/control", truth, shuffle=True)
    out = workshop.folder / "runs" / "vote"
    document = fuse(workshop.only_set(), out, rule="majority", **DRAWS)
    labels = [label for _, label in rows_of(out / "run.csv")]
    accuracy = document["test"]["accuracy"]
    assert accuracy["value"] == accuracy_score(truth, labels) > 0.7
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert document["baselines"] == baselines
    assert json.loads((out / "metrics.json").read_text()) == document
    header, first, *_ = rows_of(out / "predictions.csv")
    assert header == ["id", "label", "score_t1", "score_t2", "score_t3"]
    assert sum(map(float, first[2:])) == pytest.approx(1)
    data = workshop.only_set()
    assert {system.name: len(system.records) for system in data.systems if system.kind == "system"} == {
        "siamese_subtask2": 3,
        "vote_majority": 1,
    }
    with pytest.raises(FingerprintsError, match="already holds a run"):
        fuse(data, out, rule="majority", **DRAWS)


def test_usage_votes_have_scores_and_random_weights_stay_marked(workshop, wrong):
    truth = workshop.truth(n=80, task="usage")
    for i in range(3):
        answers = wrong(truth, 0.2, seed=i, classes=("used", "not_used"))
        workshop.run(
            f"runs/{i}", answers, task="usage", experiment=f"e{i}", encoder={"name": "x", "weights": "none"}
        )
    out = workshop.folder / "runs" / "vote"
    document = fuse(workshop.only_set(), out, rule="unanimous", **DRAWS)
    table = rows_of(out / "predictions.csv")
    assert table[0] == ["id", "label", "score"]
    assert all((label == "1") == (float(score) == 1.0) for _, label, score in table[1:])
    assert document["test"]["auc"]["value"] > 0.8
    assert {system.name: system.kind for system in workshop.only_set().systems}[
        "vote_unanimous"
    ] == "random_weights"
    again = fuse(workshop.only_set(), workshop.folder / "again", rule="rerank", **DRAWS)
    assert again["experiment"] == "vote_rerank"
    assert again["test"]["accuracy"]["value"] > 0.7


@pytest.mark.parametrize("rule", ["majority", "rerank"])
def test_clusterings_with_names_of_their_own_agree_better_together(rule, workshop, wrong):
    truth = workshop.truth(n=240, task="model")
    alone = []
    for i in range(5):  # each run has its own names for the clusters, in another order
        names = dict(
            zip(sorted(set(truth)), np.random.default_rng(i).permutation(3).astype(str), strict=True)
        )
        answers = [f"cluster_{names[label]}" for label in wrong(truth, 0.25, seed=i)]
        alone.append(adjusted_rand_score(truth, answers))
        workshop.run(f"runs/{i}", answers, task="model", experiment=f"e{i}", test={"ari": figure(alone[-1])})
    out = workshop.folder / "runs" / "vote"
    document = fuse(workshop.only_set(), out, rule=rule, **DRAWS)
    labels = [label for _, label in rows_of(out / "run.csv")]
    found = document["test"]["ari"]["value"]
    assert found == pytest.approx(adjusted_rand_score(truth, labels))
    assert found > max(alone) + 0.1


def test_clusters_vote_without_truth(workshop, wrong):
    truth = workshop.truth(n=60, task="model")
    for i in range(3):
        named = dict(zip(("t1", "t2", "t3"), np.roll(["0", "1", "2"], i), strict=True))
        answers = [named[label] for label in wrong(truth, 0.1, seed=i)]
        workshop.run(f"runs/{i}", answers, task="model", experiment=f"e{i}", test={"ari": figure(0.7)})
    data = workshop.only_set()
    with_truth = fuse(data, workshop.folder / "a", rule="majority", **DRAWS)
    assert with_truth["test"]["ari"]["value"] > 0.8
    (workshop.folder / "data" / "test_truth.csv").unlink()
    assert fuse(data, workshop.folder / "b", rule="majority", **DRAWS)["test"] == {}
    assert rows_of(workshop.folder / "a" / "run.csv") == rows_of(workshop.folder / "b" / "run.csv")


def test_a_vote_needs_two_runs_on_the_same_images(workshop):
    truth = workshop.truth()
    workshop.run("runs/0", truth)
    with pytest.raises(FingerprintsError, match="at least two runs; there is 1"):
        fuse(workshop.only_set(), workshop.folder / "x", rule="majority", **DRAWS)
    workshop.run("runs/1", truth, seed=1).joinpath("run.csv").write_text("g0,t1\n")
    with pytest.raises(FingerprintsError, match="does not fit the images"):
        fuse(workshop.only_set(), workshop.folder / "x", rule="majority", **DRAWS)
    assert not (workshop.folder / "x").exists()


@pytest.mark.parametrize("known", [True, False])
def test_votes_are_written_in_the_form_of_the_first_run(workshop, wrong, known):
    truth = workshop.truth(n=30)
    for seed in range(3):
        folder = workshop.run(f"runs/{seed}", wrong(truth, 0.2, seed=seed), seed=seed)
        if seed < 2:
            config = yaml.safe_load((folder / "config.yaml").read_text())
            config["data"]["run_file"] = {"header": "image_path,predicted_class", "ids": "path"}
            (folder / "config.yaml").write_text(yaml.safe_dump(config))
            lines = (folder / "run.csv").read_text().splitlines()
            named = [f"test/x/{image}.png,{label}" for image, label in (line.split(",") for line in lines)]
            (folder / "run.csv").write_text("\n".join(["image_path,predicted_class", *named]))
    if not known:
        (workshop.folder / "data" / "test_truth.csv").unlink()
    (data,) = workshop.sets()
    assert len(data.systems) == 1  # the form makes no other system
    fuse(data, workshop.folder / "vote", rule="majority", **DRAWS)
    header, first, *_ = rows_of(workshop.folder / "vote" / "run.csv")
    assert (header, first[0]) == (["image_path", "predicted_class"], "test/x/g0.png")
    fused = read_run(workshop.folder / "vote")
    assert len(own_run_file(fused).ids) == 30
