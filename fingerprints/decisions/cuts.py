"""Cuts: rules that turn scores of `usage` into labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.tasks import USED
from fingerprints.decisions.scores.settings import Cut

Scores = NDArray[np.floating]


def threshold_of(cut: Cut, scores: Scores, *, known: float) -> float:
    """The threshold: an image with this score or a higher one is called used.

    Args:
        cut: The rule. `half`, `mode` and `mean` use the scores of the queries, so that every part has its
            own threshold.
        scores: `(n,)` scores of the queries.
        known: The threshold of `out_of_fold` (learnt), `fixed` (given) or `zero`.
    """
    exact = np.asarray(scores, dtype=np.float64)  # a threshold may lie between two float32 neighbours
    if cut == "half":
        return float(np.median(exact))
    if cut == "mean":
        return float(exact.mean())
    return mode(exact) if cut == "mode" else known


def mode(scores: Scores) -> float:
    """The middle of the fullest bin of a histogram with NumPy's `auto` bins.

    If several bins are equally full, the lowest is taken. The source (Csmorgan [O24]) names the mode, but not
    how it is estimated.
    """
    counts, edges = np.histogram(scores, bins="auto")
    fullest = int(counts.argmax())
    return float((edges[fullest] + edges[fullest + 1]) / 2)


def allowed_alarms(count: int, *, rate: float) -> int:
    """Number of reference images that may score above the cut: floor(rate x (count + 1)), at least 1.

    An image that is exchangeable with `count` reference images is among the k highest of all with
    probability k / (count + 1) (conformal prediction: Vovk et al. 2005, section 2). With k = 1 it must exceed
    the highest.
    """
    return max(1, int(rate * (count + 1) + 1e-9))


def above_reference(reference: Scores, *, rate: float) -> float:
    """The smallest score above all but k - 1 of the reference scores `(m,)`; k from `allowed_alarms`."""
    k = allowed_alarms(len(reference), rate=rate)
    return float(np.nextafter(np.partition(reference, len(reference) - k)[len(reference) - k], np.inf))


def best_threshold(scores: Scores, labels: Sequence[str]) -> float:
    """The threshold with the highest Cohen's kappa; the middle of the widest interval that reaches it.

    Args:
        scores: `(n,)`, higher = more likely used.
        labels: `used` or `not_used`, both present.
    """
    order = np.argsort(scores, kind="stable")
    ordered = np.asarray(scores, dtype=np.float64)[order]
    used = (np.asarray(labels)[order] == USED).astype(np.float64)
    n, positives = len(used), used.sum()
    # Cut c, from 0 to n, calls the c lowest images not used; cuts between equal scores are excluded below.
    below_used = np.concatenate([[0.0], np.cumsum(used)])
    called_used = n - np.arange(n + 1)
    agreement = (positives - below_used + (np.arange(n + 1) - below_used)) / n
    chance = (called_used * positives + (n - called_used) * (n - positives)) / n**2
    kappa = np.where(chance < 1, (agreement - chance) / np.maximum(1 - chance, 1e-12), 0.0)
    edges = np.concatenate([[ordered[0] - 1.0], ordered, [ordered[-1] + 1.0]])
    widths = edges[1:] - edges[:-1]
    kappa[widths <= 0] = -np.inf
    best = np.flatnonzero(kappa >= kappa.max() - 1e-12)
    cut = best[np.argmax(widths[best])]
    return float((edges[cut] + edges[cut + 1]) / 2)
