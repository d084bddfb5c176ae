"""The battery: several detectors score the same images, and their ranks are joined into one order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from fingerprints.auditing.neighbours import unit
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.progress import Progress
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Fitting, Images, Part
from fingerprints.decisions.registry import fit_decision
from fingerprints.decisions.settings import DecisionSettings

Pixels = NDArray[np.uint8]
Scores = NDArray[np.float64]
TRIED = 8  # random images of each kind in the trial of a battery


def names_of(detectors: Sequence[DecisionSettings]) -> list[str]:
    """Names of the detectors, numbered where a decision occurs several times."""
    seen: Counter[str] = Counter()
    names = []
    for settings in detectors:
        seen[settings.name] += 1
        count = seen[settings.name]
        names.append(settings.name if count == 1 else f"{settings.name} {count}")
    return names


def check_battery(detectors: Sequence[DecisionSettings], *, side: int) -> None:
    """Refuse a battery that cannot score images without labels, by a trial on random images.

    Args:
        detectors: Settings of the detectors.
        side: Side of the images in pixels.

    Raises:
        FingerprintsError: If there is no detector, one is not for task usage or looks at no generated image,
            or one needs labels, a trained network or a reference of its own.
    """
    where = "battery.detectors"
    if not detectors:
        raise FingerprintsError("The battery has no detector.", where=where, fix="battery=default")
    for settings in detectors:
        known = "usage" in settings.tasks and settings.uses_references
        if not known or set(settings.needs) - {"unreduced"}:
            raise FingerprintsError(
                f"decision={settings.name} cannot compare real with generated images untrained.",
                where=where,
                fix="leave it out; python -m fingerprints.train --help decision lists the decisions",
            )
    rng = np.random.default_rng(0)
    own, made = (rng.integers(0, 256, (TRIED, side, side), dtype=np.uint8) for _ in range(2))
    score(detectors, own, made, groups=np.arange(TRIED).astype(str), seed=0, progress=None)


def score(
    detectors: Sequence[DecisionSettings],
    real: Pixels,
    generated: Pixels,
    *,
    groups: NDArray[np.str_],
    seed: int,
    progress: Progress | None,
) -> Scores:
    """`(d, n)` score of each real image by each detector; higher is more likely used to train.

    All real images are queries of one part, so that candidates and reference are treated alike: no detector
    is told which is which.

    Args:
        detectors: Settings of the d detectors.
        real: `(n, side, side)`, candidates and reference together.
        generated: `(m, side, side)`.
        groups: `(n,)` patients of the real images.
        seed: Seed of the detectors.
        progress: Called after each detector.

    Raises:
        FingerprintsError: If a detector cannot score these images.
    """
    own = _images(real, groups)
    part = Part.of(real=own, generated=_images(generated, np.arange(len(generated)).astype(str)), unit="real")
    found = np.empty((len(detectors), len(real)))
    for row, settings in enumerate(detectors):
        decision = fit_decision(settings, Fitting(part=part, classes=(NOT_USED, USED), seed=seed))
        scores = decision.predict(part).scores
        assert scores is not None
        found[row] = scores
        if progress is not None:
            progress("detectors", row + 1, len(detectors))
    return found


def combined(scores: Scores) -> Scores:
    """`(n,)` the highest rank of each image over the detectors, as a share of the images below it.

    A rank is the number of images below, over candidates and reference together; the mean rank over the
    detectors, divided by n, breaks ties. It orders images; p-values join the detectors by themselves
    (`evidence.joint_p`), because many exposed images push one another down in ranks over all of them.

    Args:
        scores: `(d, n)`.

    Returns:
        `(n,)` in [0, 1).
    """
    below = rankdata(scores, method="min", axis=1) - 1
    count = scores.shape[1]
    return (below.max(axis=0) + below.mean(axis=0) / count) / count


def _images(pixels: Pixels, groups: NDArray[np.str_]) -> Images:
    return Images(unit(pixels), np.full(len(pixels), "", dtype=str), groups)
