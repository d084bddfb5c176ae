"""Second thoughts on clusters: dense regions, alignment, votes."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import DBSCAN

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.centroid import CentroidDecision
from fingerprints.decisions.cluster import HierarchicalDecision, KMeansDecision
from fingerprints.decisions.refine import (
    DbscanRerankDecision,
    VoteDecision,
    align,
    dense_regions,
    majority,
    rerank,
    vote,
)


def letters(text: str) -> np.ndarray:
    return np.array(list(text))


def points(seed: int = 0, n: int = 90) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 3, n)[:, None] + 0.5 * rng.normal(size=(n, 5))).astype(np.float32)


class TestRegions:
    @pytest.mark.parametrize("quantile", [0.2, 0.5, 0.9])
    @pytest.mark.parametrize("min_samples", [2, 4])
    def test_a_quantile_of_the_images_is_core(self, quantile: float, min_samples: int) -> None:
        own = points()
        distances = np.linalg.norm(own[:, None].astype(float) - own[None], axis=2)
        radius = np.quantile(np.sort(distances, axis=1)[:, min_samples - 1], quantile) * (1 + 1e-5)
        expected = DBSCAN(eps=radius, min_samples=min_samples).fit(own.astype(float))
        regions = dense_regions(own, quantile=quantile, min_samples=min_samples)
        assert regions.tolist() == expected.labels_.tolist()
        assert len(expected.core_sample_indices_) == pytest.approx(quantile * 90, abs=1)

    def test_copies_are_a_region(self) -> None:
        own = np.repeat(points(n=4), 6, axis=0)
        assert len(set(dense_regions(own).tolist())) == 4

    @pytest.mark.parametrize("options", [{"quantile": 0.0}, {"min_samples": 1}, {"min_samples": 91}])
    def test_options_out_of_range(self, options: dict) -> None:
        with pytest.raises(FingerprintsError, match="DBSCAN cannot"):
            dense_regions(points(), **options)

    def test_regions_take_their_majority_and_noise_its_own(self) -> None:
        regions = np.array([0, 0, 0, 1, 1, 1, -1, -1, 2, 2])
        assert "".join(rerank(letters("aabbbacbba"), regions)) == "aaabbbcbaa"  # a tie: first in the alphabet


class TestVotes:
    @pytest.mark.parametrize("seed", range(5))
    def test_alignment_is_the_best_of_all_renamings(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        reference, labels = (letters("abcd")[rng.integers(0, 4, 25)] for _ in range(2))
        renamings = [dict(zip("abcd", p, strict=True)) for p in permutations("abcd")]
        best = max(np.mean([r[x] == y for x, y in zip(labels, reference, strict=True)]) for r in renamings)
        assert np.mean(align(labels, reference) == reference) == pytest.approx(best)

    def test_left_over_clusters_go_where_they_overlap_most(self) -> None:
        assert "".join(align(letters("xxxyyyz"), letters("aaabbba"))) == "aaabbba"
        assert "".join(align(letters("xxxxx"), letters("aaabb"))) == "aaaaa"

    def test_majority_and_ties_to_the_first(self) -> None:
        voters = [letters("aaab"), letters("bbcc"), letters("bcca")]
        assert "".join(majority(voters)) == "bacb"
        # a, b, b, c, c: the first of the tied two is b's.
        assert "".join(majority([letters(x) for x in "abbcc"])) == "b"
        assert "".join(majority([letters("ab")])) == "ab"

    @pytest.mark.parametrize("voters", [[], [letters("ab"), letters("abc")]])
    def test_votes_on_different_units_are_refused(self, voters: list) -> None:
        with pytest.raises(FingerprintsError, match="same units"):
            majority(voters)

    def test_clusterings_are_aligned_before_they_vote(self) -> None:
        one, two, three = letters("aaabbb"), letters("yyyxxx"), letters("qqpppp")
        assert "".join(vote([one, two, three])) == "aaabbb"
        assert "".join(vote([three, one, two])) == "qqqppp"


class TestDecisions:
    def test_rerank_is_its_parts(self) -> None:
        own, inner = points(), KMeansDecision(6)
        answers = DbscanRerankDecision(inner).answer(own)
        earlier = inner.answer(own).labels
        expected = rerank(earlier, dense_regions(own))
        pairs = set(zip(answers.labels.tolist(), expected.tolist(), strict=True))
        assert len(pairs) == len(set(expected)) == len(set(answers.labels))
        assert (answers.labels != earlier).any()
        assert answers.scores is None

    @pytest.mark.parametrize("options", [{"quantile": 0.2}, {"min_samples": 12}])
    def test_each_option_changes_clusters(self, options: dict) -> None:
        own, inner = points(), KMeansDecision(6)
        one, two = (DbscanRerankDecision(inner, **o).answer(own).labels for o in ({}, options))
        assert (one != two).any()

    def test_vote_is_its_parts(self) -> None:
        own = points()
        members = (KMeansDecision(4), HierarchicalDecision(4), HierarchicalDecision(4, linkage="average"))
        expected = vote([member.answer(own).labels for member in members])
        answers = VoteDecision(members).answer(own)
        assert len(set(zip(answers.labels, expected, strict=True))) == len(set(expected))
        assert (answers.labels != members[0].answer(own).labels).any()
        assert VoteDecision(members[:1]).answer(own).labels.tolist() == members[0].answer(own).labels.tolist()

    @pytest.mark.parametrize("make", [DbscanRerankDecision, lambda inner: VoteDecision((inner,))])
    def test_classifiers_are_no_clusterings(self, make: Any) -> None:
        with pytest.raises(FingerprintsError, match=r"'centroid'(.|\n)*no clustering"):
            make(CentroidDecision(np.eye(2, dtype=np.float32), ("a", "b")))

    def test_nobody_cannot_vote(self) -> None:
        with pytest.raises(FingerprintsError, match="no members"):
            VoteDecision(())
