"""Point figures against scikit-learn or slow, obvious loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn import metrics as reference

from fingerprints.core.errors import FingerprintsError
from fingerprints.evidence import metrics

CLASSES = ("t1", "t2", "t3", "t4")


def answers(seed: int, n: int = 60, classes: tuple[str, ...] = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, n)
    return truth, np.where(rng.random(n) < 0.4, truth, rng.choice(classes, n))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("left_out", [None, "t2"])
def test_figures_agree_with_scikit_learn(seed: int, left_out: str | None) -> None:
    truth, predicted = answers(seed)
    keep = truth != left_out
    truth, predicted = truth[keep], np.where(predicted[keep] == left_out, "t1", predicted[keep])
    table = metrics.confusion(truth=truth, predicted=predicted, classes=CLASSES)
    assert table.tolist() == reference.confusion_matrix(truth, predicted, labels=CLASSES).tolist()
    figures = metrics.from_confusion(table)
    assert figures["accuracy"] == pytest.approx(reference.accuracy_score(truth, predicted))
    assert figures["kappa"] == pytest.approx(reference.cohen_kappa_score(truth, predicted))
    for suffix, average in (("", "macro"), ("_weighted", "weighted")):
        expected = reference.precision_recall_fscore_support(
            truth, predicted, labels=CLASSES, average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), expected[:3], strict=True):
            assert figures[name + suffix] == pytest.approx(value)


def test_specificity_is_recall_of_the_rest() -> None:
    truth, predicted = answers(7)
    figures = metrics.from_confusion(metrics.confusion(truth=truth, predicted=predicted, classes=CLASSES))
    by_class = [np.mean(predicted[truth != name] != name) for name in CLASSES]
    support = [np.mean(truth == name) for name in CLASSES]
    assert figures["specificity"] == pytest.approx(np.mean(by_class))
    assert figures["specificity_weighted"] == pytest.approx(np.dot(by_class, support))


def test_one_class_figures() -> None:
    truth, predicted = answers(3, classes=("not_used", "used"))
    table = metrics.confusion(truth=truth, predicted=predicted, classes=("not_used", "used"))
    figures = metrics.from_confusion(table, classes=("not_used", "used"), positive="used")
    assert figures["f1_used"] == pytest.approx(reference.f1_score(truth, predicted, pos_label="used"))
    assert figures["precision_used"] == pytest.approx(np.mean(truth[predicted == "used"] == "used"))
    assert figures["recall_used"] == pytest.approx(np.mean(predicted[truth == "used"] == "used"))
    assert figures["specificity_used"] == pytest.approx(np.mean(predicted[truth != "used"] != "used"))


def test_tables_are_treated_one_by_one() -> None:
    tables = np.random.default_rng(0).integers(0, 9, (2, 3, 4, 4))
    together = metrics.from_confusion(tables)
    together |= {"ari": metrics.table_ari(tables), "nmi": metrics.table_nmi(tables)}
    for index in itertools.product(range(2), range(3)):
        alone = metrics.from_confusion(tables[index])
        alone |= {"ari": metrics.table_ari(tables[index]), "nmi": metrics.table_nmi(tables[index])}
        assert together.keys() == alone.keys()
        for name, values in together.items():
            assert values[index] == pytest.approx(float(alone[name])), name


def test_answers_outside_the_classes_are_misses() -> None:
    wide = np.array([[3, 1, 2], [0, 4, 5]])
    square = np.zeros((3, 3))
    square[:2] = wide
    truth = np.repeat([0, 0, 0, 1, 1], [3, 1, 2, 4, 5])
    predicted = np.repeat([0, 1, 2, 1, 2], [3, 1, 2, 4, 5])
    figures = metrics.from_confusion(wide)
    precision, recall, f1, _ = reference.precision_recall_fscore_support(
        truth, predicted, labels=[0, 1], average="macro", zero_division=0
    )
    assert [figures[name] for name in ("precision", "recall", "f1")] == pytest.approx([precision, recall, f1])
    assert figures["specificity"] == pytest.approx((9 / 9 + 5 / 6) / 2)
    assert figures["kappa"] == pytest.approx(reference.cohen_kappa_score(truth, predicted))


def test_conventions_at_the_edges() -> None:
    assert metrics.from_confusion(np.array([[5, 0], [5, 0]]))["kappa"] == 0
    assert np.isnan(metrics.from_confusion(np.array([[5, 0], [0, 0]]))["kappa"])
    empty = metrics.from_confusion(np.zeros((2, 2)))
    assert all(np.isnan(value) for value in empty.values())
    perfect = metrics.from_confusion(np.diag([7, 3, 9]))
    assert all(value == 1 for value in perfect.values())


def test_unknown_label_is_named() -> None:
    with pytest.raises(FingerprintsError) as caught:
        metrics.confusion(truth=["t1", "t2"], predicted=["t9", "t1"], classes=CLASSES)
    said, *strangers = caught.value.what.splitlines()
    assert "t1, t2, t3, t4" in said
    assert [line.strip() for line in strangers] == ["t9"]


def test_tables_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(ValueError, match="a column for each class"):
        metrics.from_confusion(np.ones((3, 2)))
    with pytest.raises(ValueError, match="names of the classes"):
        metrics.from_confusion(np.ones((2, 2)), positive="used")


@pytest.mark.parametrize("seed", range(5))
def test_partition_agreement_matches_scikit_learn(seed: int) -> None:
    truth, predicted = answers(seed)
    assert metrics.ari(truth=truth, predicted=predicted) == pytest.approx(
        reference.adjusted_rand_score(truth, predicted)
    )
    assert metrics.nmi(truth=truth, predicted=predicted) == pytest.approx(
        reference.normalized_mutual_info_score(truth, predicted)
    )


@pytest.mark.parametrize(
    ("truth", "predicted"),
    [
        ("aaaa", "bbbb"),
        ("aabb", "cccc"),
        ("abcd", "wxyz"),
        ("aaaa", "wxyz"),
        ("aabb", "ddcc"),
        ("abab", "ccdd"),
    ],
)
def test_partition_agreement_at_the_edges(truth: str, predicted: str) -> None:
    pair = {"truth": list(truth), "predicted": list(predicted)}
    assert metrics.ari(**pair) == pytest.approx(reference.adjusted_rand_score(*pair.values()))
    assert metrics.nmi(**pair) == pytest.approx(reference.normalized_mutual_info_score(*pair.values()))


def test_one_image_agrees_with_itself_and_none_says_nothing() -> None:
    one, none = np.array([[0, 1], [0, 0]]), np.zeros((2, 2))
    assert metrics.table_ari(one) == metrics.table_nmi(one) == 1
    assert metrics.from_confusion(one)["accuracy"] == 0
    assert np.isnan(metrics.table_ari(none))
    assert np.isnan(metrics.table_nmi(none))


def test_independent_partitions_share_nothing_and_equal_ones_all_exactly() -> None:
    """Rounding alone would leave some 1e-16 on either side of zero."""
    for a, b in itertools.product(range(1, 8), repeat=2):
        assert metrics.table_nmi(np.outer([1, a], [1, b])) == 0, (a, b)
    assert metrics.table_nmi(np.diag([17, 6, 5, 9])) == 1  # and here 2e-16 above one


@pytest.mark.parametrize("shape", [(3, 3), (3, 5), (4, 2)])
def test_matching_beats_every_other_naming(shape: tuple[int, int]) -> None:
    table = np.random.default_rng(1).integers(0, 20, shape)
    matched = metrics.match_columns(table)
    assert matched.sum() == table.sum()
    assert matched.shape == (shape[0], max(shape))
    padded = np.pad(table, ((0, 0), (0, matched.shape[1] - shape[1])))
    best = max(
        sum(padded[row, column] for row, column in enumerate(columns))
        for columns in itertools.permutations(range(padded.shape[1]), shape[0])
    )
    assert np.trace(matched) == best


def test_clusters_come_in_the_order_of_their_classes() -> None:
    truth = ["t1", "t1", "t2", "t2", "t2"]
    found, names = metrics.matched_confusion(
        truth=truth, clusters=["c", "c", "a", "a", "b"], classes=("t1", "t2")
    )
    assert (found.tolist(), names) == ([[2, 0, 0], [0, 2, 1]], ["c", "a", "b"])
    found, names = metrics.matched_confusion(truth=truth, clusters=["a"] * 5, classes=("t1", "t2"))
    assert (found.tolist(), names) == ([[0, 2], [0, 3]], ["", "a"])
    found, names = metrics.matched_confusion(truth=truth, clusters=["a"] * 5, classes=("t1", "t2", "t3"))
    assert sorted(names) == ["", "", "a"]
    assert found[:, names.index("a")].tolist() == [2, 3, 0]


@pytest.mark.parametrize("weighted", [False, True])
def test_auc_is_the_share_of_pairs_in_order(weighted: bool) -> None:
    rng = np.random.default_rng(2)
    positive, scores = rng.random(40) < 0.4, rng.integers(0, 8, 40).astype(float)
    weights = rng.integers(0, 4, 40).astype(float) if weighted else np.ones(40)
    won = total = 0.0
    for i, j in itertools.product(np.flatnonzero(positive), np.flatnonzero(~positive)):
        won += weights[i] * weights[j] * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
        total += weights[i] * weights[j]
    value = metrics.auc(positive=positive, scores=scores, weights=weights if weighted else None)
    assert value == pytest.approx(won / total)
    assert value == pytest.approx(reference.roc_auc_score(positive, scores, sample_weight=weights))


def test_auc_of_several_classes_is_macro_one_vs_rest() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 50)
    scores = rng.dirichlet(np.ones(3), 50)
    assert metrics.auc(positive=truth[:, None] == np.arange(3), scores=scores) == pytest.approx(
        reference.roc_auc_score(truth, scores, multi_class="ovr", average="macro")
    )


def test_auc_without_a_second_class_is_undefined() -> None:
    assert np.isnan(metrics.auc(positive=np.ones(4, dtype=bool), scores=np.arange(4.0)))
    # A class that nobody is of does not count.
    positive = np.array([[True, False, False], [False, True, False]])
    assert metrics.auc(positive=positive, scores=np.array([[2.0, 0, 0], [1.0, 1, 0]])) == 1


def test_auc_needs_scores_for_every_class() -> None:
    with pytest.raises(ValueError, match="zip"):
        metrics.auc(positive=np.eye(3, dtype=bool), scores=np.zeros((3, 2)))


def test_roc_curve_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    positive, scores = rng.random(60) < 0.5, rng.integers(0, 12, 60).astype(float)
    weights = rng.random(60)
    expected = reference.roc_curve(positive, scores, sample_weight=weights, drop_intermediate=False)
    for ours, theirs in zip(
        metrics.roc_curve(positive=positive, scores=scores, weights=weights), expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("levels", [15, 100_000])
@pytest.mark.parametrize("fpr", [0.01, 0.05, 0.1])
def test_tpr_at_fpr_is_the_best_threshold_allowed(levels: int, fpr: float) -> None:
    rng = np.random.default_rng(5)
    positive = np.arange(300) < 100
    scores = (rng.integers(0, levels, 300) + positive * levels // 2).astype(float)
    best = max(
        np.mean(scores[positive] >= threshold)
        for threshold in [*scores, np.inf]
        if np.sum(scores[~positive] >= threshold) <= np.floor(fpr * 201 + 1e-9) - 1
    )
    assert metrics.tpr_at_fpr(positive=positive, scores=scores, fpr=fpr) == pytest.approx(best)


# Of images in falling order of their scores: which are positive, both rates, and TPR at some FPRs. Of m
# negatives, floor(FPR (m + 1)) - 1 may be above the threshold; without such a number there is no threshold.
BY_HAND = [
    ([True, False], [0, 0, 1], [0, 1, 1], {0.0: None, 0.49: None, 0.5: 1, 1.0: 1}),
    ([False, True], [0, 1, 1], [0, 0, 1], {0.0: None, 0.5: 0, 0.99: 0, 1.0: 1}),
    ([False, False, True], [0, 0.5, 1, 1], [0, 0, 0, 1], {0.5: 0, 1.0: 1}),
    ([True, False, False], [0, 0, 0.5, 1], [0, 1, 1, 1], {0.01: None, 0.34: 1}),
    ([False, True, False, True], [0, 0.5, 0.5, 1, 1], [0, 0, 0.5, 0.5, 1], {0.4: 0, 0.67: 0.5, 1.0: 1}),
]


@pytest.mark.parametrize(("positive", "false", "true", "found"), BY_HAND)
def test_curves_by_hand(
    positive: list[bool], false: list[float], true: list[float], found: dict[float, float | None]
) -> None:
    images = {"positive": np.array(positive), "scores": np.arange(len(positive), 0.0, -1)}
    rates = metrics.roc_curve(**images)
    assert [rate.tolist() for rate in rates[:2]] == [false, true]
    assert rates[2].tolist() == [np.inf, *images["scores"]]
    for fpr, tpr in found.items():
        rate = metrics.tpr_at_fpr(**images, fpr=fpr)
        assert np.isnan(rate) if tpr is None else rate == tpr, fpr
    tenth = np.full(len(positive), 0.1)
    for rate, weighted in zip(rates, metrics.roc_curve(**images, weights=tenth), strict=True):
        np.testing.assert_allclose(weighted, rate)


@pytest.mark.parametrize("all_positive", [True, False])
def test_rates_of_nobody_are_undefined_and_divide_nothing(all_positive: bool) -> None:
    images = {"positive": np.full(3, all_positive), "scores": np.arange(3.0)}
    with np.errstate(all="raise"):
        false, true, _ = metrics.roc_curve(**images)
        assert np.isnan(metrics.tpr_at_fpr(**images))
    known, unknown = (true, false) if all_positive else (false, true)
    np.testing.assert_allclose(known, [0, 1 / 3, 2 / 3, 1])
    assert np.isnan(unknown).all()


def test_tpr_is_at_one_percent_unless_told_otherwise() -> None:
    positive = np.arange(400) % 2 == 0
    scores = np.random.default_rng(6).normal(size=400) + positive
    at = {fpr: metrics.tpr_at_fpr(positive=positive, scores=scores, fpr=fpr) for fpr in (0.005, 0.01, 0.02)}
    assert metrics.tpr_at_fpr(positive=positive, scores=scores) == at[0.01]
    assert len(set(at.values())) == 3


def test_false_positives_allowed() -> None:
    """A new negative lies above the highest of m with a chance of 1 / (m + 1)."""
    allowed = {m: metrics.allowed_false(negatives=m, fpr=0.01) for m in (0, 98, 99, 100, 199, 999, 2899)}
    assert allowed == {0: -1, 98: -1, 99: 0, 100: 0, 199: 1, 999: 9, 2899: 28}
