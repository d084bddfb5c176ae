"""From scores to p and q: each image and each patient against the reference.

The p-value of an image or patient is (1 + number of the m reference ones with at least its score) / (m + 1),
a conformal p-value. q is p after Benjamini and Hochberg's correction, for which such p-values are fit (Bates
et al. 2023, "Testing for outliers with conformal p-values").
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerprints.evidence.multiplicity import benjamini_hochberg
from fingerprints.evidence.patients import conformal_p

Scores = NDArray[np.float64]
ALIKE = 1.5  # largest ratio of numbers of images up to which the highest scores of patients are compared


@dataclass(frozen=True)
class Judged:
    """Images or patients with their scores.

    Attributes:
        names: `(n,)`.
        counts: `(n,)` number of images of each.
        scores: `(n,)` higher is more exposed.
        p: `(n,)` conformal p-values; `None` without a reference.
        q: `(n,)` the same, corrected for the number of them; `None` without a reference.
        compared_with: Number m of the reference.
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
    names: NDArray[np.str_], counts: NDArray[np.int64], scores: Scores, reference: Scores | None
) -> Judged:
    """Scores with p and q, if there are scores of a reference `(m,)`."""
    if reference is None or not len(reference):
        return Judged(names, counts, scores, None, None, 0)
    p = conformal_p(scores, compared_with=reference)
    return Judged(names, counts, scores, p, benjamini_hochberg(p), len(reference))


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
