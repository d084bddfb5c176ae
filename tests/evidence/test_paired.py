from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from scipy.stats import binom, t
from sklearn.metrics import accuracy_score, adjusted_rand_score, cohen_kappa_score, f1_score

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import get_task
from fingerprints.evidence.metrics import ari
from fingerprints.evidence.paired import match_clusters, paired_differences

SUBSET, USAGE, MODEL = (get_task(name) for name in ("subset", "usage", "model"))


def answers(rng, truth, classes, *, right):
    return np.where(rng.random(len(truth)) < right, truth, rng.choice(classes, len(truth)))


def against(task, classes, truth, ours, theirs, groups, **options):
    settings = {"seed": 0, "permutations": 199} | options
    found = paired_differences(
        task=task,
        classes=classes,
        truth=truth,
        answers={"ours": ours, "theirs": theirs},
        reference="theirs",
        groups=groups,
        **settings,
    )
    return found.differences["ours"]


def accuracy(truth, answers):
    return np.mean(truth == answers)


def kappa(truth, answers):
    expected = sum(np.mean(truth == name) * np.mean(answers == name) for name in np.unique(truth))
    return (accuracy(truth, answers) - expected) / (1 - expected)


def f1(truth, answers):
    hits = np.sum((truth == "used") & (answers == "used"))
    return 2 * hits / (np.sum(truth == "used") + np.sum(answers == "used"))


def rand(truth, answers):
    return ari(truth=truth, predicted=answers)


@pytest.mark.parametrize(
    ("task", "classes", "score", "sklearns"),
    [
        (SUBSET, ["t1", "t2", "t3"], accuracy, accuracy_score),
        (USAGE, ["not_used", "used"], kappa, cohen_kappa_score),
        (
            USAGE.ranked_by("f1_used"),
            ["not_used", "used"],
            f1,
            functools.partial(f1_score, pos_label="used"),
        ),
        (MODEL, ["a", "b", "c"], rand, adjusted_rand_score),
    ],
)
def test_difference_interval_and_p_agree_with_slow_loops(task, classes, score, sklearns):
    rng = np.random.default_rng(1)
    truth = rng.choice(classes, 120)
    groups = np.repeat(np.arange(40), 3)
    ours = [answers(rng, truth, classes, right=r) for r in (0.62, 0.58)]
    theirs = [answers(rng, truth, classes, right=0.5)]
    found = against(task, classes, truth, ours, theirs, groups, permutations=1999)
    of_sklearn = np.mean([sklearns(truth, a) for a in ours]) - sklearns(truth, theirs[0])
    assert found.difference == pytest.approx(of_sklearn)

    def difference(rows, a, b):
        return np.mean([score(truth[rows], x[rows]) for x in a]) - np.mean(
            [score(truth[rows], x[rows]) for x in b]
        )

    left = np.array([difference(groups != g, ours, theirs) for g in range(40)])
    half = t.ppf(0.975, 39) * np.sqrt(39 / 40 * ((left - left.mean()) ** 2).sum())
    assert (found.low, found.high) == (
        pytest.approx(found.difference - half),
        pytest.approx(found.difference + half),
    )
    trades = []
    for _ in range(400):
        trade = (rng.random(40) < 0.5)[groups]
        pairs = [(np.where(trade, b, a), np.where(trade, a, b)) for a, b in itertools.product(ours, theirs)]
        trades.append(np.mean([score(truth, a) - score(truth, b) for a, b in pairs]))
    p = np.mean(np.abs(trades) >= abs(found.difference) - 1e-9)
    assert found.p == pytest.approx(p, abs=0.07)
    assert (found.n, found.n_groups, found.effective) == (120, 40, pytest.approx(40))
    wrong = np.mean([((a == truth) != (theirs[0] == truth)).sum() for a in ours])
    assert found.discordant == pytest.approx(wrong)


def test_p_is_the_exact_sign_test_where_images_are_groups():
    truth = np.array(["t1"] * 10 + ["t2"] * 10)
    theirs = truth.copy()
    theirs[:5] = "t2"  # five images that one alone has right: the exact p is 2 / 2^5
    found = against(SUBSET, ["t1", "t2"], truth, [truth], [theirs], np.arange(20), permutations=4999)
    assert found.difference == 0.25
    assert found.p == pytest.approx(2 * binom.cdf(0, 5, 0.5), abs=0.015)


def test_equal_systems_differ_by_nothing_and_p_is_uniform_under_the_null():
    rng = np.random.default_rng(0)
    truth = rng.choice(["t1", "t2"], 60)
    one = answers(rng, truth, ["t1", "t2"], right=0.5)
    same = against(SUBSET, ["t1", "t2"], truth, [one], [one], np.arange(60))
    assert (same.difference, same.low, same.high, same.p, same.discordant) == (0, None, None, 1, 0)
    assert "difference is the same" in same.reason
    low = 0
    for seed in range(150):
        pair = [answers(rng, truth, ["t1", "t2"], right=0.5) for _ in range(2)]
        p = against(
            SUBSET,
            ["t1", "t2"],
            truth,
            pair[:1],
            pair[1:],
            np.arange(60),
            seed=seed,
            permutations=99,
        ).p
        low += p <= 0.1
    assert 2 <= low <= 27


