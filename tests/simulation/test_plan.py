from __future__ import annotations

import numpy as np
import pytest

from fingerprints.config.simulation import ModelScale, ShadowScale, SubsetScale, UsageScale
from fingerprints.core.errors import FingerprintsError
from fingerprints.simulation.plan import (
    outsiders,
    plan_model,
    plan_shadow,
    plan_subset,
    plan_usage,
    share_groups,
    unique_labels,
)

GROUPS = [f"p{number // 7:02d}" for number in range(7 * 24)]
SUBSETS = SubsetScale(subsets=4, real=30, generated=10, test=10)
USAGE = UsageScale(
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


def test_the_same_subset_for_all_is_the_first_of_the_disjoint_ones():
    disjoint, same = (plan_subset(GROUPS, SUBSETS, seed=3, subsets=kind) for kind in ("disjoint", "same"))
    assert [plan.name for plan in same] == [plan.name for plan in disjoint]
    assert [plan.outputs for plan in same] == [plan.outputs for plan in disjoint]
    assert len(disjoint[0].members) == 30
    for plan in same:
        assert np.array_equal(plan.members, disjoint[0].members)


def test_outsiders_are_all_images_that_no_member_is_by_whose_they_are():
    for plan in plan_subset(GROUPS, SUBSETS, seed=0):
        found = outsiders(GROUPS, plan.members)
        same, others = found["same_groups"], found["other_groups"]
        assert sorted([*plan.members, *same, *others]) == list(range(len(GROUPS)))
        assert of(same) <= of(plan.members)
        assert not of(others) & of(plan.members)
        assert len(same)
        assert len(others)
    everything = outsiders(GROUPS, np.arange(len(GROUPS)))
    assert [len(rows) for rows in everything.values()] == [0, 0]


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


def test_non_members_come_from_where_they_are_asked_to():
    for plan in plan_usage(GROUPS, USAGE, nonmembers="other_groups", seed=1):
        assert not of(plan.members) & of(plan.nonmembers)
    for plan in plan_usage(GROUPS, USAGE, nonmembers="same_groups", seed=1):
        both = of(plan.members) & of(plan.nonmembers)
        assert len(both) >= 0.8 * len(of(plan.members))


def test_without_a_test_part_usage_has_the_training_part_alone():
    sizes = UsageScale(
        members=20, nonmembers=24, generated=5, test_members=0, test_nonmembers=0, test_generated=0
    )
    (training,) = plan_usage(GROUPS, sizes, nonmembers="other_groups", seed=1)
    assert (training.name, training.part) == ("training", "train")
    assert (len(training.members), len(training.nonmembers)) == (20, 24)
    assert training.outputs == {"generated": 5}


@pytest.mark.parametrize("nonmembers", ["other_groups", "same_groups"])
def test_designs_of_usage_are_trained_on_the_same_images_in_folders_of_their_own(nonmembers):
    plans = plan_usage(GROUPS, USAGE, nonmembers=nonmembers, seed=1, labels=["gan", "vae"])
    assert [(plan.name, plan.label, plan.part, plan.design) for plan in plans] == [
        ("gan_training", "gan", "train", 0),
        ("vae_training", "vae", "train", 1),
        ("gan_test", "gan", "test", 0),
        ("vae_test", "vae", "test", 1),
    ]
    assert [plan.outputs for plan in plans] == [
        {"gan/generated": 5},
        {"vae/generated": 5},
        {"test/gan/generated": 7},
        {"test/vae/generated": 7},
    ]
    for one, other, alone in (
        (plans[0], plans[1], 0),
        (plans[2], plans[3], 1),
    ):
        single = plan_usage(GROUPS, USAGE, nonmembers=nonmembers, seed=1)[alone]
        for plan in (one, other):
            assert np.array_equal(plan.members, single.members)
            assert np.array_equal(plan.nonmembers, single.nonmembers)


def test_designs_that_are_there_twice_are_numbered():
    assert unique_labels(["gan", "vae", "gan", "gan"]) == ["gan", "vae", "gan_2", "gan_3"]


MODEL = ModelScale(real=60, labelled=2, generated=9, test=11)
LABELS = ["gan", "vae", "stylegan"]


def test_generators_of_model_are_trained_on_the_same_images():
    plans = plan_model(GROUPS, MODEL, labels=LABELS, seed=0)
    assert [(plan.name, plan.label, plan.design) for plan in plans] == [
        (label, label, number) for number, label in enumerate(LABELS)
    ]
    for plan in plans:
        assert np.array_equal(plan.members, plans[0].members)
    assert len(set(plans[0].members)) == 60


def test_the_first_generators_of_model_are_labelled_and_all_are_in_the_test_part_evenly():
    plans = plan_model(GROUPS, MODEL, labels=LABELS, seed=0)
    assert [plan.outputs for plan in plans] == [
        {"generated/gan": 9, "test/generated_unknown": 4},
        {"generated/vae": 9, "test/generated_unknown": 4},
        {"test/generated_unknown": 3},
    ]


def test_groups_are_kept_out_of_all_generators_of_model_and_of_all_shadows():
    members = plan_model(GROUPS, MODEL, labels=LABELS, seed=0)[0].members
    assert len(outsiders(GROUPS, members)["other_groups"]) >= 15
    candidates = np.concatenate([shadow.members for shadow in plan_shadow(GROUPS, SHADOW, seed=0)])
    assert len(outsiders(GROUPS, candidates)["other_groups"]) >= 10


@pytest.mark.parametrize("labelled", [1, 4])
def test_model_needs_two_labelled_generators_and_as_many_as_are_labelled(labelled):
    sizes = ModelScale(real=60, labelled=labelled, generated=9, test=11)
    with pytest.raises(FingerprintsError, match=rf"{labelled} labelled generators of 3") as error:
        plan_model(GROUPS, sizes, labels=LABELS, seed=0)
    assert error.value.where == "scale.model.labelled"


@pytest.mark.parametrize(
    "plan",
    [
        lambda groups: plan_model(groups, MODEL, labels=LABELS, seed=0),
        lambda groups: plan_shadow(groups, ShadowScale(candidates=60, generators=4, generated=5), seed=0),
    ],
)
def test_a_quarter_more_than_the_members_is_needed_to_keep_images_out(plan):
    assert plan(GROUPS[:84])
    with pytest.raises(FingerprintsError, match=r"needs 75 real images.*kept out of .*: 15\).*there are 70"):
        plan(GROUPS[:70])


SHADOW = ShadowScale(candidates=40, generators=6, generated=5)


def test_every_candidate_is_in_the_training_of_half_of_the_shadows():
    plans = plan_shadow(GROUPS, SHADOW, seed=0)
    assert [plan.name for plan in plans] == [f"s{number:03d}" for number in range(6)]
    candidates, times = np.unique(np.concatenate([plan.members for plan in plans]), return_counts=True)
    assert len(candidates) == 40
    assert set(times) == {3}
    for plan in plans:
        assert len(plan.members) == len(plan.nonmembers) == 20
        assert sorted([*plan.members, *plan.nonmembers]) == candidates.tolist()
        assert plan.outputs == {f"generated/{plan.name}": 5}


def test_shadows_come_in_pairs_that_share_no_image():
    plans = plan_shadow(GROUPS, SHADOW, seed=0)
    for first, second in zip(plans[::2], plans[1::2], strict=True):
        assert np.array_equal(first.nonmembers, second.members)
    halves = {tuple(plan.members) for plan in plans}
    assert len(halves) == 6  # each pair cuts otherwise


def test_an_odd_candidate_is_in_one_half_of_each_pair():
    plans = plan_shadow(GROUPS, ShadowScale(candidates=41, generators=3, generated=5), seed=0)
    assert [len(plan.members) for plan in plans] == [20, 21, 20]
    assert not set(plans[0].members) & set(plans[1].members)


@pytest.mark.parametrize(
    "plan",
    [
        lambda seed: plan_model(GROUPS, MODEL, labels=LABELS, seed=seed),
        lambda seed: plan_shadow(GROUPS, SHADOW, seed=seed),
    ],
)
def test_plans_of_model_and_shadow_are_functions_of_the_seed(plan):
    one, again, other = (list(plan(seed)) for seed in (5, 5, 6))
    assert one
    assert all(np.array_equal(a.members, b.members) for a, b in zip(one, again, strict=True))
    assert all(not np.array_equal(a.members, b.members) for a, b in zip(one, other, strict=True))


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
        (["one"] * 200, r"have 1 group\(s\); 4 parts"),
        ([f"g{i % 7}" for i in range(200)], r"have 7 group\(s\); 4 parts"),
        (["large"] * 110 + [f"g{i}" for i in range(8)] * 3, r"cannot be divided.*largest with 110"),
    ],
)
def test_what_cannot_be_split_is_said_with_numbers(groups, words):
    with pytest.raises(FingerprintsError, match=words):
        plan_subset(groups, SUBSETS, seed=0)
