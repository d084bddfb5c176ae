"""Membership scores and the threshold, against brute force."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.membership import MembershipDecision, best_threshold
from fingerprints.decisions.part import EmbeddedPart

ONE = np.float32(1)
ABOVE_ONE = np.nextafter(ONE, np.float32(2))


def part(seed: int = 0, *, real: int = 20, generated: int = 15, d: int = 8) -> EmbeddedPart:
    """The even real images have a generated neighbour."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(real, d))
    near = points[::2][rng.integers(0, (real + 1) // 2, generated)]
    made = near + 0.2 * rng.normal(size=(generated, d))
    labels = np.array([USED, NOT_USED] * real)[:real]
    return EmbeddedPart(
        points.astype(np.float32), labels, made.astype(np.float32), np.array([""] * generated)
    )


def naive_distance(query: np.ndarray, references: np.ndarray, count: int) -> float:
    return float(
        np.mean(sorted(np.linalg.norm(references.astype(float) - query.astype(float), axis=1))[:count])
    )


def kappa(truth: list[str], called: list[str]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = cohen_kappa_score(truth, called)
    return 0.0 if np.isnan(value) else float(value)


class TestScores:
    @pytest.mark.parametrize(("rule", "count"), [("mean", 15), ("nearest", 1), ("k_nearest", 4)])
    def test_raw_score_is_minus_the_distance(self, rule: str, count: int) -> None:
        own = part()
        scores = MembershipDecision(rule=rule, k=4, standardise=False).scores(own)
        expected = [-naive_distance(query, own.generated, count) for query in own.real]
        np.testing.assert_allclose(scores, expected, rtol=1e-4)

    @pytest.mark.parametrize(("rule", "count"), [("mean", 14), ("nearest", 1), ("k_nearest", 4)])
    def test_standardised_by_the_generated_images_themselves(self, rule: str, count: int) -> None:
        own = part()
        raw = MembershipDecision(rule=rule, k=4, standardise=False).scores(own)
        others = [np.delete(own.generated, i, axis=0) for i in range(len(own.generated))]
        itself = [-naive_distance(q, o, count) for q, o in zip(own.generated, others, strict=True)]
        scores = MembershipDecision(rule=rule, k=4).scores(own)
        np.testing.assert_allclose(scores, (raw - np.mean(itself)) / np.std(itself), rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize("rule", ["mean", "nearest", "k_nearest"])
    @pytest.mark.parametrize("scale", [0.01, 7.0])
    def test_standardised_score_does_not_depend_on_the_scale(self, rule: str, scale: float) -> None:
        own = part()
        bigger = EmbeddedPart(
            own.real * np.float32(scale),
            own.real_labels,
            own.generated * np.float32(scale),
            own.generated_labels,
        )
        decision, plain = MembershipDecision(rule=rule), MembershipDecision(rule=rule, standardise=False)
        np.testing.assert_allclose(decision.scores(bigger), decision.scores(own), rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(plain.scores(bigger), scale * plain.scores(own), rtol=1e-3)

    def test_references_scale_every_distance_by_the_reach_of_both_ends(self) -> None:
        own, training = part(0), part(1)
        decision = MembershipDecision.fit(
            training, reference="training", rule="nearest", reference_k=3, standardise=False
        )

        def scaled(query: np.ndarray, image: np.ndarray) -> float:
            reach = [naive_distance(end, training.real, 3) for end in (query, image)]
            return float(np.linalg.norm(query - image) / np.sqrt(reach[0] * reach[1]))

        expected = [-np.log(min(scaled(q, g) for g in own.generated)) for q in own.real]
        np.testing.assert_allclose(decision.scores(own), expected, rtol=1e-3, atol=1e-4)
        assert len(MembershipDecision.fit(training, rule="mean").references) == 0

    @pytest.mark.parametrize("rule", ["mean", "nearest", "k_nearest"])
    @pytest.mark.parametrize("generated", [1, 2])
    def test_few_generated_images_give_numbers_or_an_error(self, rule: str, generated: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                scores = MembershipDecision(rule=rule).scores(part(generated=generated))
            except FingerprintsError:
                assert generated == 1
            else:
                assert np.isfinite(scores).all()

    def test_used_images_score_higher(self) -> None:
        own = part()
        scores = MembershipDecision().scores(own)
        assert scores[own.real_labels == USED].mean() > scores[own.real_labels == NOT_USED].mean() + 1


numbers = st.floats(-10, 10, width=32, allow_nan=False, allow_subnormal=False)
ties = st.integers(-3, 3).map(float)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(numbers | ties, st.booleans()), min_size=2, max_size=14))
@example([(float(ONE), False), (float(ABOVE_ONE), True)])
@example([(float(ABOVE_ONE), False), (float(np.nextafter(ABOVE_ONE, np.float32(2))), True)])
@example([(1e9, True), (-1e9, False)])
@example([(3e8, False), (2e8, True)])
def test_threshold_is_the_best_of_all_cuts(images: list[tuple[float, bool]]) -> None:
    scores = np.array([score for score, _ in images], dtype=np.float32)
    labels = [USED if used else NOT_USED for _, used in images]
    if len(set(labels)) < 2:
        return
    decision = MembershipDecision().with_threshold(scores, labels, source="validation")
    cuts = [*np.unique(scores), np.inf]
    best = max(kappa(labels, np.where(scores >= cut, USED, NOT_USED).tolist()) for cut in cuts)
    assert kappa(labels, decision.labels(scores).tolist()) == pytest.approx(best, abs=1e-9)
    assert decision.threshold_source == "validation"


def test_threshold_lies_in_the_middle_of_the_widest_gap() -> None:
    assert best_threshold(np.array([0.0, 1.0, 3.0, 4.0]), [NOT_USED, NOT_USED, USED, USED]) == 2.0
    # Two cuts are equally good here: between 0 and 1, and between 4 and 9.
    tied = best_threshold(np.array([0.0, 1.0, 4.0, 9.0]), [NOT_USED, USED, NOT_USED, USED])
    assert tied == 6.5


def test_labels_from_the_threshold_on_are_used() -> None:
    decision = MembershipDecision(threshold=0.5)
    assert decision.labels(np.array([0.4, 0.5, 0.6])).tolist() == [NOT_USED, USED, USED]


@pytest.mark.parametrize("n", [2, 7, 10])
def test_half_calls_the_upper_half_of_each_part(n: int) -> None:
    decision = MembershipDecision(threshold_source="half", threshold=99.0)
    rng = np.random.default_rng(n)
    for shift in (0, 100):
        scores = rng.permutation(n) + shift
        called = decision.labels(scores)
        assert (called == USED).sum() == (n + 1) // 2
        assert scores[called == USED].min() > scores[called == NOT_USED].max()
