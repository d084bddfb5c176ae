"""`usage` by patient: who stands out from patients without a member, and what the scores tell apart."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.evidence.bounds import jackknife_interval, rate_limits
from fingerprints.evidence.estimates import MIN_GROUPS, TIE, Estimate
from fingerprints.evidence.metrics import BoolArray, FloatArray, Labels
from fingerprints.evidence.multiplicity import benjamini_hochberg


@dataclass(frozen=True)
class Patient:
    """One patient (group).

    Attributes:
        name: The group.
        images: Its images.
        members: Those known to be members; `None` if the truth of no image is known.
        called: Those called used.
        highest: Their highest score.
        p: Conformal p-value; `None` for patients that others are compared with.
        adjusted: The p-value after Benjamini and Hochberg's correction over all patients that have one.
    """

    name: str
    images: int
    members: int | None
    called: int
    highest: float
    p: float | None
    adjusted: float | None


@dataclass(frozen=True)
class PatientEvidence:
    """All patients of a part.

    Attributes:
        patients: The smallest p first, then the highest score.
        compared_with: Number of patients all of whose images are known not to be members.
        least_p: The smallest p-value that this number allows; `None` if it is 0.
        auc_within: AUC among images of the same patient; no p-value.
        auc_between: AUC among images of different patients; no p-value.
    """

    patients: list[Patient]
    compared_with: int
    least_p: float | None
    auc_within: Estimate
    auc_between: Estimate

    def to_json(self) -> dict[str, Any]:
        """Everything, patients as a list."""
        return {
            "compared_with": self.compared_with,
            "least_p": self.least_p,
            "auc_within": self.auc_within.to_json(),
            "auc_between": self.auc_between.to_json(),
            "patients": [asdict(patient) for patient in self.patients],
        }


def patient_evidence(
    *, truth: NDArray[np.str_], predicted: NDArray[np.str_], scores: NDArray[Any], groups: Labels
) -> PatientEvidence:
    """Every patient with its highest score and how rare that is among patients without a member.

    The p-value of a patient is (1 + number of patients without a member whose highest score is at least as
    high) / (m + 1) for m such patients: a conformal p-value, valid if patients without a member are
    exchangeable, of whatever distribution, and fit for Benjamini and Hochberg's correction (Bates et al.
    2023, "Testing for outliers with conformal p-values"). Patients with more images reach higher scores by
    chance, so that numbers of images should be alike.

    Args:
        truth: (n,) `used`, `not_used`, or `''` if unknown.
        predicted: (n,) `used` or `not_used`.
        scores: (n,) higher is more likely a member.
        groups: (n,) patient of each image.
    """
    names, code = np.unique(groups, return_inverse=True)
    count = len(names)
    highest = np.full(count, -np.inf)
    np.maximum.at(highest, code, scores)
    images, members, others, called = (
        np.bincount(code, weights=mask, minlength=count).astype(int)
        for mask in (np.ones(len(code)), truth == USED, truth == NOT_USED, predicted == USED)
    )
    outside = others == images
    m = int(outside.sum())
    p = conformal_p(highest[~outside], compared_with=highest[outside]) if m else np.empty(0)
    adjusted = benjamini_hochberg(p)
    own = {int(at): (float(p[k]), float(adjusted[k])) for k, at in enumerate(np.flatnonzero(~outside)) if m}
    known = bool((truth != "").any())
    patients = [
        Patient(
            name=str(names[i]),
            images=int(images[i]),
            members=int(members[i]) if known else None,
            called=int(called[i]),
            highest=float(highest[i]),
            p=own[i][0] if i in own else None,
            adjusted=own[i][1] if i in own else None,
        )
        for i in range(count)
    ]
    within, between = auc_by_patient(
        positive=(truth == USED)[truth != ""],
        scores=scores[truth != ""],
        groups=np.asarray(groups)[truth != ""],
    )
    return PatientEvidence(
        patients=sorted(patients, key=lambda one: (2.0 if one.p is None else one.p, -one.highest)),
        compared_with=m,
        least_p=1 / (m + 1) if m else None,
        auc_within=within,
        auc_between=between,
    )


def evidence_beside_reference(
    *,
    predicted: NDArray[np.str_],
    scores: NDArray[Any],
    groups: Labels,
    reference_scores: NDArray[Any],
    reference_groups: Labels,
) -> PatientEvidence:
    """Patients of whom nothing is known, compared with those of a reference that was not used in training.

    Args:
        predicted: (n,) `used` or `not_used`, of the images of these patients.
        scores: (n,) higher is more likely a member.
        groups: (n,) patient of each image.
        reference_scores: (m,) scores of the reference images, from the same scoring.
        reference_groups: (m,) patient of each reference image; (0,) if unknown, so that nobody has a p.

    Returns:
        The patients of `groups` only.
    """
    beside = [f"\0{group}" for group in reference_groups]  # a name that no table can give
    found = patient_evidence(
        truth=np.repeat(["", NOT_USED], [len(groups), len(beside)]),
        predicted=np.concatenate([predicted, np.full(len(beside), NOT_USED)]),
        scores=np.concatenate([scores, reference_scores[: len(beside)]]),
        groups=np.concatenate([np.asarray(groups, dtype=str), np.array(beside, dtype=str)]),
    )
    return replace(found, patients=[one for one in found.patients if not one.name.startswith("\0")])


def conformal_p(values: ArrayLike, *, compared_with: ArrayLike) -> FloatArray:
    """(1 + number of the m others at least as high) / (m + 1) for each value; shape (k,), in (0, 1]."""
    others = np.sort(np.asarray(compared_with, dtype=np.float64))
    below = np.searchsorted(others, np.asarray(values, dtype=np.float64), side="left")
    return (1 + len(others) - below) / (len(others) + 1)


def auc_by_patient(*, positive: BoolArray, scores: NDArray[Any], groups: Labels) -> tuple[Estimate, Estimate]:
    """The AUC over pairs of a member and a non-member of the same patient, and of different patients.

    The first is above 0.5 if a detector knows images, the second also if it knows only patients. Intervals
    are delete-one-patient jackknives on the logit scale with Student's t, without a p-value.

    Args:
        positive: (n,) whether an image is a member.
        scores: (n,) higher is more likely a member.
        groups: (n,) patient of each image.
    """
    code = np.unique(groups, return_inverse=True)[1]
    count = int(code.max()) + 1 if len(code) else 0
    members, others = (np.bincount(code[mask], minlength=count) for mask in (positive, ~positive))
    all_members, all_others = int(members.sum()), int(others.sum())
    if not (all_members and all_others):
        nothing = Estimate(None, None, None, None, "there are no members, or no non-members")
        return nothing, nothing
    won, lost = _wins(positive, scores)
    own = np.zeros(count)
    for group in np.flatnonzero((members > 0) & (others > 0)):
        inside = code == group
        own[group] = _wins(positive[inside], scores[inside])[0].sum()
    pairs = members * others
    # Pairs of different patients that a patient has a part in, with its members or its non-members.
    wins_of = np.bincount(code[positive], won, count) + np.bincount(code[~positive], lost, count) - 2 * own
    pairs_of = members * all_others + all_members * others - 2 * pairs
    wins, total = won.sum() - own.sum(), all_members * all_others - pairs.sum()
    mixed = pairs > 0
    within = _estimate(own.sum(), pairs.sum(), (own.sum() - own)[mixed], (pairs.sum() - pairs)[mixed])
    between = _estimate(wins, total, wins - wins_of, total - pairs_of)
    return within, between


def _wins(positive: BoolArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Non-members below each member, and members above each non-member, ties counted half."""
    ranks = rankdata(scores)
    own_members, own_others = rankdata(scores[positive]), rankdata(scores[~positive])
    lower = ranks[positive] - own_members
    higher = positive.sum() - (ranks[~positive] - own_others)
    return lower, higher


