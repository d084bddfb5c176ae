"""Thresholds of a detector, from labelled images that its training has not seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.splits import fewest_groups, k_folds
from fingerprints.decisions.contract import Calibration, Decision
from fingerprints.detector.detection import Decider, Predictions
from fingerprints.evidence.estimates import THRESHOLD

THRESHOLD_FOLDS = 5


def calibrated(
    decider: Decider, validation: Predictions | None, *, source: str
) -> tuple[Decider, Predictions | None]:
    """Thresholds from scores of unseen images, and the predictions of these images with the thresholds.

    Args:
        decider: The reduction and the decision, before its thresholds are known.
        validation: Predictions of images that training has not seen; `None` if there are none.
        source: As in `Calibration`.

    Raises:
        FingerprintsError: If the decision needs a threshold, and no images are held out.
    """
    decision = decider.decision
    if validation is not None and validation.scores is not None:
        unseen = Calibration(validation.scores, validation.rows["label"].tolist(), source)
        decision = decision.calibrate(unseen)
        if decision is not decider.decision:
            found = decision.decide(validation.scores)
            labels, own = found.labels, True
            if validation.scores.ndim == 1:
                labels, own = _with_thresholds_of_others(decider.decision, validation, otherwise=labels)
            chosen_on = (*([THRESHOLD] if own else []), *validation.chosen_on)
            validation = replace(validation, labels=labels, scores=found.scores, chosen_on=chosen_on)
    if not decision.calibrated:
        raise FingerprintsError(
            f"Decision '{decision.settings.name}' takes its threshold from labelled images that training does"
            " not see, but no images are held out.",
            where="data.validation, data.folds",
            fix="hold images out (data.validation=0.1), or choose a decision without such a threshold",
        )
    return replace(decider, decision=decision), validation


def _with_thresholds_of_others(
    decision: Decision, validation: Predictions, *, otherwise: NDArray[np.str_]
) -> tuple[NDArray[np.str_], bool]:
    """Labels of images, each by the threshold of images of other patients where there is one.

    With one threshold for all, from these same images, kappa and its p-value would be too good: of detectors
    that know nothing, up to a quarter would seem to.

    Args:
        decision: Before its threshold is known.
        validation: Unseen images and their scores `(n,)`.
        otherwise: The labels if a label has a single patient, so that no threshold can be found without it.

    Returns:
        The labels `(n,)`, and whether some of them are from `otherwise`.
    """
    truth, groups = validation.rows["label"].to_numpy(dtype=str), validation.rows["group"].to_numpy(dtype=str)
    count = min(THRESHOLD_FOLDS, fewest_groups(truth.tolist(), groups.tolist()))
    if count < 2 or validation.scores is None:
        return otherwise, True
    labels, some = otherwise.copy(), False
    folds = k_folds(truth.tolist(), groups.tolist(), k=count, seed=0)
    for fold in range(count):
        own = folds == fold
        if len(np.unique(truth[~own])) < 2:  # large groups can leave one label only
            some = some or bool(own.any())
            continue
        others = Calibration(validation.scores[~own], truth[~own].tolist(), "out_of_fold")
        labels[own] = decision.calibrate(others).decide(validation.scores[own]).labels
    return labels, some
