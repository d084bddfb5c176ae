"""From scores to p and q: each image and each patient against the reference.

p joins the detectors and counts patients of the reference (`evidence.joint_p`). q is p after Benjamini and
Hochberg's correction, for which conformal p-values are fit (Bates et al. 2023, "Testing for outliers with
conformal p-values").
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerprints.evidence.joint_p import joint_p
from fingerprints.evidence.multiplicity import benjamini_hochberg

Scores = NDArray[np.float64]
ALIKE = 1.5  # largest ratio of numbers of images up to which the highest scores of patients are compared


@dataclass(frozen=True)
class Judged:
    """Images or patients with their scores.

    Attributes:
        names: `(n,)`.
        counts: `(n,)` number of images of each.
        scores: `(n,)` in [0, 1), a rank among all that were scored; higher is more exposed.
        p: `(n,)` conformal p-values; `None` without a reference.
        q: `(n,)` the same, corrected for the number of them; `None` without a reference.
        compared_with: Number m of patients, or images, of the reference; the smallest p is 1 / (m + 1).
    """

    names: NDArray[np.str_]
    counts: NDArray[np.int64]
    scores: Scores
    p: Scores | None
    q: Scores | None
    compared_with: int

    def found(self, error: float) -> NDArray[np.bool_]:
        """`(n,)` whether q is at most the accepted share of false findings."""
        return np.zeros(len(self.names), bool) if self.q is None else self.q <= error

    def needed(self, error: float, *, exposed: int = 1) -> int:
        """Least size of a reference with which this number of exposed ones, all above it, are found."""
        return max(1, math.ceil(len(self.names) / (exposed * error) - 1e-9) - 1)

    def fewest(self, error: float) -> int | None:
        """Smallest number of exposed ones that can be found at all; `None`: not even all of them."""
        number = fewest_found(len(self.names), self.compared_with, error)
        return number if number <= len(self.names) else None


def fewest_found(asked_about: int, reference: int, error: float) -> int:
    """Smallest K with 1 / (m + 1) <= error K / n: fewer than K of n cannot have q of at most `error`."""
    return max(1, math.ceil(asked_about / (error * (reference + 1)) - 1e-9))


def judged(
    names: NDArray[np.str_],
    counts: NDArray[np.int64],
    scores: Scores,
    p: Scores | None,
    *,
    compared_with: int,
) -> Judged:
    """Scores with p, if there is one, and its q."""
    return Judged(names, counts, scores, p, None if p is None else benjamini_hochberg(p), compared_with)


@dataclass(frozen=True)
class Pooling:
    """How the scores of a patient's images become the patient's.

    Attributes:
        images: `None`: the highest score. A number k: the expected highest score of k of its images, drawn at
            random, so that patients with more images do not score higher by chance.
    """

    images: int | None = None

    def describe(self) -> str:
        """The rule in words."""
        if self.images is None:
            return "a patient has the highest score of its images"
        return (
            f"a patient has the mean over all choices of {self.images} of its images of their highest score,"
            " because the numbers of images per patient differ between candidates and reference"
        )


def pooling_for(candidates: NDArray[np.int64], reference: NDArray[np.int64] | None) -> Pooling:
    """The highest score, if numbers of images are alike; otherwise that of k images.

    Numbers are alike if neither median is more than `ALIKE` times the other, and no candidate has more than
    `ALIKE` times the images of the largest reference patient. Otherwise k is the number of images of the
    smallest reference patient, or the median of the candidates if that is less, so that every reference
    patient counts with exactly k images, and no candidate with more. Scores play no part in the choice.

    Args:
        candidates: Images of each candidate patient.
        reference: Images of each reference patient; `None` or empty: there are none.
    """
    if reference is None or not len(reference):
        return Pooling()
    ratio = float(np.median(candidates) / np.median(reference))
    if 1 / ALIKE <= ratio <= ALIKE and candidates.max() <= ALIKE * reference.max():
        return Pooling()
    return Pooling(int(min(reference.min(), np.median(candidates))))


def pooled(
    scores: Scores, groups: NDArray[np.str_], rule: Pooling
) -> tuple[NDArray[np.str_], NDArray[np.int64], Scores]:
    """Names, numbers of images and scores of the patients, in the order of the names.

    Args:
        scores: `(n,)` scores of images.
        groups: `(n,)` their patients.
        rule: How a patient's score is made; a patient with fewer images than the rule takes has its highest
            score, which can only be too low.
    """
    names, code, counts = np.unique(groups, return_inverse=True, return_counts=True)
    found = np.array([_pool(scores[code == at], rule.images) for at in range(len(names))])
    return names, counts, found


@dataclass(frozen=True)
class Exposure:
    """Who is exposed.

    Attributes:
        images: The images; p counts patients of the reference, and holds although slices of one are alike.
        standing: The same images; p counts images of the reference as if each were a patient, and is too
            small if slices of a patient are alike.
        patients: The patients, with the scores of their images pooled.
    """

    images: Judged
    standing: Judged
    patients: Judged


def expose(
    scores: Scores,
    joint: Scores,
    *,
    ids: NDArray[np.str_],
    groups: NDArray[np.str_],
    unused: NDArray[np.str_],
    rule: Pooling,
    weights: Scores | None = None,
) -> Exposure:
    """p and q of images and patients.

    Args:
        scores: `(d, n + m)` by d detectors, candidates first.
        joint: `(n + m,)` joined score, for the order.
        ids: `(n,)` names of the candidate images.
        groups: `(n,)` their patients.
        unused: `(m,)` patients of the reference; none: no p.
        rule: How a patient's score is made, in each detector.
        weights: `(d,)` weights of the detectors; `None`: equal.
    """
    count, single = len(groups), np.arange(len(groups) + len(unused)).astype(str)
    names, sizes, own = pooled(joint[:count], groups, rule)
    by_patient = [
        np.array([pooled(row[part], who, rule)[2] for row in scores])
        for part, who in ((slice(count), groups), (slice(count, None), unused))
    ]
    others = np.unique(unused)

    def p(found: Scores, asked: NDArray[np.str_], beside: Scores, of: NDArray[np.str_]) -> Scores | None:
        return (
            joint_p(found, asked, compared_with=beside, compared_groups=of, weights=weights)
            if len(of)
            else None
        )

    each, reference, ones = scores[:, :count], scores[:, count:], np.ones(count, int)
    honest, alone = p(each, groups, reference, unused), p(each, single[:count], reference, single[count:])
    return Exposure(
        images=judged(ids, ones, joint[:count], honest, compared_with=len(others)),
        standing=judged(ids, ones, joint[:count], alone, compared_with=len(unused)),
        patients=judged(
            names, sizes, own, p(by_patient[0], names, by_patient[1], others), compared_with=len(others)
        ),
    )


def _pool(scores: Scores, k: int | None) -> float:
    ordered = np.sort(scores)
    n = len(ordered)
    if k is None or k >= n:
        return float(ordered[-1])
    # The i-th smallest is the highest of k drawn ones with probability C(i - 1, k - 1) / C(n, k).
    weights = np.zeros(n)
    weights[-1] = k / n
    for i in range(n - 1, k - 1, -1):
        weights[i - 1] = weights[i] * (i + 1 - k) / i
    return float(weights @ ordered)
