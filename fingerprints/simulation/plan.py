"""The role of each real image: assigned by group, with a seed, before any training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fingerprints.config.simulation import (
    ModelScale,
    NonMembers,
    ShadowScale,
    SimulateSettings,
    Subsets,
    SubsetScale,
    UsageScale,
)
from fingerprints.core.errors import FingerprintsError
from fingerprints.data.settings import PartName

ATTEMPTS = 100
TEST_UNKNOWN = "test/generated_unknown"  # generated images of all labels, mixed


@dataclass(frozen=True)
class GeneratorPlan:
    """One generator: its training images and its outputs.

    Attributes:
        name: Its name in messages and folders.
        label: Name of the subset, or of the generator, in the layout.
        part: The part of the layout with its real images.
        design: Number of its design in the benchmark.
        members: `(m,)` rows of the real images that train it.
        nonmembers: `(k,)` rows of real images that are labelled as not used; only for `usage`.
        outputs: Number of images to make for each folder of the benchmark.
    """

    name: str
    label: str
    part: PartName
    design: int
    members: NDArray[np.int64]
    nonmembers: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    outputs: dict[str, int] = field(default_factory=dict)


def outsiders(groups: Sequence[str], members: NDArray[np.int64]) -> dict[NonMembers, NDArray[np.int64]]:
    """Rows of all images that a generator was not trained on: in its members' groups, and in other groups."""
    names = np.asarray(groups)
    same = np.isin(names, names[members])
    return {
        "same_groups": np.setdiff1d(np.flatnonzero(same), members),
        "other_groups": np.flatnonzero(~same),
    }


