"""Groups left out and labels permuted, against slow references through the intervals."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, t

from fingerprints.core.errors import FingerprintsError
from fingerprints.evidence import metrics
from fingerprints.evidence.coded import BLOCKS
from fingerprints.evidence.intervals import estimate_metrics
from tests.evidence.parts import MODEL, THREE, TWO, USAGE, usage


def figures_of(rows: Any, given: dict[str, Any]) -> dict[str, float]:
    """The figures of these images by the point functions."""
    truth, predicted, scores = (given[name][rows] for name in ("truth", "predicted", "scores"))
    table = metrics.confusion(truth=truth, predicted=predicted, classes=TWO)
    named = metrics.from_confusion(table, classes=TWO, positive="used")
    found = {name: float(value) for name, value in named.items()}
    return {**found, "auc": metrics.auc(positive=truth == "used", scores=scores)}


def test_p_values_are_super_uniform_when_there_is_nothing() -> None:
    """150 null samples with heavy ties, in groups: P(p <= a) must not exceed a (99.9 % binomial margin)."""
    values: dict[str, list[float]] = {"accuracy": [], "auc": [], "kappa": []}
    for seed in range(150):
        rng = np.random.default_rng(seed)
        group = np.repeat(np.arange(20), 3)
        label = rng.permutation(np.repeat(TWO, 10))
        scores = np.repeat(rng.integers(0, 3, 20), 3).astype(float)  # constant within a group
        evaluation = estimate_metrics(
            task=USAGE,
            classes=TWO,
            truth=label[group],
            predicted=np.where(scores > 0, "used", "not_used"),
            scores=scores,
            groups=group.astype(str),
            seed=seed,
            permutations=39,
        )
        for name in values:
            p = evaluation.metrics[name].p
            values[name].append(1.0 if p is None else p)
    for name, found in values.items():
        for level in (0.05, 0.1, 0.25, 0.5):
            below = int(np.sum(np.array(found) <= level))
            assert binomtest(below, 150, level, alternative="greater").pvalue > 0.001, (name, level)
        assert min(found) < 0.2, "a p-value that never falls would be super-uniform too"


def test_permuting_images_of_one_group_would_see_signal_in_noise() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(6), 40)
    truth = np.array(TWO)[np.array([0, 1, 0, 1, 0, 1])[group]]
    guess = np.array(TWO)[np.array([0, 1, 0, 1, 1, 0])[group]]
    given = {"task": USAGE, "classes": TWO, "truth": truth, "predicted": guess, "scores": None, "seed": 0}
    given |= {"permutations": 199}
    by_group = estimate_metrics(**given, groups=group.astype(str))
    by_image = estimate_metrics(**given, groups=rng.permutation(240).astype(str))
    assert by_group.metrics["accuracy"].p > 0.2  # type: ignore[operator]
    assert by_image.metrics["accuracy"].p < 0.01  # type: ignore[operator]


def test_accuracy_unmatched_takes_names_as_they_are() -> None:
    truth = np.repeat(THREE, 20)
    predicted = np.roll(truth, 5)  # three quarters right
    given = {"task": MODEL, "classes": THREE, "truth": truth, "scores": None, "seed": 0}
    given |= {"groups": np.arange(60).astype(str), "permutations": 19}
    for clusters in (True, None):
        found = estimate_metrics(**given, predicted=predicted, clusters=clusters)
        assert found.metrics["accuracy_unmatched"].value == pytest.approx(0.75)
        assert found.metrics["accuracy"].value == pytest.approx(0.75)
    plain = estimate_metrics(**given, predicted=predicted, clusters=False)
    assert "accuracy_unmatched" not in plain.metrics


@pytest.mark.parametrize("count", [2, 3, 5])
def test_accuracy_unmatched_is_the_same_for_any_order_and_names(count: int) -> None:
    rng = np.random.default_rng(count)
    truth, codes = rng.choice(THREE, 90), rng.integers(count, size=90)
    given = {"task": MODEL, "classes": THREE, "scores": None, "seed": 0, "permutations": 5}
    values = []
    for _ in range(4):
        order, names = rng.permutation(90), rng.permutation([f"cluster_{i}" for i in range(9, 9 + count)])
        found = estimate_metrics(
            truth=truth[order], predicted=names[codes[order]], groups=np.arange(90).astype(str), **given
        )
        values.append(found.metrics["accuracy_unmatched"].value)
    sizes = np.bincount(codes, minlength=count)
    every = [  # slow and obvious: the mean over all orders in which no smaller cluster comes first
        np.mean(np.array([*THREE, "", ""])[[order.index(code) for code in codes]] == truth)
        for order in itertools.permutations(range(count))
        if all(sizes[a] >= sizes[b] for a, b in itertools.pairwise(order))
    ]  # fmt: skip
    assert values == pytest.approx([np.mean(every)] * 4)


def test_jackknife_against_a_loop_over_groups() -> None:
    evaluation, given = usage(n=60, per_group=3)
    names = np.unique(given["groups"])
    rest = [figures_of(given["groups"] != name, given) for name in names]
    every = figures_of(np.ones(60, dtype=bool), given)
    for name in ("auc", "kappa", "f1", "precision", "f1_used"):
        values = np.array([figures[name] for figures in rest])
        assert evaluation.without[name] == pytest.approx(values), name
        error = np.sqrt(19 / 20 * np.sum((values - values.mean()) ** 2))
        half = t.ppf(0.975, df=19) * error
        value, estimate = every[name], evaluation.metrics[name]
        if name == "kappa":  # derivative of atanh: 1 / (1 - x^2)
            ends = [np.tanh(np.arctanh(value) + sign * half / (1 - value**2)) for sign in (-1, 1)]
        else:
            odds = [value / (1 - value) * np.exp(sign * half / (value * (1 - value))) for sign in (-1, 1)]
            ends = [each / (1 + each) for each in odds]
        assert (estimate.low, estimate.high) == pytest.approx(tuple(ends)), name


def test_many_groups_are_left_out_in_blocks() -> None:
    evaluation, given = usage(n=900, per_group=2)
    assert {values.shape for values in evaluation.without.values()} == {(BLOCKS,)}
    exact, _ = usage(n=400, per_group=2)
    assert {values.shape for values in exact.without.values()} == {(200,)}
    rest = [figures_of(given["groups"] != name, given)["auc"] for name in np.unique(given["groups"])]
    slow = np.sqrt(449 / 450 * np.sum((np.array(rest) - np.mean(rest)) ** 2))
    blocks = evaluation.without["auc"]
    fast = np.sqrt(199 / 200 * np.sum((blocks - blocks.mean()) ** 2))
    assert fast == pytest.approx(slow, rel=0.15)


def test_answers_to_the_same_images_leave_out_the_same_blocks() -> None:
    """Also if scores and answers sort the images in another order."""
    ours, given = usage(n=900, per_group=2)
    right = estimate_metrics(**{**given, "predicted": given["truth"], "scores": -given["scores"]})
    assert right.without["auc"] == pytest.approx(1 - ours.without["auc"])


def test_one_stray_image_does_not_switch_the_test() -> None:
    """Eight patients of 25 images with one answer for each: p is that of patients, with a stray image too."""
    label = np.array([0, 1, 0, 1, 0, 1, 0, 1])
    answer = np.array([0, 1, 0, 1, 0, 1, 1, 0])
    group = np.repeat(np.arange(8), 25)
    truth = np.array(TWO)[label[group]]
    given = {"task": USAGE, "classes": TWO, "predicted": np.array(TWO)[answer[group]], "scores": None}
    given |= {"groups": group.astype(str), "seed": 0, "permutations": 499}
    pure = estimate_metrics(**given, truth=truth)
    stray = truth.copy()
    stray[0] = TWO[1]
    mixed = estimate_metrics(**given, truth=stray)
    assert pure.permuted == "groups"
    assert mixed.permuted == "groups, and images within mixed groups"
    for found in (pure, mixed):
        assert found.metrics["kappa"].p > 0.1  # type: ignore[operator]
        assert found.p_among_images("kappa") == 0.002
        assert found.metric_json("kappa")["p_images"] == 0.002


def test_labels_of_mixed_groups_stay_in_them() -> None:
    """All groups hold 1 used image of 4: an answer that knows only the group is no better than chance."""
    group = np.arange(80) // 4
    truth = np.where(np.arange(80) % 4 == 0, "used", "not_used")
    given = {"task": USAGE, "classes": TWO, "truth": truth, "scores": None, "groups": group.astype(str)}
    by_group = np.where(group % 3 == 0, "used", "not_used")
    found = estimate_metrics(**given, predicted=by_group, seed=0, permutations=99)
    assert found.permuted == "images within groups"
    assert np.ptp(found.nulls["accuracy"]) == pytest.approx(0)
    assert found.metrics["accuracy"].p == 1


@pytest.mark.parametrize(("used", "least"), [(1, 1 / 6), (3, 1 / 20), (0, 1.0)])
def test_least_p_is_that_of_the_arrangements(used: int, least: float) -> None:
    """Six patients of 5 images: as many different answers as there are ways to choose those of members."""
    truth = np.repeat(np.arange(6) < used, 5)
    given = {"task": USAGE, "classes": TWO, "truth": np.array(TWO)[truth * 1], "scores": None, "seed": 0}
    given |= {"predicted": np.array(TWO)[truth * 1], "groups": (np.arange(30) // 5).astype(str)}
    assert estimate_metrics(**given).least_p == pytest.approx(least)
    given["groups"] = np.full(30, "one")
    assert estimate_metrics(**given).least_p == pytest.approx(0.001 if used else 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": np.zeros((200, 2))}, "shape"),
        ({"scores": np.full(200, np.nan)}, "not finite"),
        ({"groups": ["a"]}, "the numbers must be equal"),
        ({"predicted": np.full(200, "perhaps")}, "perhaps"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], message: str) -> None:
    _, given = usage()
    with pytest.raises(FingerprintsError, match=message):
        estimate_metrics(**{**given, **change})
