"""Figures that no permutation of the labels can change have no p-value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fingerprints.evidence.estimates import TIE, Evaluation

WHY = "it is the same in every permutation of the labels, as for a constant answer: no p-value"


def without_constant_p(evaluation: Evaluation) -> Evaluation:
    """The evaluation with `None` as p of figures that are the same in all permutations of the labels.

    The accuracy of one answer for all images is an example. Its p would be 1 by construction, which says
    nothing. Figures without permutations stay as they are.
    """
    metrics = {
        name: replace(found, p=None, reason="; ".join(filter(None, [found.reason, WHY])))
        if found.p is not None and name in evaluation.nulls and np.ptp(evaluation.nulls[name]) < TIE
        else found
        for name, found in evaluation.metrics.items()
    }
    return replace(evaluation, metrics=metrics)
