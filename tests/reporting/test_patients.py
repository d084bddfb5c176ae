"""The table of patients says what its p-values can show."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from fingerprints.evidence.patients import patient_evidence
from fingerprints.reporting.patients import CLUSTERS, NAMES, patient_table


def table(*, truth: list[str], pseudo_groups: bool = False) -> Any:
    found = patient_evidence(
        truth=np.array(truth),
        predicted=np.array(["used"] * len(truth)),
        scores=-np.arange(len(truth), dtype=float),
        groups=np.array([f"p{k:02d}" for k in range(len(truth))]),
    )
    index: Any = SimpleNamespace(pseudo_groups=pseudo_groups)
    return patient_table(index, found)[0]


def test_who_stands_out_is_counted_and_the_least_p_is_said():
    shown = table(truth=["used"] + ["not_used"] * 39)
    assert shown.rows[0] == ["p00", "1", "1", "1", "0.000", "0.025", "0.025"]
    assert shown.rows[1][-2:] == ["–", "–"]
    notes = " ".join(shown.notes)
    assert shown.notes[0] == NAMES
    assert "1 of 1 patients stand out" in notes
    assert "1 / 40 = 0.0250" in notes
    assert "not known (there is no pair" in notes  # within patients
    few = table(truth=["used"] + ["not_used"] * 4)
    assert "0 of 1 patients stand out" in " ".join(few.notes)
    assert "With so few of them nobody can stand out" in " ".join(few.notes)
    assert "With so few of them" not in notes


def test_what_is_not_known_is_said():
    shown = table(truth=[""] * 5, pseudo_groups=True)
    assert shown.notes[0] == CLUSTERS
    assert "so that there is no p" in " ".join(shown.notes)
    assert {row[2] for row in shown.rows} == {"–"}
    index: Any = SimpleNamespace(pseudo_groups=False)
    assert patient_table(index, None) == []
