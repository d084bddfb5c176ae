"""Trivial and blind baselines: what they may see, and what they answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import TASKS
from fingerprints.data.splits import k_folds
from fingerprints.evidence import baselines

USAGE, SUBSET = TASKS["usage"], TASKS["subset"]
TWO = ("not_used", "used")
THREE = ("t1", "t2", "t3")


def test_trivial_answers() -> None:
    truth = np.repeat(TWO, [60, 20])
    found = baselines.trivial(
        task=USAGE,
        classes=TWO,
        truth=truth,
        train_labels=["not_used"] * 5 + ["used"] * 3,
        groups=np.arange(80).astype(str),
        seed=0,
        permutations=19,
    )
    assert list(found) == ["all_used", "majority", "random"]
    assert found["all_used"].metrics["accuracy"].value == 0.25
    assert found["all_used"].metrics["recall_used"].value == 1
    assert found["majority"].metrics["accuracy"].value == 0.75
    assert found["majority"].metrics["kappa"].value == 0
    guess = found["random"].metrics["accuracy"]
    assert guess.value == pytest.approx(0.5, abs=0.01)
    # 95 % of 80 fair coins, by the binomial distribution
    assert (guess.low, guess.high) == pytest.approx((31 / 80, 49 / 80), abs=0.02)
    assert guess.p is None
    assert found["random"].metrics["kappa"].value == pytest.approx(0, abs=0.01)


def test_majority_is_of_the_training_labels() -> None:
    found = baselines.trivial(
        task=SUBSET,
        classes=THREE,
        truth=["t1"] * 9 + ["t2"] * 3,
        train_labels=["t2", "t2", "t1"],
        groups=[str(i) for i in range(12)],
        seed=0,
        permutations=9,
    )
    assert list(found) == ["majority", "random"]
    assert found["majority"].metrics["accuracy"].value == 0.25
    assert found["random"].metrics["accuracy"].value == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize("bins", [1, 7, 32, 256])
def test_histograms_agree_with_a_loop(bins: int, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 7), dtype=np.uint8)
    images[4] = 255
    monkeypatch.setattr(baselines, "_CHUNK_PIXELS", 90)  # two images a time, so that chunks have edges
    features = baselines.histogram_features(images, bins=bins)
    for row, image in zip(features, images, strict=True):
        expected = np.zeros(bins)
        for grey in image.ravel():
            expected[int(grey) * bins // 256] += 1 / 42
        assert row == pytest.approx(expected)
    assert features.sum(axis=1) == pytest.approx(1)


def test_histograms_refuse_other_images() -> None:
    with pytest.raises(ValueError, match="uint8"):
        baselines.histogram_features(np.zeros((2, 4, 4)))  # type: ignore[arg-type]


def test_file_features(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 16), dtype=np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.zeros((8, 16), dtype=np.uint8)).save(tmp_path / "b.JPEG", format="JPEG")
    (tmp_path / "c.raw").write_bytes(bytes(64))
    paths = [tmp_path / name for name in ("a.png", "b.JPEG", "c.raw")]
    features = baselines.file_features(paths)
    sizes = np.array([path.stat().st_size for path in paths])
    assert features[:, 0] == pytest.approx(np.log2(sizes))
    assert features[:, 1] == pytest.approx([np.log2(sizes[0] / 128), np.log2(sizes[1] / 128), 0])
    assert features[:, 2].tolist() == [0, 1, len(baselines.FORMATS)]
    with pytest.raises(FingerprintsError, match="no longer exists"):
        baselines.file_features([tmp_path / "missing.png"])


def test_blind_baseline_sees_a_difference_of_brightness_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(TWO, 60)
    brightness = np.where(labels == "used", 150, 100)[:, None, None]
    biased = np.clip(brightness + rng.normal(0, 25, (120, 8, 8)), 0, 255).astype(np.uint8)
    train = np.arange(120) % 2 == 0
    for images, low, high in ((biased, 0.95, 1.0), (rng.permutation(biased), 0.25, 0.75)):
        features = baselines.histogram_features(images)
        answers = baselines.blind(
            task=USAGE,
            classes=TWO,
            train_features=features[train],
            train_labels=labels[train],
            train_groups=np.arange(60).astype(str),
            test_features=features[~train],
        )
        assert low <= np.mean(answers.predicted == labels[~train]) <= high
        assert answers.scores.shape == (60,)
        assert ((answers.scores > 0.5) == (answers.predicted == "used")).all()


def test_blind_baseline_gives_every_group_one_voice() -> None:
    """A hundred copies of one mislabelled patient change the answer only if copies have voices."""
    features = np.array([[0.0], [1.0], [2.0], [3.0]] + [[3.0]] * 100)
    labels = ["t1", "t1", "t2", "t2"] + ["t1"] * 100
    answers = [
        baselines.blind(
            task=SUBSET,
            classes=THREE,
            train_features=features,
            train_labels=labels,
            train_groups=groups,
            test_features=np.array([[3.0]]),
        )
        for groups in ([*"abcd", *("e" * 100)], [str(i) for i in range(104)])
    ]
    one_voice, many = (float(answer.scores[0, 1]) for answer in answers)
    assert one_voice > 2 * many
    assert answers[0].scores.shape == (1, 3)
    assert answers[0].scores[0, 2] == 0, "a class that training lacks"


def test_within_the_test_part_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat(TWO, 20)
    groups = np.arange(40).astype(str)
    features = rng.normal(size=(40, 3)) + (labels == "used")[:, None]
    found = baselines.within_test(
        task=USAGE, classes=TWO, features=features, labels=labels, groups=groups, seed=3, permutations=9
    )
    scores = cross_val_predict(
        make_pipeline(StandardScaler(), LogisticRegression()),
        features,
        labels,
        cv=PredefinedSplit(k_folds(labels.tolist(), groups.tolist(), k=5, seed=3)),
        method="predict_proba",
    )[:, 1]
    assert found.metrics["auc"].value == pytest.approx(roc_auc_score(labels == "used", scores))
    assert found.metrics["accuracy"].value == np.mean((scores > 0.5) == (labels == "used"))
    assert found.cross_fitted
    for one in found.metrics.values():
        assert one.p is None
        assert str(one.reason).endswith(baselines.NO_P)


def test_within_the_test_part_no_group_answers_itself() -> None:
    """Features that name the patient give everything away to whoever has seen the patient."""
    patients = np.repeat(np.arange(12), 5)
    given = {"features": np.eye(12)[patients], "labels": np.array(TWO)[patients % 2], "seed": 0}
    found = [
        baselines.within_test(task=USAGE, classes=TWO, groups=groups.astype(str), permutations=9, **given)
        for groups in (patients, np.arange(60))
    ]
    assert found[0].metrics["auc"].value <= 0.5  # type: ignore[operator]
    assert found[1].metrics["auc"].value == 1


@pytest.mark.parametrize(
    ("labels", "groups", "reason"),
    [
        ("uuuu", "abcd", "All images of the test part are of one class"),
        ("uuun", "abcd", "Label 'not_used' has 1 group(s)"),
        ("uunnn", "acabb", "needs training images of at least two classes"),
    ],
)
def test_within_the_test_part_there_may_be_no_figure(labels: str, groups: str, reason: str) -> None:
    found = baselines.within_test(
        task=USAGE,
        classes=TWO,
        features=np.arange(len(labels), dtype=float)[:, None],
        labels=["used" if letter == "u" else "not_used" for letter in labels],
        groups=list(groups),
        seed=0,
    )
    assert list(found.metrics) == ["kappa"]
    assert found.metrics["kappa"].value is None
    assert reason in str(found.metrics["kappa"].reason)


def test_blind_baseline_needs_two_classes() -> None:
    with pytest.raises(FingerprintsError, match="two classes"):
        baselines.blind(
            task=USAGE,
            classes=TWO,
            train_features=np.zeros((2, 1)),
            train_labels=["used", "used"],
            train_groups=["a", "b"],
            test_features=np.zeros((1, 1)),
        )
