"""A constant answer has no p-value; every other answer keeps its own."""

from __future__ import annotations

import numpy as np

from fingerprints.core.tasks import get_task
from fingerprints.evidence.constant import WHY, without_constant_p
from fingerprints.evidence.intervals import estimate_metrics


def evaluated(predicted, truth, task="usage", scores=None):
    classes = ("used", "not_used")
    return estimate_metrics(
        task=get_task(task),
        classes=classes,
        truth=truth,
        predicted=predicted,
        scores=scores,
        groups=np.arange(len(truth)).astype(str),
        seed=0,
        permutations=99,
    )


def test_a_constant_answer_has_no_p_but_its_scores_have():
    truth = np.array(["used", "not_used"] * 20)
    scores = np.random.default_rng(0).random(40) + (truth == "used")
    before = evaluated(np.full(40, "used"), truth, scores=scores)
    found = without_constant_p(before)
    assert before.metrics["accuracy"].p == 1
    for name in ("accuracy", "kappa", "recall_used"):
        assert found.metrics[name].p is None
        assert found.metrics[name].reason.endswith(WHY)
        assert found.metrics[name].value == before.metrics[name].value
    assert found.metrics["auc"] == before.metrics["auc"]
    assert found.metrics["auc"].p is not None


def test_other_answers_keep_their_p():
    truth = np.array(["used", "not_used"] * 20)
    before = evaluated(truth[::-1], truth)
    for name, estimate in without_constant_p(before).metrics.items():
        # A score of the answers' counts alone is constant only if no table has another one.
        assert estimate == before.metrics[name]
