"""How well the simplest attack recognises the training images of a generator.

The score of a real image is minus its pixel distance to the nearest generated one (GAN-Leaks without
calibration, Chen et al. 2020, section 4). The figures tell how well the score separates training images from
unused images of the same groups (*this image* was used) and of other groups (*this patient* was used).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.tasks import NOT_USED, USED, get_task
from fingerprints.evidence.estimates import tpr_name
from fingerprints.evidence.intervals import estimate_metrics
from fingerprints.generators.quality import nearest, vectors
from fingerprints.simulation.plan import outsiders

LIMIT = 2000  # largest number of images of a kind that are used
FIGURES = ("auc", tpr_name(0.01))
FEWEST = 10  # smallest number of images of a kind for which there are figures


def nearest_generated(real: NDArray[np.uint8], generated: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Euclidean distance of each real image `(n, S, S)` to its nearest generated one; pixels in [0, 1]."""
    return nearest(vectors(real), vectors(generated))


def memorisation(
    generated: NDArray[np.uint8],
    real: NDArray[np.uint8],
    members: NDArray[np.int64],
    groups: Sequence[str],
    *,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Figures of the nearest-generated-image attack on one generator.

    Args:
        generated: All its images, `(n, S, S)` uint8.
        real: All real images, `(m, S, S)` uint8.
        members: Rows of the real images that it was trained on.
        groups: Group of each real image.
        seed: Seed of the choice if there are more than 2,000 of a kind, and of permuting.

    Returns:
        For `same_groups` and `other_groups`: `members`, `nonmembers` (numbers of images), `generated`,
        `auc` and `tpr_at_fpr_0.01` (value, 95 % interval, p-value; `null` with a reason).
    """
    rng = np.random.default_rng([seed, 0x3E30])

    def some(rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.sort(rng.permutation(rows)[:LIMIT])

    known = some(members)
    distances = nearest_generated(real[known], generated)
    found: dict[str, dict[str, Any]] = {}
    for kind, rows in outsiders(groups, members).items():
        others = some(rows)
        counts = {"members": len(known), "nonmembers": len(others), "generated": len(generated)}
        if min(len(known), len(others)) < FEWEST:
            reason = f"needs at least {FEWEST} members and {FEWEST} non-members"
            found[kind] = {**counts, **{name: {"value": None, "reason": reason} for name in FIGURES}}
            continue
        truth = np.repeat([USED, NOT_USED], [len(known), len(others)])
        evaluation = estimate_metrics(
            task=get_task("usage"),
            classes=(NOT_USED, USED),
            truth=truth,
            predicted=truth,  # not used: there is no threshold
            scores=-np.concatenate([distances, nearest_generated(real[others], generated)]),
            groups=np.asarray(groups)[np.concatenate([known, others])],
            seed=seed,
            permutations=199,
        )
        found[kind] = {**counts, **{name: evaluation.metrics[name].to_json() for name in FIGURES}}
    return found


def memorisation_words(figures: dict[str, dict[str, Any]]) -> str:
    """The figures in words, for the console."""
    words = []
    for kind, found in figures.items():
        auc = found["auc"]
        if auc["value"] is not None:
            span = "" if auc.get("low") is None else f" ({auc['low']:.2f} to {auc['high']:.2f})"
            words.append(f"{kind.replace('_', ' ')} {auc['value']:.2f}{span}")
    return "nearest generated image tells members from others, AUC: " + ("; ".join(words) or "no estimate")
