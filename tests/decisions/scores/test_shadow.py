"""Likelihood ratios from shadow generators, against loops."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import part_of
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Fitting, Part
from fingerprints.decisions.scores.shadow import base_scores
from tests.decisions.parts import about_real, images, settings

COUNT = 20
# Some candidates are far from all others, so that their scores are low with any generator.
POINTS = np.random.default_rng(0).normal(size=(COUNT, 6)) * np.linspace(0.5, 3, COUNT)[:, None]
POINTS = POINTS.astype(np.float32)


def generator(seed: int) -> Part:
    """A generator that was trained on a random half, and makes noisy copies of some of it."""
    rng = np.random.default_rng(seed)
    members = rng.permutation(COUNT)[: COUNT // 2]
    made = POINTS[rng.choice(members, 60)] + 0.7 * rng.normal(size=(60, 6))
    labels = [USED if at in members else NOT_USED for at in range(COUNT)]
    return about_real(images(POINTS, labels), images(made.astype(np.float32)))


SHADOW = tuple(generator(seed) for seed in range(8))
TARGET = generator(100)


def fitted(shadow: tuple[Part, ...] = SHADOW, **options: str):
    own = settings("shadow", **options)
    return part_of(own).fit(own, Fitting(part=TARGET, classes=(NOT_USED, USED), generators=shadow))


def naive(mode: str, variance: str) -> list[float]:
    own = settings("shadow")
    table = [base_scores(own, part) for part in SHADOW]
    kinds: dict[str, list[list[float]]] = {USED: [], NOT_USED: []}
    for at in range(COUNT):
        for kind, found in kinds.items():
            found.append(
                [row[at] for row, part in zip(table, SHADOW, strict=True) if part.queries.labels[at] == kind]
            )

    def logpdf(kind: str, at: int, value):
        seen = kinds[kind]
        if variance == "own":
            spread = np.var(seen[at], ddof=1) if len(seen[at]) > 1 else 0.0
        else:
            spread = sum((len(some) - 1) * np.var(some, ddof=1) for some in seen if len(some) > 1)
            spread /= sum(len(some) - 1 for some in seen)
        spread = max(spread, 1e-12)
        return -0.5 * np.log(2 * np.pi * spread) - (value - np.mean(seen[at])) ** 2 / (2 * spread)

    target = base_scores(own, TARGET)
    if mode == "online":
        return [logpdf(USED, at, target[at]) - logpdf(NOT_USED, at, target[at]) for at in range(COUNT)]
    found = []
    for at in range(COUNT):  # the tail by sums of small steps
        steps = np.linspace(target[at], target[at] + 40, 4001)
        found.append(-np.log(np.trapezoid(np.exp(logpdf(NOT_USED, at, steps)), steps)))
    return found


@pytest.mark.parametrize(
    ("mode", "variance"), [("online", "shared"), ("online", "own"), ("offline", "shared")]
)
def test_scores_against_loops(mode: str, variance: str) -> None:
    found = fitted(mode=mode, variance=variance).scores(TARGET)
    np.testing.assert_allclose(found, naive(mode, variance), rtol=1e-3, atol=1e-3)


def test_the_ratio_beats_the_score_itself() -> None:
    decision, targets = fitted(), [generator(seed) for seed in range(100, 106)]

    def auc(score) -> float:
        return float(np.mean([roc_auc_score(part.queries.labels == USED, score(part)) for part in targets]))

    plain = auc(lambda part: base_scores(settings("shadow"), part))
    assert auc(decision.scores) > plain + 0.05


def test_candidates_are_recognised_in_any_order_and_others_refused() -> None:
    decision = fitted()
    order = np.random.default_rng(1).permutation(COUNT)[:7]
    some = about_real(images(POINTS[order]), TARGET.references)
    again = part_of(decision.settings).from_state(decision.state())
    np.testing.assert_allclose(again.scores(some), decision.scores(TARGET)[order], rtol=1e-5)
    strangers = about_real(images(POINTS[:3] + np.float32([[0], [1], [1]])), TARGET.references)
    with pytest.raises(FingerprintsError, match="2 of 3 images are not among the candidates"):
        decision.scores(strangers)
    with pytest.raises(FingerprintsError, match="no shadow generators"):
        fitted(())
