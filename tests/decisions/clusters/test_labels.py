"""Names of clusters, alignment and votes."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.clusters.labels import align, cluster_names, majority, renamed, vote


def letters(text: str) -> np.ndarray:
    return np.array(list(text))


def test_names_follow_first_occurrence() -> None:
    names = cluster_names(np.array([7, 2, 2, 7, 0]))
    assert names.tolist() == ["cluster_1", "cluster_2", "cluster_2", "cluster_1", "cluster_3"]
    assert cluster_names(np.arange(12))[-1] == "cluster_12"
    assert renamed(names[1:3]).tolist() == ["cluster_1", "cluster_1"]


@pytest.mark.parametrize("seed", range(5))
def test_alignment_is_the_best_of_all_renamings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference, labels = (letters("abcd")[rng.integers(0, 4, 25)] for _ in range(2))
    renamings = [dict(zip("abcd", p, strict=True)) for p in permutations("abcd")]
    best = max(np.mean([r[x] == y for x, y in zip(labels, reference, strict=True)]) for r in renamings)
    assert np.mean(align(labels, reference) == reference) == pytest.approx(best)


def test_left_over_clusters_go_where_they_overlap_most() -> None:
    assert "".join(align(letters("xxxyyyz"), letters("aaabbba"))) == "aaabbba"
    assert "".join(align(letters("xxxxx"), letters("aaabb"))) == "aaaaa"


def test_majority_and_ties_to_the_first() -> None:
    voters = [letters("aaab"), letters("bbcc"), letters("bcca")]
    assert "".join(majority(voters)) == "bacb"
    # a, b, b, c, c: the first of the tied two is b's.
    assert "".join(majority([letters(x) for x in "abbcc"])) == "b"
    assert "".join(majority([letters("ab")])) == "ab"


@pytest.mark.parametrize("voters", [[], [letters("ab"), letters("abc")]])
def test_votes_on_different_units_are_refused(voters: list) -> None:
    with pytest.raises(FingerprintsError, match="same units"):
        majority(voters)


def test_clusterings_are_aligned_before_they_vote() -> None:
    one, two, three = letters("aaabbb"), letters("yyyxxx"), letters("qqpppp")
    assert "".join(vote([one, two, three])) == "aaabbb"
    assert "".join(vote([three, one, two])) == "qqqppp"
