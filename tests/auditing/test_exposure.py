from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from fingerprints.auditing.exposure import Judged, Pooling, expose, judged, pooled, pooling_for
from fingerprints.evidence.patients import conformal_p


def against(scores: np.ndarray, reference: np.ndarray) -> Judged:
    """Candidates of one image each, by one detector."""
    p = conformal_p(scores, compared_with=reference)
    names = np.arange(len(scores)).astype(str)
    return judged(names, np.ones(len(scores), int), scores, p, compared_with=len(reference))


def test_q_by_hand() -> None:
    found = against(np.array([0.9, 0.2]), np.array([0.1, 0.2, 0.3, 0.4]))
    assert found.p.tolist() == [1 / 5, 4 / 5]
    assert found.q.tolist() == false_discovery_control([0.2, 0.8]).tolist()
    assert found.found(0.4).tolist() == [True, False]


def exposure(scores: np.ndarray, groups: list[str], unused: list[str], **options):
    ids = np.arange(len(groups)).astype(str)
    given = {"rule": Pooling(), **options}
    return expose(
        scores, scores.mean(axis=0), ids=ids, groups=np.array(groups), unused=np.array(unused), **given
    )


def test_without_a_reference_there_is_no_p() -> None:
    found = exposure(np.ones((2, 3)), [*"aab"], [])
    for one in (found.images, found.standing, found.patients):
        assert (one.p, one.q, one.found(0.5).any(), one.compared_with) == (None, None, False, 0)


def test_an_image_is_compared_with_patients_and_with_images() -> None:
    """The first image is above all of 3 patients with 12 images in one detector; the other image in none."""
    scores = np.vstack([[9, 0, *range(1, 13)], [0.5, 0, *np.arange(12, 0, -1)]]).astype(float)
    found = exposure(scores, ["a", "b"], [*"rrrrsssstttt"])
    assert (found.images.compared_with, found.standing.compared_with) == (3, 12)
    assert found.images.p[1] == found.standing.p[1] == found.patients.p[1] == 1
    assert found.standing.p[0] < found.images.p[0]
    only = exposure(scores[:1], ["a", "b"], [*"rrrrsssstttt"])
    assert only.standing.p[0] == pytest.approx(conformal_p([9.0], compared_with=np.arange(1, 13))[0])
    # Of the last patient 4 of 4 images are at least 9 (9 to 12); of the others none.
    assert only.images.p[0] == pytest.approx((1 + 1) / 4)


def test_a_detector_of_more_weight_counts_more() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((2, 41))
    scores[1, 0] = 2
    groups, unused = ["a"], [f"r{at}" for at in range(40)]
    p = [
        exposure(scores, groups, unused, weights=weights).images.p[0]
        for weights in (None, np.array([1.0, 1.0]), np.array([1.0, 5.0]), np.array([5.0, 1.0]))
    ]
    assert p[0] == p[1]
    assert p[2] <= p[0] < p[3]


@pytest.mark.parametrize(("count", "exposed"), [(13, 1), (13, 13), (200, 7)])
def test_the_reference_that_is_needed_is_the_smallest_that_can_find_them(count: int, exposed: int) -> None:
    scores = np.where(np.arange(count) < exposed, 2.0, 0.0)
    needed = against(scores, np.ones(5)).needed(0.05, exposed=exposed)
    assert against(scores, np.ones(needed)).found(0.05).sum() == exposed
    assert not against(scores, np.ones(needed - 1)).found(0.05).any()


@pytest.mark.parametrize(("count", "reference"), [(40, 268), (13, 13), (200, 697), (5, 10_000)])
def test_fewer_than_the_fewest_are_never_found(count: int, reference: int) -> None:
    def found(exposed: int) -> int:
        scores = np.where(np.arange(count) < exposed, 2.0, 0.0)
        return int(against(scores, np.ones(reference)).found(0.05).sum())

    fewest = against(np.zeros(count), np.ones(reference)).fewest(0.05)
    if fewest is None:
        assert found(count) == 0
    else:
        assert found(fewest) == fewest
        assert fewest == 1 or found(fewest - 1) == 0


@pytest.mark.parametrize("k", [1, 3, 5])
def test_pooling_is_the_mean_over_all_choices_of_k_images(k: int) -> None:
    scores = np.random.default_rng(0).random(5)
    names, counts, found = pooled(np.append(scores, 0.5), np.array([*"aaaaa", "b"]), Pooling(k))
    assert (names.tolist(), counts.tolist()) == (["a", "b"], [5, 1])
    assert found[0] == pytest.approx(np.mean([max(own) for own in combinations(scores, k)]))
    assert found[1] == 0.5
    assert pooled(scores, np.array([*"aaaaa"]), Pooling())[2] == scores.max()


@pytest.mark.parametrize(
    ("candidates", "reference", "images"),
    [
        ([4, 5, 6], [4, 5, 6], None),
        ([4, 5, 6], [], None),
        ([4, 5, 6], [40, 50, 60], 5),
        ([40, 50, 60], [4, 5, 6], 4),
        ([4, 5, 60], [4, 5, 6], 4),  # a single patient with many images
    ],
)
def test_numbers_of_images_choose_the_rule(candidates, reference, images) -> None:
    assert pooling_for(np.array(candidates), np.array(reference)) == Pooling(images)


def test_more_images_give_no_smaller_p_by_chance() -> None:
    """Nobody is exposed; candidates have ten times the images of a reference patient."""
    rng, p = np.random.default_rng(1), {True: [], False: []}
    sizes = np.array([20] * 5 + [2] * 19)
    groups = np.repeat(np.arange(24).astype(str), sizes)
    for _ in range(100):
        scores = rng.random(sizes.sum())
        for fair in p:
            rule = pooling_for(sizes[:5], sizes[5:]) if fair else Pooling()
            names, _, found = pooled(scores, groups, rule)
            own = found[np.argsort(names.astype(int))]
            p[fair] += conformal_p(own[:5], compared_with=own[5:]).tolist()
    assert np.mean(np.array(p[True]) <= 0.05) <= 0.05
    assert np.mean(np.array(p[False]) <= 0.05) > 0.2
