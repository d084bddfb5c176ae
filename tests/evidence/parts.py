"""Made-up answers with their figures, for tests of evidence."""

from __future__ import annotations

from typing import Any

import numpy as np

from fingerprints.core.tasks import TASKS
from fingerprints.evidence.estimates import Evaluation
from fingerprints.evidence.intervals import estimate_metrics

USAGE, SUBSET, MODEL = TASKS["usage"], TASKS["subset"], TASKS["model"]
TWO = ("not_used", "used")
THREE = ("t1", "t2", "t3")


def usage(
    *, n: int = 200, shift: float = 0.8, seed: int = 0, per_group: int = 1, **options: Any
) -> tuple[Evaluation, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    group = np.arange(n) // per_group
    truth = np.where(group % 2 == 0, "used", "not_used")
    noise = np.repeat(rng.normal(size=n), per_group)[:n]
    scores = noise + shift * (truth == "used")
    given = {
        "task": USAGE,
        "classes": TWO,
        "truth": truth,
        "predicted": np.where(scores > shift / 2, "used", "not_used"),
        "scores": scores,
        "groups": group.astype(str),
        "seed": seed,
        "permutations": 99,
        **options,
    }
    return estimate_metrics(**given), given


def subset(*, n: int = 150, skill: float = 0.5, seed: int = 0, **options: Any) -> Evaluation:
    rng = np.random.default_rng(seed)
    truth = rng.choice(THREE, n)
    given = {
        "task": SUBSET,
        "classes": THREE,
        "truth": truth,
        "predicted": np.where(rng.random(n) < skill, truth, rng.choice(THREE, n)),
        "scores": rng.random((n, 3)) + skill * (truth[:, None] == np.array(THREE)),
        "groups": np.arange(n).astype(str),
        "seed": seed,
        "permutations": 99,
        **options,
    }
    return estimate_metrics(**given)


def perfect(*, used: int, others: int, **options: Any) -> Evaluation:
    """Perfect answers and scores, each image a group of its own."""
    truth = np.repeat(["used", "not_used"], [used, others])
    given = {"task": USAGE, "classes": TWO, "truth": truth, "predicted": truth, "seed": 0}
    given |= {"scores": (truth == "used").astype(float), "groups": np.arange(len(truth)).astype(str)}
    return estimate_metrics(**{**given, "permutations": 19, **options})
