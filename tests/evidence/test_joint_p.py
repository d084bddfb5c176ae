from __future__ import annotations

import numpy as np
import pytest

from fingerprints.evidence.joint_p import joint_p
from fingerprints.evidence.patients import conformal_p


def slow(scores, groups, other, other_groups, weights) -> list[float]:
    """Image by image, with loops over everything."""
    found = []
    names = sorted(set(other_groups))
    for asked, group in enumerate(groups):
        own = [at for at, name in enumerate(groups) if name == group]
        parts = [[scores[:, at] for at in own]]
        parts += [[other[:, at] for at, name in enumerate(other_groups) if name == one] for one in names]

        def strength(image, place, parts=parts):
            ranks = [
                (
                    1
                    + sum(
                        np.mean([one[d] >= image[d] for one in part])
                        for part in parts[:place] + parts[place + 1 :]
                    )
                )
                / weights[d]
                for d in range(len(image))
            ]
            return min(ranks) + np.mean(ranks) / len(parts)

        mine = strength(scores[:, asked], 0)
        shares = [
            np.mean([strength(image, place) <= mine + 1e-9 for image in part])
            for place, part in enumerate(parts)
            if place
        ]
        found.append((1 + sum(shares)) / len(parts))
    return found


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("weights", [None, [1.0, 3.0, 0.5]])
def test_it_is_what_loops_over_everything_find(single: bool, weights) -> None:
    rng = np.random.default_rng(0)
    scores, other = (rng.integers(0, 6, (3, count)).astype(float) for count in (8, 15))  # with ties
    groups, other_groups = np.array([*"abbbaacc"]), np.array([*"tttuuvvvvvwxxyy"])
    if single:
        groups, other_groups = np.arange(8).astype(str), np.arange(15).astype(str)
    found = joint_p(scores, groups, compared_with=other, compared_groups=other_groups, weights=weights)
    np.testing.assert_allclose(found, slow(scores, groups, other, other_groups, weights or [1, 1, 1]))


def test_a_single_score_of_single_images_gives_the_conformal_p() -> None:
    rng = np.random.default_rng(1)
    own, other = rng.integers(0, 30, 12).astype(float), rng.integers(0, 30, 40).astype(float)
    found = joint_p(
        own[None], np.arange(12), compared_with=other[None], compared_groups=np.arange(40), weights=None
    )
    np.testing.assert_allclose(found, conformal_p(own, compared_with=other))


def test_members_do_not_push_one_another_down() -> None:
    """100 members above the reference in one of three scores: each has nearly the smallest p."""
    rng = np.random.default_rng(2)
    own, other = rng.random((3, 100)), rng.random((3, 200))
    own[1] += 1
    found = joint_p(own, np.arange(100), compared_with=other, compared_groups=np.arange(200))
    assert found.max() <= 3 / 201 + 1e-9


@pytest.mark.parametrize("detectors", [1, 4])
def test_p_of_an_image_holds_although_images_of_a_patient_are_alike(detectors: int) -> None:
    """Other patients asked about are exposed; counted image by image, p is far too small."""
    rng, p, careless = np.random.default_rng(3), [], []
    sizes = np.array([3, 5, 1, *rng.integers(1, 6, 19)])
    groups = np.repeat(np.arange(22), sizes)
    asked = groups < 3
    for _ in range(150):
        patients = rng.normal(size=(detectors, 22))[:, groups]
        scores = patients + 0.3 * rng.normal(size=patients.shape)
        scores[:, (groups == 1) | (groups == 2)] += 4
        given = {"compared_with": scores[:, ~asked]}
        own = scores[:, asked]
        p.append(joint_p(own, groups[asked], compared_groups=groups[~asked], **given)[0])
        single = np.arange(len(groups))
        careless.append(joint_p(own, single[asked], compared_groups=single[~asked], **given)[0])
    for share in (0.05, 0.2, 0.5):
        assert np.mean(np.array(p) <= share) <= share + 3 * (share * (1 - share) / 150) ** 0.5
    assert min(p) >= 1 / 20
    assert np.mean(np.array(careless) <= 0.05) > np.mean(np.array(p) <= 0.05)
