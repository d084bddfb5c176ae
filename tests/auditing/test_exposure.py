from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from fingerprints.auditing.exposure import Pooling, judged, pooled, pooling_for


def test_p_and_q_by_hand() -> None:
    found = judged(
        np.array(["a", "b"]), np.array([1, 1]), np.array([0.9, 0.2]), np.array([0.1, 0.2, 0.3, 0.4])
    )
    assert found.p.tolist() == [1 / 5, 4 / 5]
    assert found.q.tolist() == false_discovery_control([0.2, 0.8]).tolist()
    assert found.found(0.4).tolist() == [True, False]


@pytest.mark.parametrize("reference", [None, np.empty(0)])
def test_without_a_reference_there_is_no_p(reference) -> None:
    found = judged(np.array(["a"]), np.array([1]), np.array([0.9]), reference)
    assert (found.p, found.q, found.found(0.5).any()) == (None, None, False)


@pytest.mark.parametrize(("count", "exposed"), [(13, 1), (13, 13), (200, 7)])
def test_the_reference_that_is_needed_is_the_smallest_that_can_find_them(count: int, exposed: int) -> None:
    names, sizes = np.arange(count).astype(str), np.ones(count, int)
    scores = np.where(np.arange(count) < exposed, 2.0, 0.0)
    needed = judged(names, sizes, scores, np.ones(5)).needed(0.05, exposed=exposed)
    assert judged(names, sizes, scores, np.ones(needed)).found(0.05).sum() == exposed
    assert not judged(names, sizes, scores, np.ones(needed - 1)).found(0.05).any()


@pytest.mark.parametrize(("count", "reference"), [(40, 268), (13, 13), (200, 697), (5, 10_000)])
def test_fewer_than_the_fewest_are_never_found(count: int, reference: int) -> None:
    names, sizes = np.arange(count).astype(str), np.ones(count, int)

    def found(exposed: int) -> int:
        scores = np.where(np.arange(count) < exposed, 2.0, 0.0)
        return int(judged(names, sizes, scores, np.ones(reference)).found(0.05).sum())

    fewest = judged(names, sizes, np.zeros(count), np.ones(reference)).fewest(0.05)
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
            p[fair] += judged(names[:5], sizes[:5], own[:5], own[5:]).p.tolist()
    assert np.mean(np.array(p[True]) <= 0.05) <= 0.05
    assert np.mean(np.array(p[False]) <= 0.05) > 0.2