def test_groups_widen_the_interval_and_strata_are_averaged():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(12), 20)
    truth = np.where(rng.random(240) < 0.5, "used", "not_used")
    flipped = np.where(truth == "used", "not_used", "used")
    theirs = np.where(
        (rng.random(12) < 0.5)[groups], truth, flipped
    )  # a patient is right or wrong as a whole
    ours = np.where((rng.random(12) < 0.7)[groups], truth, flipped)
    args = (USAGE, ["not_used", "used"], truth, [ours], [theirs])
    by_group, by_image = against(*args, groups), against(*args, np.arange(240))
    assert by_group.high - by_group.low > 2 * (by_image.high - by_image.low)
    assert by_group.p > by_image.p
    strata = np.where(groups < 3, "model_1", "model_2")
    parted = against(*args, groups, strata=strata)
    each = [
        cohen_kappa_score(truth[strata == s], ours[strata == s])
        - cohen_kappa_score(truth[strata == s], theirs[strata == s])
        for s in ("model_1", "model_2")
    ]
    assert parted.difference == pytest.approx(np.mean(each))
    assert parted.low is None
    assert "3 group(s)" in parted.reason


def test_clusters_get_the_names_that_fit_best():
    truth = ["a", "a", "b", "b", "c", "c", "c"]
    clusters = ["2", "2", "0", "0", "1", "1", "9"]
    assert match_clusters(truth=truth, predicted=clusters, classes=["a", "b", "c"]) == [
        *("a", "a", "b", "b", "c", "c", "cluster 9")
    ]
    few = match_clusters(truth=truth, predicted=["x"] * 7, classes=["a", "b", "c"])
    assert few == ["c"] * 7


def test_answers_that_do_not_fit_are_refused():
    with pytest.raises(FingerprintsError, match="differ or are 0"):
        against(SUBSET, ["t1"], ["t1"] * 4, [["t1"] * 3], [["t1"] * 4], range(4))
    with pytest.raises(FingerprintsError, match="The reference 'x' is not among"):
        paired_differences(
            task=SUBSET,
            classes=["t1"],
            truth=["t1"],
            answers={"a": [["t1"]]},
            reference="x",
            groups=[0],
            seed=0,
        )


def test_f1_of_two_generators_is_the_mean_of_both():
    rng = np.random.default_rng(3)
    truth, strata = rng.choice(["not_used", "used"], 80), np.repeat(["a", "b"], 40)
    ours, theirs = (answers(rng, truth, ["not_used", "used"], right=r) for r in (0.7, 0.4))
    found = against(
        USAGE.ranked_by("f1_used"),
        ["not_used", "used"],
        truth,
        [ours],
        [theirs],
        np.arange(80),
        strata=strata,
    )

    def mean(given):
        return np.mean(
            [f1_score(truth[strata == s], given[strata == s], pos_label="used") for s in ("a", "b")]
        )

    assert found.difference == pytest.approx(mean(ours) - mean(theirs))


def test_a_patient_of_two_generators_is_drawn_once_for_both():
    """The same images under two names say no more than once."""
    rng = np.random.default_rng(0)
    groups = np.repeat([f"p{i}" for i in range(12)], 10)
    truth = np.repeat(rng.choice(["not_used", "used"], 12), 10)
    ours, theirs = (answers(rng, truth, ["not_used", "used"], right=right) for right in (0.6, 0.4))
    once = against(USAGE, ["not_used", "used"], truth, [ours], [theirs], groups)
    twice = against(
        *(USAGE, ["not_used", "used"]),
        *(np.tile(truth, 2), [np.tile(ours, 2)], [np.tile(theirs, 2)], np.tile(groups, 2)),
        strata=np.repeat(["model_1", "model_2"], 120),
    )
    assert twice.difference == pytest.approx(once.difference)
    assert (twice.low, twice.high) == (pytest.approx(once.low), pytest.approx(once.high))
    assert abs(twice.p - once.p) < 0.1
    assert (twice.n_groups, twice.effective) == (once.n_groups, pytest.approx(once.effective))
    apart = np.concatenate([groups, np.char.add(groups, "b")])
    other = against(
        *(USAGE, ["not_used", "used"]),
        *(np.tile(truth, 2), [np.tile(ours, 2)], [np.tile(theirs, 2)], apart),
        strata=np.repeat(["model_1", "model_2"], 120),
    )
    assert other.high - other.low < 0.85 * (once.high - once.low)


def test_intervals_end_where_figures_do():
    rng = np.random.default_rng(0)
    truth = np.tile(["not_used", "used"], 30)
    ours, theirs = np.where(np.arange(60) < 55, truth, "used"), np.where(np.arange(60) < 5, truth, "used")
    found = paired_differences(
        task=USAGE,
        classes=["not_used", "used"],
        truth=truth,
        answers={"ours": [ours], "theirs": [theirs]},
        reference="theirs",
        groups=np.repeat([f"p{i}" for i in range(12)], 5),
        strata=np.repeat(["model_1", "model_2"], 30),
        generators=np.repeat(["model_1", "model_2"], 30),
        seed=int(rng.integers(9)),
    )
    one = found.figures["theirs"]
    assert -1 <= one.low < one.value < one.high <= 1
    assert found.differences["ours"].high <= 2
    wide = found.figures["ours"]
    assert wide.high == 1
