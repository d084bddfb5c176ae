"""The patients of a `usage` run as a table of its page."""

from __future__ import annotations

from fingerprints.data.index import Index
from fingerprints.evidence.estimates import Estimate
from fingerprints.evidence.patients import Patient, PatientEvidence
from fingerprints.reporting.html import TextTable, number, p_value

FOUND = 0.05
"""Adjusted p-value up to which a patient counts as found."""

CLUSTERS = "No patients were given: these are clusters of near duplicates, and a patient may be in several."

NAMES = "Patients have their names of the file of groups: pass this page on only if those may be passed on."


def patient_table(index: Index, found: PatientEvidence | None) -> list[TextTable]:
    """A table of all patients with what it can and cannot show; empty without patients."""
    if found is None:
        return []
    tested = [one for one in found.patients if one.adjusted is not None]
    signs = sum(one.adjusted is not None and one.adjusted <= FOUND for one in tested)
    notes = [CLUSTERS if index.pseudo_groups else NAMES]
    notes += _of_p(found, len(tested), signs)
    notes.append(
        "AUC among images of the same patient, which needs knowledge of the image: "
        f"{_text(found.auc_within)}. Among images of different patients, where knowledge of the patient "
        f"is enough: {_text(found.auc_between)}."
    )
    return [
        TextTable(
            title="Patients",
            columns=["Patient", "Images", "Members known", "Called used", "Highest score", "p", "p adjusted"],
            rows=[_row(one) for one in found.patients],
            notes=notes,
        )
    ]


def _of_p(found: PatientEvidence, tested: int, signs: int) -> list[str]:
    if found.least_p is None:
        return ["There is no patient all of whose images are known not to be used, so that there is no p."]
    m = found.compared_with
    few = "With so few of them nobody can stand out, whatever the detector finds: this table is no evidence."
    return [
        f"{signs:,} of {tested:,} patients stand out (adjusted p at most {FOUND}).",
        f"p: share of the {m:,} patients without a used image whose highest score is at least as high, "
        f"counting one more; the least possible is 1 / {m + 1:,} = {number(found.least_p, places=4)}. "
        "Adjusted for the number of patients by Benjamini and Hochberg.",
        *([few] if found.least_p > FOUND else []),
        "Patients with more images reach higher scores by chance.",
        "Patients without p are those that others are compared with.",
    ]


def _row(one: Patient) -> list[str]:
    members = "–" if one.members is None else f"{one.members:,}"
    shown = [f"{one.images:,}", members, f"{one.called:,}", number(one.highest)]
    return [one.name, *shown, p_value(one.p), p_value(one.adjusted)]


def _text(found: Estimate) -> str:
    if found.value is None:
        return f"not known ({found.reason})"
    ends = (
        f" ({number(found.low)} to {number(found.high)})" if found.low is not None else f" ({found.reason})"
    )
    return number(found.value) + ends
