"""What an audit of this size could have seen: planted copies and blends of reference images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerprints.auditing.battery import Pixels, score
from fingerprints.auditing.exposure import Pooling, expose, fewest_found
from fingerprints.core.progress import Progress
from fingerprints.decisions.settings import DecisionSettings
from fingerprints.evidence.multiplicity import benjamini_hochberg
from fingerprints.evidence.power import POWER
from fingerprints.generators.planted import BLEND, plant
from fingerprints.generators.settings import PlantedKind

Groups = NDArray[np.str_]
KINDS: dict[str, tuple[PlantedKind, ...]] = {
    "copies": ("noise", "shift", "rotation", "contrast"),
    "blends": (BLEND,),
}
HELD_OUT = 3  # one patient of this many of the reference is planted
FEWEST_PATIENTS = 12  # of a reference: at least two for each kind are held out, and a blend needs two images
PLANTED = 32  # images of each kind, if not given
SHARE = 5  # at most one generated image of this many is replaced by each kind
DRAWS = 50  # choices of the planted ones, for each number


@dataclass(frozen=True)
class Slices:
    """Images `pixels` `(n, side, side)` of the patients `groups` `(n,)`."""

    pixels: Pixels
    groups: Groups


@dataclass(frozen=True)
class Planted:
    """Reference images of patients that are planted in one kind.

    Attributes:
        kind: `copies` or `blends`.
        images: `(k,)` rows of the reference, each planted once.
        patients: Their patients; several of a patient's images may be planted.
    """

    kind: str
    images: NDArray[np.int64]
    patients: Groups


def choose(groups: Groups, *, most: int, seed: int) -> list[Planted]:
    """The reference images to plant, of a third of the patients, half of them for each kind.

    Images of a kind are taken from its patients in turn.

    Args:
        groups: `(m,)` patient of each reference image.
        most: Largest number of images of each kind.
        seed: Seed of the choice.
    """
    rng = np.random.default_rng([seed, 0xA0D1])
    patients = rng.permutation(np.unique(groups))[: max(2, len(np.unique(groups)) // HELD_OUT)]
    found = []
    for kind, own in zip(KINDS, (patients[0::2], patients[1::2]), strict=True):
        queues = [rng.permutation(np.flatnonzero(groups == name)).tolist() for name in own]
        rows: list[int] = []
        while len(rows) < most and any(queues):
            rows += [queue.pop() for queue in queues if queue]
        chosen = np.array(rows[:most], dtype=np.int64)
        found.append(Planted(kind, chosen, groups[chosen]))
    return found


def power(
    detectors: Sequence[DecisionSettings],
    *,
    candidates: Slices,
    reference: Slices,
    generated: Pixels,
    rule: Pooling,
    weights: NDArray[np.float64] | None,
    error: float,
    most: int | None,
    seed: int,
    progress: Progress | None,
) -> dict[str, Any]:
    """From how many planted images, and patients with a planted image, most of them are found.

    Patients of the reference, a third at most, are held out. Changed copies, and blends of two of their
    images, take the place of generated images, all in one run of the battery. For each number K, K of them
    are drawn many times, and count as found if q is at most `error` while no candidate is exposed.

    Args:
        detectors: Settings of the battery.
        candidates: The images that are asked about.
        reference: Those that did not train the generator.
        generated: `(g, side, side)`.
        rule: How a patient's score is made.
        weights: `(d,)` weights of the detectors; `None`: equal.
        error: Accepted share of false findings.
        most: Images to plant of each kind, at most; 0: none; `None`: by the size of the reference.
        seed: Seed of what is planted and how it is changed.
        progress: Called after each detector.

    Returns:
        `reason` (empty, or why there are no figures), what was held out and left, and for each kind the
        shares found (`_curve`) of images, of images against those of the reference (`standing`), and of
        patients.
    """
    reason = _impossible(reference.groups, most=most)
    if reason:
        return {"reason": reason}
    able = fewest_found(len(candidates.groups), len(reference.groups), error)
    most = min(max(PLANTED, 2 * able) if most is None else most, len(generated) // SHARE)
    chosen = choose(reference.groups, most=most, seed=seed)
    leaking = _planted(generated, reference.pixels, chosen, seed=seed)
    asked = np.concatenate([candidates.pixels, reference.pixels])
    groups = np.concatenate([candidates.groups, reference.groups])
    scores = score(detectors, asked, leaking, groups=groups, seed=seed, progress=progress)
    scores = scores[:, len(candidates.pixels) :]
    images, patients = len(candidates.groups), len(np.unique(candidates.groups))
    family = {"images": images, "standing": images, "patients": patients}
    p, held = _p_of_planted(chosen, scores, reference.groups, rule=rule, weights=weights)
    curves = {
        one.kind: {unit: _curve(values[unit], family=family[unit], error=error, seed=seed) for unit in family}
        for one, values in zip(chosen, p, strict=True)
    }
    return {"reason": ""} | _left(reference.groups, held) | curves


def _left(groups: Groups, held: NDArray[np.bool_]) -> dict[str, Any]:
    """How many patients were held out, and what was left of the reference."""
    left = {"images": int((~held).sum()), "patients": len(np.unique(groups[~held]))}
    return {"held_out_patients": len(np.unique(groups[held])), "reference_left": left}


def _p_of_planted(
    chosen: Sequence[Planted],
    scores: NDArray[np.float64],
    groups: Groups,
    *,
    rule: Pooling,
    weights: NDArray[np.float64] | None,
) -> tuple[list[dict[str, NDArray[np.float64]]], NDArray[np.bool_]]:
    """p-values of the planted images and their patients by kind, and a mask `(m,)` of what is held out."""
    held = np.isin(groups, np.concatenate([one.patients for one in chosen]))
    rows = np.concatenate([np.flatnonzero(held), np.flatnonzero(~held)])
    found = expose(
        scores[:, rows],
        np.zeros(len(rows)),
        ids=np.flatnonzero(held).astype(str),
        groups=groups[held],
        unused=groups[~held],
        rule=rule,
        weights=weights,
    )
    place = np.cumsum(held) - 1
    of = {"images": found.images.p, "standing": found.standing.p}
    p = []
    for one in chosen:
        by = {unit: values[place[one.images]] for unit, values in of.items() if values is not None}
        assert found.patients.p is not None
        p.append(by | {"patients": found.patients.p[np.isin(found.patients.names, one.patients)]})
    return p, held


def _planted(generated: Pixels, reference: Pixels, chosen: Sequence[Planted], *, seed: int) -> Pixels:
    """The generated images, each kind planted in a part of its own."""
    size, made = len(generated) // len(chosen), []
    for at, one in enumerate(chosen):
        part = generated[at * size : (at + 1) * size]
        own, share = reference[one.images], len(one.images) / size
        made.append(plant(part, own, fraction=share, kinds=KINDS[one.kind], seed=seed + at)[0])
    return np.concatenate([*made, generated[len(chosen) * size :]])


def _impossible(groups: Groups, *, most: int | None) -> str:
    count = len(np.unique(groups))
    if most == 0:
        return "not asked for (planted=0)"
    if not count:
        return "there is no reference, of which images could be planted"
    if count < FEWEST_PATIENTS:
        return f"the reference has {count} patient(s); {FEWEST_PATIENTS} are needed to hold some of them out"
    return ""


def _curve(p: NDArray[np.float64], *, family: int, error: float, seed: int) -> dict[str, Any]:
    """Shares found of K planted ones, for K = 1, 2, 4, ... and all; the smallest K with 80 %."""
    rng = np.random.default_rng([seed, 0xA0D2])
    numbers = sorted({2**step for step in range(len(p).bit_length()) if 2**step <= len(p)} | {len(p)})
    shares = []
    for number in numbers:
        drawn = [rng.choice(p, number, replace=False) for _ in range(DRAWS)]
        hits = [benjamini_hochberg(own, family=max(family, number)) <= error for own in drawn]
        shares.append(float(np.mean(hits)))
    least = next((number for number, share in zip(numbers, shares, strict=True) if share >= POWER), None)
    return {
        "planted": numbers,
        "found": [round(share, 3) for share in shares],
        "alone_at_error": round(float((p <= error).mean()), 3),
        "smallest": least,
    }
