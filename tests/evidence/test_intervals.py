"""Intervals that cover, p-values that are honest, and figures that admit what they cannot know."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, norm, t

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import TASKS
from fingerprints.evidence import metrics
from fingerprints.evidence.coded import BLOCKS
from fingerprints.evidence.estimates import Evaluation, p_value
from fingerprints.evidence.intervals import estimate_metrics
from fingerprints.evidence.mean import mean_evaluation

USAGE, SUBSET, MODEL = TASKS["usage"], TASKS["subset"], TASKS["model"]
TWO = ("not_used", "used")
THREE = ("t1", "t2", "t3")


def usage(
    *, n: int = 200, shift: float = 0.8, seed: int = 0, per_group: int = 1, **options: Any
) -> tuple[Evaluation, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    group = np.arange(n) // per_group
    truth = np.where(group % 2 == 0, "used", "not_used")
    noise = np.repeat(rng.normal(size=n), per_group)[:n]
    scores = noise + shift * (truth == "used")
    given = {
        "task": USAGE,
        "classes": TWO,
        "truth": truth,
        "predicted": np.where(scores > shift / 2, "used", "not_used"),
        "scores": scores,
        "groups": group.astype(str),
        "seed": seed,
        "permutations": 99,
        **options,
    }
    return estimate_metrics(**given), given


def subset(*, n: int = 150, skill: float = 0.5, seed: int = 0, **options: Any) -> Evaluation:
    rng = np.random.default_rng(seed)
    truth = rng.choice(THREE, n)
    given = {
        "task": SUBSET,
        "classes": THREE,
        "truth": truth,
        "predicted": np.where(rng.random(n) < skill, truth, rng.choice(THREE, n)),
        "scores": rng.random((n, 3)) + skill * (truth[:, None] == np.array(THREE)),
        "groups": np.arange(n).astype(str),
        "seed": seed,
        "permutations": 99,
        **options,
    }
    return estimate_metrics(**given)


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


def test_perfect_scores_have_exact_bounds() -> None:
    evaluation, given = usage(n=40, shift=50)
    low = 0.025 ** (1 / 40)
    assert evaluation.metrics["accuracy"].value == 1
    assert evaluation.metrics["accuracy"].low == pytest.approx(low)
    for name in ("recall_used", "specificity_used", "precision_used", "auc"):
        assert evaluation.metrics[name].low == pytest.approx(0.025 ** (1 / 20)), name
    for name in ("precision", "f1", "kappa", "f1_used", "recall"):
        bound = evaluation.metrics[name].low
        assert bound is not None, name
        assert 0.5 < bound <= low + 1e-12, name
    assert all(estimate.high == 1 for estimate in evaluation.metrics.values() if estimate.value == 1)
    paired = estimate_metrics(**{**given, "groups": (np.arange(40) // 4).astype(str)})
    # Half way, harmonically, from 10 groups to 40 images, of which 0.8 are left by the 9 degrees of freedom.
    images = 40 * (t.ppf(0.975, 39) / t.ppf(0.975, 9)) ** 2
    assert paired.metrics["accuracy"].low == pytest.approx(0.025 ** (0.5 / images + 0.5 / 10))


def test_score_of_zero_has_an_exact_bound() -> None:
    _, given = usage(n=40, shift=50)
    flipped = np.where(given["truth"] == "used", "not_used", "used")
    evaluation = estimate_metrics(**{**given, "predicted": flipped, "scores": -given["scores"]})
    assert evaluation.metrics["accuracy"].to_json()["low"] == 0
    assert evaluation.metrics["accuracy"].high == pytest.approx(1 - 0.025 ** (1 / 40))
    assert evaluation.metrics["auc"].high == pytest.approx(1 - 0.025 ** (1 / 20))


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


def test_mean_of_generators() -> None:
    names = np.arange(200, 400).astype(str)
    parts = [usage()[0], usage(seed=1, groups=names)[0]]
    mean = mean_evaluation(parts)
    assert list(mean.metrics) == list(parts[0].metrics)
    assert (mean.n, mean.n_groups) == (400, 400)
    for name, estimate in mean.metrics.items():
        assert estimate.value == pytest.approx(np.mean([part.metrics[name].value for part in parts]))
    width = [e.metrics["auc"].high - e.metrics["auc"].low for e in (*parts, mean)]  # type: ignore[operator]
    assert width[2] == pytest.approx(np.hypot(*width[:2]) / 2, rel=0.25)
    assert mean_evaluation(parts[:1]) is parts[0]


def test_mean_of_generators_that_share_patients_gains_nothing() -> None:
    part, given = usage()
    apart = estimate_metrics(**{**given, "groups": np.arange(200, 400).astype(str)})
    shared, independent = mean_evaluation([part, part]), mean_evaluation([part, apart])
    assert (shared.n_groups, independent.n_groups) == (200, 400)
    for name, estimate in part.metrics.items():
        one, two = shared.metrics[name], independent.metrics[name]
        assert (one.low, one.high) == (pytest.approx(estimate.low), pytest.approx(estimate.high)), name
        assert two.high - two.low < one.high - one.low, name  # type: ignore[operator]
    assert np.sort(shared.nulls["auc"]) == pytest.approx(np.sort(part.nulls["auc"]))
    assert np.std(independent.nulls["auc"]) == pytest.approx(np.std(part.nulls["auc"]) / 2**0.5, rel=0.2)


def test_mean_keeps_the_bounds_of_perfect_parts() -> None:
    perfect, good = usage(n=40, shift=50)[0], usage(n=40, shift=1, seed=3)[0]
    other = usage(n=40, shift=50, groups=np.arange(40, 80).astype(str))[0]
    both = mean_evaluation([perfect, other]).metrics["accuracy"]
    single = perfect.metrics["accuracy"].low
    assert single < both.low < 1  # type: ignore[operator]
    assert both.high == 1
    mixed = mean_evaluation([perfect, good]).metrics["accuracy"]
    spread = (good.metrics["accuracy"].value - good.metrics["accuracy"].low) / 2  # type: ignore[operator]
    assert mixed.value - mixed.low > spread  # type: ignore[operator]


def test_mean_of_something_unknown_is_unknown() -> None:
    mean = mean_evaluation([usage(n=100)[0], usage(n=200)[0]])
    assert mean.metrics["tpr_at_fpr_0.01"].value is None
    assert "part 1" in str(mean.metrics["tpr_at_fpr_0.01"].reason)
    assert mean.metrics["auc"].value is not None


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


def perfect(*, used: int, others: int, **options: Any) -> Evaluation:
    """Perfect answers and scores, each image a group of its own."""
    truth = np.repeat(["used", "not_used"], [used, others])
    given = {"task": USAGE, "classes": TWO, "truth": truth, "predicted": truth, "seed": 0}
    given |= {"scores": (truth == "used").astype(float), "groups": np.arange(len(truth)).astype(str)}
    return estimate_metrics(**{**given, "permutations": 19, **options})


def test_bounds_count_the_images_that_a_figure_is_about() -> None:
    found = perfect(used=30, others=10).metrics
    trials = {"accuracy": 40, "recall_weighted": 40, "recall_used": 30, "specificity_used": 10}
    trials |= {"precision_used": 30, "auc": 10}
    for name, count in trials.items():
        assert (found[name].low, found[name].high) == (pytest.approx(0.025 ** (1 / count)), 1), name
    timid = np.repeat(["used", "not_used"], [12, 28])
    found = perfect(used=30, others=10, predicted=timid).metrics
    assert found["precision_used"].low == pytest.approx(0.025 ** (1 / 12))
    assert found["specificity_used"].low == pytest.approx(0.025 ** (1 / 10))
    wrong = np.repeat(["not_used", "used"], [30, 10])
    found = perfect(used=30, others=10, predicted=wrong).metrics
    trials = {"recall_used": 30, "specificity_used": 10, "precision_used": 10}
    for name, count in trials.items():
        assert (found[name].low, found[name].high) == (0, pytest.approx(1 - 0.025 ** (1 / count))), name
    assert "10 non-members" in str(found["tpr_at_fpr_0.01"].reason)
    reversed_scores = np.repeat([0.0, 1.0], [30, 10])
    auc = perfect(used=30, others=10, scores=reversed_scores).metrics["auc"]
    assert (auc.value, auc.low, auc.high) == (0, 0, pytest.approx(1 - 0.025 ** (1 / 10)))
    found = perfect(used=30, others=120).metrics
    assert found["tpr_at_fpr_0.01"].low == 0
    assert "120 independent ones: one image decides" in str(found["tpr_at_fpr_0.01"].reason)
    found = perfect(used=30, others=368).metrics
    assert found["tpr_at_fpr_0.01"].low == pytest.approx(0.025 ** (1 / 30))
    assert found["tpr_at_fpr_0.01"].reason is None
    pairs = np.r_[np.arange(30), 30 + np.arange(368) // 2].astype(str)
    assert "184 independent" in str(
        perfect(used=30, others=368, groups=pairs).metrics["tpr_at_fpr_0.01"].reason
    )


def test_pairs_are_of_two_groups_each() -> None:
    """Twenty groups with an image of both labels: ten disjoint pairs of groups, not twenty."""
    groups = np.tile(np.arange(20), 2).astype(str)
    found = perfect(used=20, others=20, groups=groups)
    assert found.n_groups == 20
    assert found.metrics["auc"].low == pytest.approx(0.025 ** (1 / 10))


def test_auc_bound_of_three_classes_is_of_their_pairs() -> None:
    truth = np.repeat(THREE, [8, 12, 30])
    scores = (truth[:, None] == np.array(THREE)).astype(float)
    groups = np.arange(50).astype(str)
    evaluation = estimate_metrics(
        task=SUBSET, classes=THREE, truth=truth, predicted=truth, scores=scores, groups=groups, seed=0,
        permutations=19,
    )  # fmt: skip
    expected = np.mean([(0.05 / 3 / 2) ** (1 / pairs) for pairs in (8, 12, 20)])
    assert evaluation.metrics["auc"].low == pytest.approx(expected)


def test_a_class_that_nobody_is_of_makes_no_pairs() -> None:
    truth = np.repeat(THREE[:2], [8, 12])
    evaluation = estimate_metrics(
        task=SUBSET, classes=THREE, truth=truth, predicted=truth, seed=0, permutations=19,
        scores=(truth[:, None] == np.array(THREE)).astype(float), groups=np.arange(20).astype(str),
    )  # fmt: skip
    assert evaluation.metrics["auc"].low == pytest.approx((0.05 / 2 / 2) ** (1 / 8))


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


def figures_of(rows: Any, given: dict[str, Any]) -> dict[str, float]:
    """The figures of these images by the point functions."""
    truth, predicted, scores = (given[name][rows] for name in ("truth", "predicted", "scores"))
    table = metrics.confusion(truth=truth, predicted=predicted, classes=TWO)
    named = metrics.from_confusion(table, classes=TWO, positive="used")
    found = {name: float(value) for name, value in named.items()}
    return {**found, "auc": metrics.auc(positive=truth == "used", scores=scores)}


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


def test_bounds_of_few_images_allow_more_errors_than_hits() -> None:
    """Five images may hide 2.6 errors; answers are not renamed to make the best of them."""
    errors = 5 * (1 - 0.025 ** (1 / 5))
    worst = metrics.from_confusion(np.array([[5 - errors, errors - 2], [2, 0]]))["kappa"]
    assert worst < -0.2
    assert perfect(used=2, others=3).metrics["kappa"].low == pytest.approx(float(worst), abs=0.01)


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


@pytest.mark.parametrize(("used", "least"), [(1, 1 / 6), (3, 1 / 20), (0, 1.0)])
def test_least_p_is_that_of_the_arrangements(used: int, least: float) -> None:
    """Six patients of 5 images: as many different answers as there are ways to choose those of members."""
    truth = np.repeat(np.arange(6) < used, 5)
    given = {"task": USAGE, "classes": TWO, "truth": np.array(TWO)[truth * 1], "scores": None, "seed": 0}
    given |= {"predicted": np.array(TWO)[truth * 1], "groups": (np.arange(30) // 5).astype(str)}
    assert estimate_metrics(**given).least_p == pytest.approx(least)
    given["groups"] = np.full(30, "one")
    assert estimate_metrics(**given).least_p == pytest.approx(0.001 if used else 1)
