"""Which real image plays which part: by group, seeded, decided before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fingerprints.errors import FingerprintsError

NonMembers = Literal["other_groups", "same_groups"]
ATTEMPTS = 100


@dataclass(frozen=True)
class SubsetCounts:
    """Sizes of a `subset` benchmark.

    Attributes:
        subsets: Real subsets, each with a generator of its own.
        real: Real images a subset.
        generated: Generated images a subset, labelled.
        test: Generated images of the test part, all subsets together.
    """

    subsets: int
    real: int
    generated: int
    test: int


@dataclass(frozen=True)
class UsageCounts:
    """Sizes of a `usage` benchmark; the test part has real images and a generator of its own.

    Attributes:
        members: Real images that the generator is trained on.
        nonmembers: Real images that it is not.
        generated: Generated images.
        test_members: As above, of the test part.
        test_nonmembers: As above, of the test part.
        test_generated: As above, of the test part.
    """

    members: int
    nonmembers: int
    generated: int
    test_members: int
    test_nonmembers: int
    test_generated: int


@dataclass(frozen=True)
class GeneratorPlan:
    """One generator: what it is trained on and what is made with it.

    Attributes:
        name: Its name in messages and folders.
        members: `(m,)` rows of the real images that train it.
        nonmembers: `(k,)` rows of real images shown beside them as not used; empty for `subset`.
        kept_out: Rows of other real images, for its quality figures.
        kept_out_kind: Whether those are of the members' groups or of others.
        outputs: Images to make for each folder of the benchmark.
    """

    name: str
    members: NDArray[np.int64]
    nonmembers: NDArray[np.int64]
    kept_out: NDArray[np.int64]
    kept_out_kind: NonMembers
    outputs: dict[str, int] = field(default_factory=dict)


def plan_subset(groups: Sequence[str], counts: SubsetCounts, *, seed: int) -> list[GeneratorPlan]:
    """A generator for each subset; no group is in two subsets.

    Args:
        groups: Group of each real image.
        counts: Sizes.
        seed: Seed of every choice.

    Raises:
        FingerprintsError: If the groups do not allow it.
    """
    needs = [(f"subset t{number + 1}", counts.real) for number in range(counts.subsets)]
    pools = share_groups(groups, needs, seed=seed)
    rng = np.random.default_rng([seed, 0x5B5E])
    shares = np.bincount(np.arange(counts.test) % counts.subsets, minlength=counts.subsets)
    plans = []
    chosen = [np.sort(rng.permutation(pool)[: counts.real]) for pool in pools]
    everything = np.arange(len(groups))
    for number, (pool, members) in enumerate(zip(pools, chosen, strict=True)):
        label = f"t{number + 1}"
        kept_out, kind = _kept_out(np.setdiff1d(pool, members), np.setdiff1d(everything, pool), len(members))
        plans.append(
            GeneratorPlan(
                name=label,
                members=members,
                nonmembers=np.empty(0, dtype=np.int64),
                kept_out=kept_out,
                kept_out_kind=kind,
                outputs={
                    f"generated/gen_{label}": counts.generated,
                    "test/generated_unknown": int(shares[number]),
                },
            )
        )
    return plans


def plan_usage(
    groups: Sequence[str], counts: UsageCounts, *, nonmembers: NonMembers, seed: int
) -> list[GeneratorPlan]:
    """A generator for the training part and one for the test part, which share no group.

    Args:
        groups: Group of each real image.
        counts: Sizes.
        nonmembers: `other_groups`: no group has members and non-members, so that "used" means "this
            patient was used". `same_groups`: the members' groups have the non-members too, as even as
            they go, so that "used" means "this very image was used".
        seed: Seed of every choice.

    Raises:
        FingerprintsError: If the groups do not allow it.
    """
    sizes = {
        "training": (counts.members, counts.nonmembers, counts.generated, "generated"),
        "test": (counts.test_members, counts.test_nonmembers, counts.test_generated, "test/generated"),
    }
    rng = np.random.default_rng([seed, 0x05A6])
    everything = np.arange(len(groups))
    needs: list[tuple[str, int]] = []
    for part, (used, not_used, _, _) in sizes.items():
        if nonmembers == "other_groups":
            needs += [(f"{part} part, used", used), (f"{part} part, not used", not_used)]
        else:
            needs.append((f"{part} part", used + not_used))
    pools = share_groups(groups, needs, seed=seed)
    plans = []
    for number, (part, (used, not_used, generated, folder)) in enumerate(sizes.items()):
        if nonmembers == "other_groups":
            ours, theirs = pools[2 * number], pools[2 * number + 1]
            members = np.sort(rng.permutation(ours)[:used])
            others = np.sort(rng.permutation(theirs)[:not_used])
            spare = np.setdiff1d(ours, members)
        else:
            members, others = _halves(pools[number], groups, used, not_used, rng=rng)
            spare = np.setdiff1d(pools[number], members)
        strangers = everything[~np.isin(np.asarray(groups), np.asarray(groups)[members])]
        kept_out, kind = _kept_out(spare, strangers, used)
        plans.append(
            GeneratorPlan(
                name=part,
                members=members,
                nonmembers=others,
                kept_out=kept_out,
                kept_out_kind=kind,
                outputs={folder: generated},
            )
        )
    return plans


def share_groups(
    groups: Sequence[str], needs: Sequence[tuple[str, int]], *, seed: int, least: int = 2
) -> list[NDArray[np.int64]]:
    """Deal whole groups out, so that each part has the images it needs and `least` groups.

    Large groups are dealt first, each to the part that lacks the largest share of its need; among a
    hundred seeded orders the first that satisfies all parts is taken.

    Args:
        groups: Group of each image.
        needs: Name and number of images of each part.
        seed: Seed of the order.
        least: Fewest groups a part; a split of it by group needs two.

    Returns:
        Rows of each part, sorted; every image is in one.

    Raises:
        FingerprintsError: If there are too few images or groups, or no order satisfies all parts.
    """
    names, codes, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    wanted = np.array([need for _, need in needs], dtype=float)
    parts = ", ".join(f"{name}: {need:,}" for name, need in needs)
    if len(groups) < wanted.sum():
        raise FingerprintsError(
            f"The benchmark needs {int(wanted.sum()):,} real images ({parts}); there are {len(groups):,}.",
            where="images",
            fix="smaller counts (scale.*=N, see --help), or more images",
        )
    if len(names) < least * len(needs):
        raise FingerprintsError(
            f"The images are of {len(names)} group(s); {len(needs)} parts that share no group need at least "
            f"{least} each.",
            where="groups",
            fix="groups=CSV with finer groups, images of more patients, or fewer parts",
        )
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, 0x6409, attempt])
        order = rng.permutation(len(names))
        order = order[np.argsort(-sizes[order], kind="stable")]
        filled, held = np.zeros(len(needs)), np.zeros(len(needs), dtype=int)
        part_of = np.empty(len(names), dtype=np.int64)
        for position, group in enumerate(order.tolist()):
            lacking = 1 - filled / np.maximum(wanted, 1)
            # The last groups go where a part would otherwise be left with too few.
            short = np.maximum(least - held, 0)
            if short.sum() >= len(order) - position:
                lacking = np.where(short > 0, lacking, -np.inf)
            part = int(np.argmax(lacking))
            part_of[group] = part
            filled[part] += sizes[group]
            held[part] += 1
        if np.all(filled >= wanted) and np.all(held >= least):
            return [np.flatnonzero(part_of[codes] == part) for part in range(len(needs))]
    biggest = int(sizes.max())
    raise FingerprintsError(
        f"The groups cannot be dealt out so that each part has its images ({parts}): {len(groups):,} images "
        f"in {len(names)} groups, the largest of {biggest:,}.",
        where="groups",
        fix="smaller counts (scale.*=N), finer groups (groups=CSV), or more images",
    )


def _kept_out(
    spare: NDArray[np.int64], strangers: NDArray[np.int64], wanted: int
) -> tuple[NDArray[np.int64], NonMembers]:
    """Images for quality figures: the members' groups' own spare ones if they are not too few."""
    if len(spare) >= min(50, wanted):
        return spare, "same_groups"
    return strangers, "other_groups"


def _halves(
    pool: NDArray[np.int64],
    groups: Sequence[str],
    used: int,
    not_used: int,
    *,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Members and non-members from every group of the pool, in proportion; it has enough of them."""
    names = np.asarray(groups)[pool]
    ranked: list[tuple[float, int]] = []
    for name in np.unique(names):
        rows = rng.permutation(pool[names == name])
        # The i-th of n images stands at (i + a random offset) / n: any cut takes from all groups alike.
        ranked += [((i + rng.random()) / len(rows), int(row)) for i, row in enumerate(rows)]
    order = np.array([row for _, row in sorted(ranked)], dtype=np.int64)
    return np.sort(order[:used]), np.sort(order[len(order) - not_used :])