def kept_out_of(used: int) -> int:
    """Number of images of other groups that `model` and `shadow` keep out of training, to measure quality."""
    return -(-used // 4)


def images_needed(settings: SimulateSettings) -> int:
    """Number of real images that the benchmark needs.

    `subsets=same` needs the images of the other subsets too: groups are assigned as without this control, so
    that it differs from the benchmark in one thing only. The images of the other subsets then serve as
    images that a generator was not trained on.
    """
    sizes = settings.sizes
    if isinstance(sizes, SubsetScale):
        return sizes.subsets * sizes.real
    if isinstance(sizes, UsageScale):
        return sizes.members + sizes.nonmembers + sizes.test_members + sizes.test_nonmembers
    used = sizes.real if isinstance(sizes, ModelScale) else sizes.candidates
    return used + kept_out_of(used)


def plan_generators(groups: Sequence[str], settings: SimulateSettings) -> list[GeneratorPlan]:
    """Which generator is trained on which images.

    Args:
        groups: Group of each real image.
        settings: The benchmark.

    Raises:
        FingerprintsError: If the images or their groups do not allow the benchmark.
    """
    sizes, seed = settings.sizes, settings.seed
    labels = unique_labels([design.name for design in settings.designs])
    if isinstance(sizes, SubsetScale):
        return plan_subset(groups, sizes, seed=seed, subsets=settings.subsets)
    if isinstance(sizes, UsageScale):
        return plan_usage(groups, sizes, nonmembers=settings.nonmembers, seed=seed, labels=labels)
    if isinstance(sizes, ModelScale):
        return plan_model(groups, sizes, labels=labels, seed=seed)
    return plan_shadow(groups, sizes, seed=seed)


def unique_labels(designs: Sequence[str]) -> list[str]:
    """A label for each generator: its design, with a number if several have the same design."""
    seen: dict[str, int] = {}
    labels = []
    for design in designs:
        seen[design] = seen.get(design, 0) + 1
        labels.append(design if seen[design] == 1 else f"{design}_{seen[design]}")
    return labels


def plan_subset(
    groups: Sequence[str], sizes: SubsetScale, *, seed: int, subsets: Subsets = "disjoint"
) -> list[GeneratorPlan]:
    """A generator for each subset; no group is in two subsets, unless all subsets are the same.

    Args:
        groups: Group of each real image.
        sizes: Sizes.
        seed: Seed of every choice.
        subsets: `disjoint`: each subset has its own groups. `same`: a control in which all generators use
            the first subset; groups are assigned as in `disjoint`, so that the first subset is the same.

    Raises:
        FingerprintsError: If the groups do not allow it.
    """
    needs = [(f"subset t{number + 1}", sizes.real) for number in range(sizes.subsets)]
    pools = share_groups(groups, needs, seed=seed)
    rng = np.random.default_rng([seed, 0x5B5E])
    plans: list[GeneratorPlan] = []
    for number, (pool, share) in enumerate(zip(pools, _shares(sizes.test, sizes.subsets), strict=True)):
        label = f"t{number + 1}"
        own = np.sort(rng.permutation(pool)[: sizes.real])
        plans.append(
            GeneratorPlan(
                name=label,
                label=label,
                part="train",
                design=0,
                members=plans[0].members if subsets == "same" and plans else own,
                outputs={f"generated/gen_{label}": sizes.generated, TEST_UNKNOWN: share},
            )
        )
    return plans


def plan_usage(
    groups: Sequence[str],
    sizes: UsageScale,
    *,
    nonmembers: NonMembers,
    seed: int,
    labels: Sequence[str] = ("",),
) -> list[GeneratorPlan]:
    """A generator for the training part and one for the test part; the parts share no group.

    If there are several designs, all are trained on the same images, so that only the design differs.

    Args:
        groups: Group of each real image.
        sizes: Sizes.
        nonmembers: `other_groups`: no group has members and non-members, so that "used" means "this
            patient was used". `same_groups`: non-members come from the members' groups, as evenly as
            possible, so that "used" means "this very image was used".
        seed: Seed of every choice.
        labels: A label for each design; a single design has no label in the layout.

    Raises:
        FingerprintsError: If the groups do not allow it.
    """
    parts = _usage_parts(sizes)
    rng = np.random.default_rng([seed, 0x05A6])
    needs: list[tuple[str, int]] = []
    for part in parts:
        if nonmembers == "other_groups":
            needs += [
                (f"{part.title} part, used", part.used),
                (f"{part.title} part, not used", part.not_used),
            ]
        else:
            needs.append((f"{part.title} part", part.used + part.not_used))
    pools = share_groups(groups, needs, seed=seed)
    plans = []
    for number, part in enumerate(parts):
        if nonmembers == "other_groups":
            members = np.sort(rng.permutation(pools[2 * number])[: part.used])
            others = np.sort(rng.permutation(pools[2 * number + 1])[: part.not_used])
        else:
            members, others = _halves(pools[number], groups, part.used, part.not_used, rng=rng)
        for design, label in enumerate(labels):
            several = len(labels) > 1
            plans.append(
                GeneratorPlan(
                    name=f"{label}_{part.title}" if several else part.title,
                    label=label if several else "",
                    part=part.part,
                    design=design,
                    members=members,
                    nonmembers=others,
                    outputs={_below(part.folder, label) if several else part.folder: part.generated},
                )
            )
    return plans


@dataclass(frozen=True)
class _UsagePart:
    """One part of a `usage` benchmark: its numbers of images, and the folder of its generated images."""

    part: PartName
    title: str
    used: int
    not_used: int
    generated: int
    folder: str


def _usage_parts(sizes: UsageScale) -> list[_UsagePart]:
    train = _UsagePart(
        "train", "training", sizes.members, sizes.nonmembers, sizes.generated, folder="generated"
    )
    if not sizes.has_test:
        return [train]
    test = _UsagePart(
        "test",
        "test",
        sizes.test_members,
        sizes.test_nonmembers,
        sizes.test_generated,
        folder="test/generated",
    )
    return [train, test]


def _below(folder: str, label: str) -> str:
    """Add a label: `generated` -> `<label>/generated`, `test/generated` -> `test/<label>/generated`."""
    *above, last = folder.split("/")
    return "/".join([*above, label, last])


def plan_model(
    groups: Sequence[str], sizes: ModelScale, *, labels: Sequence[str], seed: int
) -> list[GeneratorPlan]:
    """Generators of several designs, all trained on the same images; other groups are kept out.

    Args:
        groups: Group of each real image.
        sizes: Sizes.
        labels: A label for each generator, the labelled ones first.
        seed: Seed of every choice.

    Raises:
        FingerprintsError: If the groups do not allow it, or there are too few generators or labelled ones.
    """
    if not 2 <= sizes.labelled <= len(labels):
        raise FingerprintsError(
            f"{sizes.labelled} labelled generators of {len(labels)} are not possible in a `model` benchmark.",
            where="scale.model.labelled",
            fix="use at least two labelled ones, and not more than generators=[...] has",
        )
    needs = [("training", sizes.real), ("kept out of it", kept_out_of(sizes.real))]
    pool, _ = share_groups(groups, needs, seed=seed)
    members = np.sort(np.random.default_rng([seed, 0x30DE]).permutation(pool)[: sizes.real])
    plans = []
    for number, (label, share) in enumerate(zip(labels, _shares(sizes.test, len(labels)), strict=True)):
        labelled = {f"generated/{label}": sizes.generated} if number < sizes.labelled else {}
        plans.append(
            GeneratorPlan(
                name=label,
                label=label,
                part="train",
                design=number,
                members=members,
                outputs={**labelled, TEST_UNKNOWN: share},
            )
        )
    return plans


def plan_shadow(groups: Sequence[str], sizes: ShadowScale, *, seed: int) -> list[GeneratorPlan]:
    """Generators that are each trained on a random half of the candidates.

    They come in pairs: the second is trained on the half that the first does not use. So with an even number
    of generators, every candidate is in the training set of exactly half (Carlini et al. 2022, section IV).

    Args:
        groups: Group of each real image.
        sizes: Sizes.
        seed: Seed of every choice.

    Raises:
        FingerprintsError: If the groups do not allow it.
    """
    needs = [("candidates", sizes.candidates), ("kept out of them", kept_out_of(sizes.candidates))]
    pool, _ = share_groups(groups, needs, seed=seed)
    rng = np.random.default_rng([seed, 0x54AD])
    candidates = np.sort(rng.permutation(pool)[: sizes.candidates])
    plans = []
    half = sizes.candidates // 2
    for number in range(sizes.generators):
        if number % 2 == 0:
            order = rng.permutation(candidates)
        members = order[:half] if number % 2 == 0 else order[half:]
        name = f"s{number:03d}"
        plans.append(
            GeneratorPlan(
                name=name,
                label=name,
                part="train",
                design=0,
                members=np.sort(members),
                nonmembers=np.setdiff1d(candidates, members),
                outputs={f"generated/{name}": sizes.generated},
            )
        )
    return plans


def _shares(total: int, parts: int) -> list[int]:
    """Sizes that are as equal as possible; the first ones are larger."""
    return np.bincount(np.arange(total) % parts, minlength=parts).tolist()


def share_groups(
    groups: Sequence[str], needs: Sequence[tuple[str, int]], *, seed: int, least: int = 2
) -> list[NDArray[np.int64]]:
    """Assign whole groups to parts, so that each part has the images it needs and `least` groups.

    Large groups are assigned first, each to the part that lacks the largest share of its images. Up to a
    hundred seeded orders are tried; the first that satisfies all parts is used.

    Args:
        groups: Group of each image.
        needs: Name and number of images of each part.
        seed: Seed of the order.
        least: Smallest number of groups per part; to be split by group, a part needs two.

    Returns:
        Rows of each part, sorted; every image is in exactly one part.

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
            f"The images have {len(names)} group(s); {len(needs)} parts that share no group need at least "
            f"{least} each.",
            where="groups",
            fix="groups=CSV with finer groups, images of more patients, or fewer parts",
        )
    for attempt in range(ATTEMPTS):
        order = np.random.default_rng([seed, 0x6409, attempt]).permutation(len(names))
        order = order[np.argsort(-sizes[order], kind="stable")]
        part_of, filled, held = _deal(order, sizes, wanted, least=least)
        if np.all(filled >= wanted) and np.all(held >= least):
            return [np.flatnonzero(part_of[codes] == part) for part in range(len(needs))]
    biggest = int(sizes.max())
    raise FingerprintsError(
        f"The groups cannot be divided so that each part has its images ({parts}): {len(groups):,} images "
        f"in {len(names)} groups, the largest with {biggest:,}.",
        where="groups",
        fix="smaller counts (scale.*=N), finer groups (groups=CSV), or more images",
    )


def _deal(
    order: NDArray[np.int64], sizes: NDArray[np.int64], wanted: NDArray[np.float64], *, least: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Assign groups in the given order, each to the part that lacks the largest share of its images.

    Args:
        order: `(g,)` numbers of the groups.
        sizes: `(g,)` number of images in each group.
        wanted: `(p,)` number of images that each part needs.
        least: Smallest number of groups per part.

    Returns:
        `(g,)` part of each group; `(p,)` number of images and `(p,)` number of groups in each part.
    """
    filled, held = np.zeros(len(wanted)), np.zeros(len(wanted), dtype=np.int64)
    part_of = np.empty(len(order), dtype=np.int64)
    for position, group in enumerate(order.tolist()):
        lacking = 1 - filled / np.maximum(wanted, 1)
        # The last groups go to parts that would otherwise have too few groups.
        short = np.maximum(least - held, 0)
        if short.sum() >= len(order) - position:
            lacking = np.where(short > 0, lacking, -np.inf)
        part = int(np.argmax(lacking))
        part_of[group] = part
        filled[part] += sizes[group]
        held[part] += 1
    return part_of, filled, held


def _halves(
    pool: NDArray[np.int64],
    groups: Sequence[str],
    used: int,
    not_used: int,
    *,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Members and non-members from every group of the pool, in proportion; the pool has enough images."""
    names = np.asarray(groups)[pool]
    ranked: list[tuple[float, int]] = []
    for name in np.unique(names):
        rows = rng.permutation(pool[names == name])
        # The i-th of n images has the position (i + a random offset) / n: a cut takes evenly from all groups.
        ranked += [((i + rng.random()) / len(rows), int(row)) for i, row in enumerate(rows)]
    order = np.array([row for _, row in sorted(ranked)], dtype=np.int64)
    return np.sort(order[:used]), np.sort(order[len(order) - not_used :])
