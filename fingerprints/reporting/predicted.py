"""What a finished run says about new images, and how far it can be trusted."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import fisher_exact

from fingerprints.detector.detection import Predictions
from fingerprints.evidence.patients import PatientEvidence, evidence_beside_reference
from fingerprints.evidence.verdict import Level
from fingerprints.reporting.html import number, p_value
from fingerprints.reporting.patients import FOUND
from fingerprints.runs.folder import RunRecord

DOUBTS: dict[Level, str] = {
    "nothing_found": "the run found nothing: its answers were no better than chance, so these labels say "
    "nothing about these images",
    "underpowered": "the run had too few images to show anything: it is not known whether its answers are "
    "better than chance, and so for these labels",
    "weak": "the run showed a weak signal only: many of these labels may be wrong",
    "not_above_blind": "the run was not shown to exceed a baseline that never sees generated images: these "
    "labels may follow grey levels or files, and not training",
    "generators": "the run told generators apart but showed no trace of their data: these labels may name "
    "generators",
    "unscored": "the run was never scored: how often its labels are right is not known",
}
"""What each level of a verdict but `clear` means for the labels of new images."""

FAR = 3.0
"""Odds ratio of two shares of images called used from which they are called far apart."""

SURE = 0.01
"""Fisher's exact p below which they are."""

LABELS_SHOWN = 12
PATIENTS_SHOWN = 5


def summary_lines(record: RunRecord, predictions: Predictions) -> list[str]:
    """Images of each label, and the verdict of the run: for the console."""
    labels, counts = np.unique(predictions.labels, return_counts=True)
    known = record.task.classes or ()
    found = dict.fromkeys(reversed(known), 0) | dict(zip(labels.tolist(), counts.tolist(), strict=True))
    total = max(1, len(predictions.labels))
    shown = [f"{label} {count:,} ({count / total:.1%})" for label, count in found.items()]
    if len(shown) > LABELS_SHOWN:
        shown = [*shown[:LABELS_SHOWN], f"{len(shown) - LABELS_SHOWN} more"]
    verdict = record.verdict
    words = (
        "none, it was stopped before" if verdict is None else f"{verdict['headline']} ({verdict['level']})"
    )
    return [f"labels: {', '.join(shown)}", f"verdict of the run: {words}"]


def doubts(record: RunRecord, predictions: Predictions, *, generator: str) -> list[str]:
    """Why the labels should not be trusted: the verdict of the run, or another share of images called used.

    The share is compared with that of the part that the run itself was judged on. Few images make any two
    shares differ, and many images any difference sure, so both must hold: an odds ratio of at least `FAR`,
    either way, and Fisher's exact p below `SURE`. The p takes images of one patient as independent.
    """
    found = []
    if record.verdict is None:
        found.append(DOUBTS["unscored"])
    elif record.verdict["level"] in DOUBTS:
        found.append(DOUBTS[record.verdict["level"]])
    own = record.called_used(generator)
    if record.task.positive is None or own is None:
        return found
    here = int((predictions.labels == record.task.positive).sum()), len(predictions.labels)
    if _far_apart(here, own):
        found.append(
            f"{here[0] / here[1]:.1%} of these images are called used, but {own[0] / own[1]:.1%} of the "
            f"{own[1]:,} images that the run was judged on: unless the share of used images differs as much, "
            "its threshold does not fit these images"
        )
    return found


def _far_apart(here: tuple[int, int], own: tuple[int, int]) -> bool:
    """Whether two shares, each as a number of images of a total, differ by the rule of `doubts`."""
    table = [[called, total - called] for called, total in (here, own)]
    ratio, p = fisher_exact(table)
    return bool(p < SURE and not 1 / FAR < ratio < FAR)


def patients_of(predictions: Predictions) -> PatientEvidence | None:
    """The patients of the images, beside those of the decision's reference; `None` if none were given."""
    if "group" not in predictions.rows or predictions.scores is None:
        return None
    return evidence_beside_reference(
        predicted=predictions.labels,
        scores=predictions.scores,
        groups=predictions.rows["group"].to_numpy(dtype=str),
        reference_scores=predictions.reference.scores,
        reference_groups=predictions.reference.groups,
    )


def patients_table(found: PatientEvidence) -> pd.DataFrame:
    """A row for each patient: `patient`, `images`, `called_used`, `highest_score`, `p`, `q`."""
    rows = [(one.name, one.images, one.called, one.highest, one.p, one.adjusted) for one in found.patients]
    return pd.DataFrame(rows, columns=["patient", "images", "called_used", "highest_score", "p", "q"])


def patient_lines(record: RunRecord, predictions: Predictions, found: PatientEvidence) -> list[str]:
    """The patients that stand out most, and what their p means: for the console."""
    patients = found.patients
    lines = [f"patients: {len(patients):,}, of whom {_called(found):,} have an image called used"]
    if found.least_p is not None and found.least_p > FOUND:
        lines[0] += f"; nobody can stand out, because {found.compared_with:,} reference patients are too few"
    elif found.least_p is not None:
        signs = sum(one.adjusted is not None and one.adjusted <= FOUND for one in patients)
        lines[0] += f"; {signs:,} stand out (q at most {FOUND})"
    lines += [
        f"  {one.name}: {one.images:,} images, {one.called:,} called used, highest score "
        f"{number(one.highest)}"
        + ("" if one.p is None else f", p {p_value(one.p)}, q {p_value(one.adjusted)}")
        for one in patients[:PATIENTS_SHOWN]
    ]
    if len(patients) > PATIENTS_SHOWN:
        lines.append(f"  ... and {len(patients) - PATIENTS_SHOWN:,} more")
    if found.least_p is None:
        return [*lines, f"  no p: {_why_no_p(predictions)}"]
    sizes = [one.images for one in patients]
    others = np.unique(predictions.reference.groups, return_counts=True)[1]
    if not record.groups_given:
        lines.append("  the run had no patients: those of its reference are clusters of near-duplicates")
    return [
        *lines,
        f"  p: compared with the highest scores of {found.compared_with:,} reference patients, of whom no "
        f"image was used; at least {number(found.least_p, places=4)}. q: adjusted by Benjamini and Hochberg",
        "  patients with more images reach higher scores by chance: here they have "
        f"{np.median(sizes):g} (median), in the reference {np.median(others):g}",
    ]


def _called(found: PatientEvidence) -> int:
    return sum(one.called > 0 for one in found.patients)


def _why_no_p(predictions: Predictions) -> str:
    if len(predictions.reference.scores):
        return "the run did not record the patients of its reference images"
    return "the run's decision has no reference images (decision.cut=reference has)"
