"""Dense regions, and clusters made of one label in each."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import DBSCAN

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import get_task
from fingerprints.decisions.clusters.dbscan_rerank import DbscanRerank, dense_regions, rerank
from fingerprints.decisions.clusters.labels import renamed
from tests.decisions.parts import answers, asked, clustering, finished_run, fitted, images, settings


def letters(text: str) -> np.ndarray:
    return np.array(list(text))


def points(seed: int = 0, n: int = 90) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 3, n)[:, None] + 0.5 * rng.normal(size=(n, 5))).astype(np.float32)


@pytest.mark.parametrize("quantile", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("min_samples", [2, 4])
def test_a_quantile_of_the_images_is_core(quantile: float, min_samples: int) -> None:
    own = points()
    distances = np.linalg.norm(own[:, None].astype(float) - own[None], axis=2)
    radius = np.quantile(np.sort(distances, axis=1)[:, min_samples - 1], quantile) * (1 + 1e-5)
    expected = DBSCAN(eps=radius, min_samples=min_samples).fit(own.astype(float))
    regions = dense_regions(own, quantile=quantile, min_samples=min_samples)
    assert regions.tolist() == expected.labels_.tolist()
    assert len(expected.core_sample_indices_) == pytest.approx(quantile * 90, abs=1)


def test_copies_are_a_region() -> None:
    own = np.repeat(points(n=4), 6, axis=0)
    assert len(set(dense_regions(own).tolist())) == 4


@pytest.mark.parametrize("options", [{"quantile": 0.0}, {"min_samples": 1}, {"min_samples": 91}])
def test_options_out_of_range(options: dict) -> None:
    with pytest.raises(FingerprintsError, match="DBSCAN cannot"):
        dense_regions(points(), **options)


def test_regions_take_their_majority_and_noise_its_own() -> None:
    regions = np.array([0, 0, 0, 1, 1, 1, -1, -1, 2, 2])
    assert "".join(rerank(letters("aabbbacbba"), regions)) == "aaabbbcbaa"  # a tie: first in the alphabet


def test_rerank_is_its_parts() -> None:
    own = points()
    found = answers(clustering("dbscan_rerank", 6), own)
    earlier = answers(clustering("kmeans", 6), own).labels
    expected = rerank(earlier, dense_regions(own))
    pairs = set(zip(found.labels.tolist(), expected.tolist(), strict=True))
    assert len(pairs) == len(set(expected)) == len(set(found.labels))
    assert (found.labels != earlier).any()
    assert found.scores is None


@pytest.mark.parametrize("options", [{"quantile": 0.2}, {"min_samples": 12}, {"earlier": "hierarchical"}])
def test_each_option_changes_clusters(options: dict) -> None:
    own = points()
    one, two = (answers(clustering("dbscan_rerank", 6, **o), own).labels for o in ({}, options))
    assert (one != two).any()


def test_a_runs_answers_are_reranked_by_id_and_kept_in_the_state(tmp_path: Path) -> None:
    own = points()
    given = np.random.default_rng(1).choice(["t1", "t2", "t3"], 90)
    ids = np.array([f"g{i}" for i in range(90)])
    run = finished_run(tmp_path / "run", dict(zip(ids[::-1].tolist(), given[::-1].tolist(), strict=True)))
    part = replace(asked(own), queries=replace(images(own), ids=ids))
    decision = fitted("dbscan_rerank", part, ["t1", "t2", "t3"], run=run)
    found = decision.predict(part).labels
    assert found.tolist() == renamed(rerank(given, dense_regions(own))).tolist()
    shutil.rmtree(run)
    assert type(decision).from_state(decision.state()).predict(part).labels.tolist() == found.tolist()
    without = fitted("dbscan_rerank", part, ["t1", "t2", "t3"]).predict(part).labels
    assert without.tolist() != found.tolist()
    assert decision.predict(asked(own)).labels.tolist() == without.tolist()  # no ids: no answers


def test_images_that_the_run_lacks_get_the_earlier_cluster_under_its_labels(tmp_path: Path) -> None:
    own = np.repeat(np.eye(3, dtype=np.float32), 10, axis=0)
    own += np.random.default_rng(0).normal(scale=0.01, size=own.shape).astype(np.float32)
    ids = np.array([f"g{i}" for i in range(30)])
    truth = np.repeat(["t3", "t1", "t2"], 10)
    answers_of = {name: label for i, (name, label) in enumerate(zip(ids, truth, strict=True)) if i % 2}
    part = replace(asked(own), queries=replace(images(own), ids=ids))
    run = finished_run(tmp_path / "run", answers_of)
    decision = fitted("dbscan_rerank", part, ["t1", "t2", "t3"], run=run)
    np.testing.assert_array_equal(decision._earlier(own, ids), truth)
    few = {name: label for name, label in answers_of.items() if label != "t2"}
    strange = replace(decision, answers=few)._earlier(own, ids)
    assert strange[:20].tolist() == truth[:20].tolist()
    assert len(set(strange[20:])) == 1
    assert strange[20].endswith(" of kmeans")


@pytest.mark.parametrize(
    ("options", "change", "words"),
    [
        ({"where": "nothing"}, {}, "no run folder"),
        ({"task": "model"}, {}, "has task 'model', and this one 'subset'"),
        ({"state": "failed"}, {}, "no predictions of a test part .its state: failed"),
        ({}, {"asked": ["x7", "x8"]}, "it has g0, g1, and the test part has x7, x8"),
        ({}, {"known": ["g1"]}, "1 image.s. of the training part"),
        ({"cluster_on": "real"}, {}, "only real images are clustered"),
    ],
)
def test_a_run_that_does_not_fit_is_refused_before_any_work(
    tmp_path: Path, options: dict, change: dict, words: str
) -> None:
    made = {key: options[key] for key in ("task", "state") if key in options}
    run = finished_run(tmp_path / "run", {"g0": "t1", "g1": "t2"}, **made)
    on = options.get("cluster_on")
    own = settings("dbscan_rerank", run=run.with_name(options.get("where", "run")), cluster_on=on)
    with pytest.raises(FingerprintsError, match=words) as error:
        DbscanRerank.check(own, task=get_task("subset"), **({"asked": ["g1"], "known": []} | change))
    assert "decision.run=" in str(error.value.where)
    assert (
        DbscanRerank.check(settings("dbscan_rerank"), task=get_task("subset"), asked=["x"], known=[]) is None
    )
