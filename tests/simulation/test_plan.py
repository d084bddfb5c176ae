from __future__ import annotations

import numpy as np
import pytest

from fingerprints.errors import FingerprintsError
from fingerprints.simulation.plan import SubsetCounts, UsageCounts, plan_subset, plan_usage, share_groups

GROUPS = [f"p{number // 7:02d}" for number in range(7 * 24)]
SUBSETS = SubsetCounts(subsets=4, real=30, generated=10, test=10)
USAGE = UsageCounts(
    members=20, nonmembers=24, generated=5, test_members=16, test_nonmembers=12, test_generated=7
)


def of(rows):
    return {GROUPS[row] for row in rows}


def test_subsets_have_their_counts_and_share_no_group():
    plans = plan_subset(GROUPS, SUBSETS, seed=0)
    assert [plan.name for plan in plans] == ["t1", "t2", "t3", "t4"]
    assert [len(plan.members) for plan in plans] == [30] * 4
    for i, plan in enumerate(plans):
        for other in plans[i + 1 :]:
            assert not of(plan.members) & of(other.members)
    assert sum(plan.outputs["test/generated_unknown"] for plan in plans) == 10
    assert plans[2].outputs["generated/gen_t3"] == 10


def test_kept_out_images_are_never_trained_on_and_say_whose_they_are():
    for plan in plan_subset(GROUPS, SUBSETS, seed=0):
        assert not set(plan.kept_out) & set(plan.members)
        assert plan.kept_out_kind == "other_groups"  # 12 spare images of the own groups are too few
        assert not of(plan.kept_out) & of(plan.members)
    fewer = SubsetCounts(subsets=2, real=20, generated=1, test=2)
    for plan in plan_subset(GROUPS, fewer, seed=0):
        assert plan.kept_out_kind == "same_groups"
        assert of(plan.kept_out) >= of(plan.members) or len(of(plan.kept_out) & of(plan.members)) > 5
        assert not set(plan.kept_out) & set(plan.members)


@pytest.mark.parametrize("nonmembers", ["other_groups", "same_groups"])
def test_the_parts_of_usage_share_no_group(nonmembers):
    training, test = plan_usage(GROUPS, USAGE, nonmembers=nonmembers, seed=1)
    assert (len(training.members), len(training.nonmembers)) == (20, 24)
    assert (len(test.members), len(test.nonmembers)) == (16, 12)
    ours = of([*training.members, *training.nonmembers])
    assert not ours & of([*test.members, *test.nonmembers])
    assert training.outputs == {"generated": 5}
    assert test.outputs == {"test/generated": 7}
    for plan in (training, test):
        assert not set(plan.members) & set(plan.nonmembers)
        assert not set(plan.members) & set(plan.kept_out)


def test_non_members_come_from_where_they_are_asked_to():
    for plan in plan_usage(GROUPS, USAGE, nonmembers="other_groups", seed=1):
        assert not of(plan.members) & of(plan.nonmembers)
    for plan in plan_usage(GROUPS, USAGE, nonmembers="same_groups", seed=1):
        both = of(plan.members) & of(plan.nonmembers)
        assert len(both) >= 0.8 * len(of(plan.members))


def test_plans_are_functions_of_the_seed():
    one, again, other = (plan_subset(GROUPS, SUBSETS, seed=seed) for seed in (5, 5, 6))
    assert all(np.array_equal(a.members, b.members) for a, b in zip(one, again, strict=True))
    assert any(not np.array_equal(a.members, b.members) for a, b in zip(one, other, strict=True))


def test_every_group_is_dealt_to_one_part():
    sizes = np.random.default_rng(0).integers(1, 40, 30)
    groups = [f"g{i}" for i, size in enumerate(sizes) for _ in range(size)]
    parts = share_groups(groups, [("a", 150), ("b", 60), ("c", 100)], seed=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(groups)))
    assert [len(part) >= need for part, need in zip(parts, (150, 60, 100), strict=True)] == [True] * 3
    held = [{groups[row] for row in part} for part in parts]
    assert not held[0] & held[1]
    assert not held[1] & held[2]


def test_the_last_groups_go_to_parts_that_would_have_too_few():
    # Two large groups would fill both parts at once; each needs two all the same.
    groups = ["a"] * 50 + ["b"] * 50 + ["c", "d"]
    parts = share_groups(groups, [("one", 40), ("two", 40)], seed=0)
    assert [len({groups[row] for row in part}) for part in parts] == [2, 2]


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (GROUPS[:100], r"needs 120 real images.*there are 100"),
        (["one"] * 200, r"of 1 group\(s\); 4 parts"),
        ([f"g{i % 7}" for i in range(200)], r"of 7 group\(s\); 4 parts"),
        (["large"] * 110 + [f"g{i}" for i in range(8)] * 3, r"cannot be dealt out.*largest of 110"),
    ],
)
def test_what_cannot_be_split_is_said_with_numbers(groups, words):
    with pytest.raises(FingerprintsError, match=words):
        plan_subset(groups, SUBSETS, seed=0)