def _estimate(wins: float, pairs: float, wins_without: FloatArray, pairs_without: NDArray[Any]) -> Estimate:
    """A share of pairs with the interval from its values without each patient."""
    if pairs == 0:
        return Estimate(None, None, None, None, "there is no pair of a member and a non-member of this kind")
    value, count = float(wins / pairs), len(wins_without)
    if count < MIN_GROUPS:
        why = f"{count} patient(s) are too few for an interval ({MIN_GROUPS} needed)"
        return Estimate(value, None, None, None, why)
    if (pairs_without == 0).any():
        return Estimate(value, None, None, None, "without one of the patients there is no such pair")
    without = wins_without / pairs_without
    if min(value, 1 - value) < TIE or np.ptp(without) < TIE:
        why = "it is the same without any of the patients, so that its spread cannot be estimated"
        return Estimate(value, None, None, None, why)
    return Estimate(value, *jackknife_interval(value, without), None)


def roc_band(
    *, positive: BoolArray, scores: NDArray[Any], groups: Labels, rates: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Pointwise 95 % limits of the true positive rate at true false positive rates, by order statistics.

    At each rate these are the limits of the figure `tpr_at_fpr`. Patients are counted, not images.

    Args:
        positive: (n,) whether an image is a member.
        scores: (n,) higher is more likely a member.
        groups: (n,) patient of each image.
        rates: (k,) false positive rates, in (0, 1].

    Returns:
        Lower and upper limits, each of shape (k,), in [0, 1]; 0 and 1 where nothing is known.
    """
    code = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    return rate_limits(positive=positive, scores=scores, groups=code, rates=rates)
