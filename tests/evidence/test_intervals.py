"""Intervals that cover, p-values that are honest, and figures that admit what they cannot know."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from fingerprints.evidence import metrics
from fingerprints.evidence.estimates import p_value
from fingerprints.evidence.intervals import estimate_metrics
from tests.evidence.parts import MODEL, SUBSET, THREE, TWO, USAGE, perfect, subset, usage


def test_metrics_and_their_order() -> None:
    four = ["precision", "recall", "f1", "specificity"]
    weighted = [f"{name}_weighted" for name in four]
    evaluation, _ = usage()
    expected = ["accuracy", *four, *weighted, *(f"{name}_used" for name in four)]
    assert list(evaluation.metrics) == [*expected, "kappa", "auc", "tpr_at_fpr_0.01"]
    assert list(subset().metrics) == ["accuracy", *four, *weighted, "kappa", "auc", "ari", "nmi"]
    assert (evaluation.n, evaluation.n_groups) == (200, 200)


def test_values_are_those_of_the_point_functions() -> None:
    evaluation, given = usage()
    member = given["truth"] == "used"
    assert evaluation.metrics["auc"].value == pytest.approx(
        metrics.auc(positive=member, scores=given["scores"])
    )
    assert evaluation.metrics["tpr_at_fpr_0.01"].value == pytest.approx(
        metrics.tpr_at_fpr(positive=member, scores=given["scores"], fpr=0.01)
    )
    table = metrics.confusion(truth=given["truth"], predicted=given["predicted"], classes=TWO)
    for name, value in metrics.from_confusion(table, classes=TWO, positive="used").items():
        assert evaluation.metrics[name].value == pytest.approx(float(value)), name


def test_exchanged_labels_of_unequal_groups_leave_too_few_non_members_and_still_a_rate() -> None:
    """160 non-members in four large groups allow a rate, and so must 80 in four small ones."""
    group = np.repeat(np.arange(10), [40] * 4 + [20] * 6)
    _, given = usage(n=280)
    truth = np.where(group < 4, "not_used", "used")
    found = estimate_metrics(**{**given, "truth": truth, "groups": group.astype(str)})
    null = found.nulls["tpr_at_fpr_0.01"]
    assert found.metrics["tpr_at_fpr_0.01"].value is not None
    assert len(np.unique(null)) > 1
    assert np.isfinite(null).all()


def test_one_answer_for_all_has_no_p_but_its_scores_have() -> None:
    """With groups of unequal size the accuracy changes with the labels, but the answer does not see them."""
    group = np.repeat(np.arange(10), [40] * 4 + [20] * 6)
    _, given = usage(n=280)
    truth = np.where(group < 4, "not_used", "used")
    found = estimate_metrics(
        **{**given, "truth": truth, "groups": group.astype(str), "predicted": np.full(280, "used")}
    )
    for name in ("accuracy", "kappa", "f1_used", "recall_used"):
        assert found.metrics[name].p is None, name
        assert "one answer" in str(found.metrics[name].reason), name
    assert found.metrics["accuracy"].value == pytest.approx(120 / 280)
    assert found.metrics["auc"].p is not None


def test_values_lie_within_their_intervals_and_json_is_plain() -> None:
    for evaluation in (usage()[0], subset()):
        for name, estimate in evaluation.metrics.items():
            assert estimate.low is not None, name
            assert estimate.value is not None, name
            assert estimate.high is not None, name
            assert estimate.low <= estimate.value <= estimate.high, name
            assert evaluation.without[name].shape == (evaluation.n_groups,)
            assert evaluation.nulls[name].shape == (99,)
        text = json.dumps(evaluation.to_json(), allow_nan=False)
        others = set() if evaluation.name_nulls == {} else {"p_names"}
        assert json.loads(text)["metrics"]["accuracy"].keys() == {"value", "low", "high", "p", *others}


def test_order_of_images_does_not_matter() -> None:
    for per_group in (1, 4):
        evaluation, given = usage(per_group=per_group)
        order = np.random.default_rng(9).permutation(200)
        shuffled = {name: given[name][order] for name in ("truth", "predicted", "scores", "groups")}
        assert estimate_metrics(**{**given, **shuffled}).to_json() == evaluation.to_json()
    given["truth"] = np.random.default_rng(1).permutation(given["truth"])  # groups of both labels
    mixed = estimate_metrics(**given)
    shuffled["truth"] = given["truth"][order]
    assert mixed.permuted == "groups, and images within mixed groups"
    assert estimate_metrics(**{**given, **shuffled}).to_json() == mixed.to_json()


def test_seed_zero_is_a_seed() -> None:
    evaluation, given = usage(shift=0.2)
    assert estimate_metrics(**given).to_json() == evaluation.to_json()
    assert estimate_metrics(**{**given, "seed": 1}).to_json() != evaluation.to_json()


def test_clustered_images_are_worth_less() -> None:
    grouped, given = usage(n=300, per_group=10, shift=0.5)
    alone = estimate_metrics(**{**given, "groups": np.arange(300).astype(str)})
    for name in ("accuracy", "auc", "kappa"):
        wide, narrow = grouped.metrics[name], alone.metrics[name]
        assert wide.high - wide.low > 2 * (narrow.high - narrow.low), name  # type: ignore[operator]
    assert grouped.n_groups == 30
    assert grouped.permuted == "groups"


def test_p_value_counts_ties_and_itself() -> None:
    assert p_value(observed=0.5, null=np.array([0.4, 0.5 - 1e-15, 0.6, np.nan])) == pytest.approx(4 / 5)
    assert p_value(observed=2.0, null=np.zeros(99)) == 0.01


def test_too_few_groups_have_no_interval() -> None:
    evaluation, _ = usage(n=200, per_group=50)
    estimate = evaluation.metrics["accuracy"]
    assert (estimate.low, estimate.high) == (None, None)
    assert "4 group(s)" in str(estimate.reason)
    assert estimate.p is not None


def test_too_few_non_members() -> None:
    few = usage(n=198)[0].metrics["tpr_at_fpr_0.01"]
    assert few.to_json()["value"] is None
    assert "99 non-members" in str(few.reason)
    assert usage(n=200)[0].metrics["tpr_at_fpr_0.01"].value is not None
    assert "tpr_at_fpr_0.001" not in usage(n=1998, permutations=5)[0].metrics
    assert "tpr_at_fpr_0.001" in usage(n=2000, permutations=5)[0].metrics


def test_one_class_only() -> None:
    _, given = usage()
    evaluation = estimate_metrics(**{**given, "truth": np.full(200, "used")})
    for name in ("kappa", "auc", "tpr_at_fpr_0.01"):
        assert evaluation.metrics[name].value is None
        assert evaluation.metrics[name].reason
    assert evaluation.metrics["accuracy"].p == 1.0


def test_constant_answer_admits_that_nothing_varies() -> None:
    _, given = usage()
    evaluation = estimate_metrics(**{**given, "predicted": np.full(200, "not_used")})
    kappa = evaluation.metrics["kappa"]
    assert (kappa.value, kappa.low, kappa.p) == (0.0, None, None)
    assert "the same without any" in str(kappa.reason)
    assert "no image called used" in str(evaluation.metrics["precision_used"].reason)


def test_clusters_are_matched_before_they_are_scored() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(THREE, 120)
    renamed = np.array([{"t1": "c", "t2": "a", "t3": "b"}[label] for label in truth])
    given = {"task": MODEL, "classes": THREE, "truth": truth, "predicted": renamed, "scores": None, "seed": 0}
    given |= {"groups": np.arange(120).astype(str), "permutations": 99}
    evaluation = estimate_metrics(**given)
    assert evaluation.metrics["accuracy"].value == 1
    largest = sorted(THREE, key=lambda label: -np.sum(truth == label))  # class k is called by its rank
    right = sum(
        np.sum(truth == label) for label, wanted in zip(largest, THREE, strict=True) if label == wanted
    )
    assert evaluation.metrics["accuracy_unmatched"].value == pytest.approx(right / 120)
    assert evaluation.metrics["ari"].value == pytest.approx(1)
    assert 0.8 < evaluation.metrics["ari"].low < 1  # type: ignore[operator]
    assert "auc" not in evaluation.metrics
    noise = estimate_metrics(**{**given, "predicted": rng.choice(["a", "b", "c", "d"], 120)})
    chance = noise.nulls["accuracy"].mean()
    assert chance > 0.29, (
        "unmatched, chance is a quarter: matching pays for itself only if the null is matched too"
    )
    assert noise.metrics["accuracy"].p > 0.05  # type: ignore[operator]


def test_a_class_that_nobody_is_of_makes_no_pairs() -> None:
    truth = np.repeat(THREE[:2], [8, 12])
    evaluation = estimate_metrics(
        task=SUBSET, classes=THREE, truth=truth, predicted=truth, seed=0, permutations=19,
        scores=(truth[:, None] == np.array(THREE)).astype(float), groups=np.arange(20).astype(str),
    )  # fmt: skip
    assert evaluation.metrics["auc"].low == pytest.approx((0.05 / 2 / 2) ** (1 / 8))


def test_equal_clusters_are_chance_without_matching() -> None:
    truth = np.repeat(THREE, 20)
    given = {"task": MODEL, "classes": THREE, "truth": truth, "scores": None, "seed": 0}
    given |= {"groups": np.arange(60).astype(str), "permutations": 5}
    found = estimate_metrics(**given, predicted=np.repeat(["x", "y", "z"], 20)).metrics
    assert (found["accuracy"].value, found["accuracy_unmatched"].value) == (1, pytest.approx(1 / 3))


def test_five_groups_are_enough_and_four_are_not() -> None:
    for groups, enough in ((4, False), (5, True)):
        found, _ = usage(n=40 * groups, per_group=40, shift=0.5)
        assert (found.metrics["accuracy"].low is not None) == enough
    few = perfect(used=4, others=30).metrics
    assert few["specificity_used"].reason is None
    assert (few["recall_used"].value, few["recall_used"].low, few["recall_used"].high) == (1, None, None)
    assert re.search(r"4 group\(s\) with a used image .*5 needed", str(few["recall_used"].reason))
    assert perfect(used=5, others=30).metrics["recall_used"].low == pytest.approx(0.025 ** (1 / 5))
    small = perfect(used=2, others=2).metrics["accuracy"]
    assert small.reason == "4 group(s) are too few for an interval (5 needed)"


def test_figures_of_one_class_are_missing_by_name() -> None:
    reason = "all images are of one class"
    found = perfect(used=150, others=0).metrics
    assert {name for name, estimate in found.items() if estimate.reason == reason} == {"kappa", "auc"}
    given = {"classes": THREE, "truth": ["t1"] * 30, "predicted": ["t1", "t2"] * 15, "seed": 0}
    given |= {"groups": np.arange(30).astype(str), "permutations": 19}
    for scores, expected in (
        (np.zeros((30, 3)), {"kappa", "auc", "ari", "nmi"}),
        (None, {"kappa", "ari", "nmi"}),
    ):
        found = estimate_metrics(task=SUBSET, scores=scores, **given).metrics
        assert {name for name, estimate in found.items() if estimate.reason == reason} == expected
        assert {name for name, estimate in found.items() if estimate.value is None} >= expected


def test_bounds_of_perfect_clusters_do_not_hang_on_their_names() -> None:
    truth = np.repeat(THREE, [10, 15, 25])
    given = {"task": MODEL, "classes": THREE, "truth": truth, "scores": None, "seed": 0}
    given |= {"groups": np.arange(50).astype(str), "permutations": 19}
    named = estimate_metrics(**given, predicted=truth).metrics
    renamed = estimate_metrics(**given, predicted=np.repeat(["c", "a", "b"], [10, 15, 25])).metrics
    for name in named.keys() - {"accuracy_unmatched"}:
        assert renamed[name].low == pytest.approx(named[name].low), name
        assert 0.5 < float(str(renamed[name].low)) < 1, name


def test_a_cluster_too_many_leaves_precision_without_a_bound() -> None:
    """Every cluster has one class, so that precision is 1; one image is missed, and nothing is perfect."""
    truth = np.repeat(THREE, [10, 15, 25])
    evaluation = estimate_metrics(
        task=MODEL, classes=THREE, truth=truth, predicted=np.repeat(list("abcd"), [10, 15, 24, 1]), seed=0,
        scores=None, groups=np.arange(50).astype(str), permutations=19,
    )  # fmt: skip
    precision = evaluation.metrics["precision"]
    assert (precision.value, precision.low, precision.high) == (1, None, None)
    assert "the same without any" in str(precision.reason)


@pytest.mark.parametrize("icc", [0.0, 0.7])
def test_intervals_cover_with_few_groups(icc: float) -> None:
    """120 samples of 13 groups; 95 % would be 114, and 106 or fewer has a chance below 1 in 200.

    Percentile intervals of 1,000 resampled groups cover the AUC in 84 % (icc 0) and 69 % of them (icc 0.7).
    """
    covered = dict.fromkeys(("accuracy", "auc"), 0)
    truths = {"accuracy": norm.cdf(0.5), "auc": norm.cdf(0.5**0.5)}
    for seed in range(120):
        rng = np.random.default_rng(seed)
        group = np.arange(130) // 10
        truth = rng.permutation(np.repeat(TWO, [7, 6]))[group]
        own = rng.normal(size=13)[group] * icc**0.5
        scores = (truth == "used") + own + rng.normal(size=130) * (1 - icc) ** 0.5
        evaluation = estimate_metrics(
            task=USAGE,
            classes=TWO,
            truth=truth,
            predicted=np.where(scores > 0.5, "used", "not_used"),
            scores=scores,
            groups=group.astype(str),
            seed=seed,
            permutations=1,
        )
        for name in covered:
            estimate = evaluation.metrics[name]
            low, high = (0.0, 1.0) if estimate.low is None else (estimate.low, estimate.high)
            covered[name] += low <= truths[name] <= high  # type: ignore[operator]
    assert min(covered.values()) >= 107, covered


@pytest.mark.parametrize("apart", [True, False])
def test_no_error_has_no_lower_end_than_an_error(apart: bool) -> None:
    """13 groups; by percentiles, no error gave [0.753, 1], and one error [0.989, 1].

    Errors in one group lower the end further. Errors in several groups show that they do not come together,
    so that the end may rise with them, but not far.
    """
    truth = np.tile(TWO, 65)
    groups = (np.arange(130) // 10).astype(str)
    lows = []
    for errors in range(4):
        predicted = truth.copy()
        predicted[np.arange(errors) * (10 if apart else 2)] = "used"
        given = {"task": USAGE, "classes": TWO, "truth": truth, "predicted": predicted, "scores": None}
        found = estimate_metrics(**given, groups=groups, seed=0, permutations=1).metrics["accuracy"]
        assert found.value == pytest.approx(1 - errors / 130)
        lows.append(float(str(found.low)))
    assert lows[1] < lows[0]
    assert max(lows) < lows[0] + 0.06
    assert apart or lows == sorted(lows, reverse=True)


def test_tpr_of_noise_is_its_false_positive_rate() -> None:
    """100 non-members, 2,000 draws: 0.01, where floor(0.01 x 100) false positives would give 0.02."""
    rng = np.random.default_rng(0)
    positive = np.arange(150) < 50
    found = [metrics.tpr_at_fpr(positive=positive, scores=rng.normal(size=150)) for _ in range(2000)]
    assert np.mean(found) == pytest.approx(1 / 101, abs=0.0015)


def test_tpr_interval_covers() -> None:
    """200 samples of 40 members and 400 non-members; 182 or fewer of 95 % have a chance of 1 in 300."""
    true, covered = norm.sf(norm.isf(0.01) - 2), 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        truth = np.repeat(["used", "not_used"], [40, 400])
        found = perfect(
            used=40, others=400, scores=rng.normal(size=440) + 2 * (truth == "used"), permutations=1
        )
        estimate = found.metrics["tpr_at_fpr_0.01"]
        covered += estimate.low <= true <= estimate.high  # type: ignore[operator]
    assert covered >= 183


def test_a_class_in_one_group_leaves_no_interval() -> None:
    scores = np.random.default_rng(0).normal(size=40)
    groups = (np.arange(40) // 5).astype(str)
    rare = perfect(used=35, others=5, scores=scores, groups=groups).metrics["auc"]
    assert (rare.low, rare.high) == (None, None)
    assert "there is no image of a class" in str(rare.reason)
    assert perfect(used=20, others=20, scores=scores, groups=groups).metrics["auc"].reason is None


@pytest.mark.parametrize("task", [USAGE, SUBSET, MODEL])
@pytest.mark.parametrize("groups", ["one", "two", "own"])
@pytest.mark.parametrize("scores", ["constant", "ties", "none"])
def test_poor_input_gives_figures_or_reasons(task: Any, groups: str, scores: str) -> None:
    classes = TWO if task is USAGE else THREE
    truth = np.resize(classes, 12)
    shape = 12 if task is USAGE else (12, 3)
    values = {"constant": np.ones(shape), "ties": np.ones(shape).cumsum(axis=0) // 4, "none": None}[scores]
    with np.errstate(all="raise"):
        found = estimate_metrics(
            task=task,
            classes=classes,
            truth=truth,
            predicted=np.roll(truth, 1),  # never right
            scores=values,
            groups=np.resize({"one": ["a"], "two": ["a", "b"], "own": list("abcdefghijkl")}[groups], 12),
            seed=0,
            permutations=9,
        )
    for name, estimate in found.metrics.items():
        for number in (estimate.value, estimate.low, estimate.high, estimate.p):
            assert number is None or np.isfinite(number), name
        assert estimate.low is not None or estimate.reason, name


def test_kappa_of_minus_one_has_no_interval() -> None:
    wrong = np.repeat(["not_used", "used"], [20, 20])
    groups = (np.arange(1, 41) // 4).astype(str)  # of unequal sizes, so that kappa varies without them
    kappa = perfect(used=20, others=20, predicted=wrong, groups=groups).metrics["kappa"]
    assert (kappa.value, kappa.low) == (-1, None)
    assert "at its bound" in str(kappa.reason)


def test_permutations_unless_told_otherwise() -> None:
    truth = np.array(["used", "not_used"] * 3)
    given = {"task": USAGE, "classes": TWO, "truth": truth, "predicted": truth, "scores": None, "seed": 0}
    evaluation = estimate_metrics(**given, groups=np.arange(6).astype(str))
    assert evaluation.nulls["accuracy"].shape == (999,)


def test_there_is_no_second_p_where_images_are_groups() -> None:
    evaluation, _ = usage()
    assert evaluation.p_among_images("kappa") is None
    assert "p_images" not in evaluation.metric_json("kappa")


def test_names_exchanged_in_every_way() -> None:
    """Three classes that are told apart, with a name too many for chance: 1 of 6 orders does as well."""
    rng = np.random.default_rng(0)
    truth = rng.choice(THREE, 60)
    predicted = np.where(rng.random(60) < 0.8, truth, rng.choice(THREE, 60))
    given = {"task": SUBSET, "classes": THREE, "truth": truth, "scores": None, "seed": 0, "permutations": 9}
    given |= {"groups": np.arange(60).astype(str)}
    for exchanged in itertools.permutations(THREE):
        names = dict(zip(THREE, exchanged, strict=True))
        answers = np.array([names[label] for label in predicted])
        found = estimate_metrics(**given, predicted=answers)
        every = [
            np.mean(np.array([dict(zip(THREE, other, strict=True))[label] for label in answers]) == truth)
            for other in itertools.permutations(THREE)
        ]
        share = np.mean(np.array(every) >= found.metrics["accuracy"].value - 1e-12)  # type: ignore[operator]
        assert found.p_of_names("accuracy") == pytest.approx(share)
    assert estimate_metrics(**given, predicted=predicted).p_of_names("accuracy") == pytest.approx(1 / 6)
    assert estimate_metrics(**given, predicted=predicted, clusters=True).p_of_names("accuracy") is None
    assert usage()[0].name_nulls == {}
