"""Tests of thresholds from unseen images; test_detector.py finds them in whole detectors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fingerprints.detector.calibration import calibrated
from fingerprints.detector.detection import Decider, Predictions
from fingerprints.evidence.estimates import THRESHOLD
from tests.decisions.parts import about_real, fitted, images


@pytest.mark.parametrize(
    ("groups", "chosen_on"), [("abcd", ()), ("abcc", (THRESHOLD,)), ("abca", (THRESHOLD,))]
)
def test_a_threshold_of_these_images_is_told(groups, chosen_on):
    """With a single patient of a label, or a fold of all its patients, others give no threshold."""
    part = about_real(images(np.zeros((2, 1)), ["used", "not_used"]), images(np.zeros((2, 1))))
    rows = pd.DataFrame({"label": ["used", "used", "not_used", "not_used"], "group": list(groups)})
    scores = np.array([4.0, 3.0, 2.0, 1.0])
    unseen = Predictions(rows, np.full(4, "used"), scores)
    decider = Decider(None, fitted("distance", part, ("not_used", "used")))
    _, found = calibrated(decider, unseen, source="validation")
    assert found.chosen_on == chosen_on
    assert found.labels.tolist() == ["used", "used", "not_used", "not_used"]
