"""Cuts: what turns scores of `usage` into labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import USED
from fingerprints.decisions.settings import Cut

Scores = NDArray[np.floating]


def threshold_of(cut: Cut, scores: Scores, *, known: float) -> float:
    """The score from which on an image is called used.

    Args:
        cut: Which rule. `half`, `mode` and `mean` look at the scores of the images asked about, so that
            every part has a threshold of its own.
        scores: `(n,)` of the images asked about.
        known: The threshold that was learnt or given: of `out_of_fold` and `fixed`.
    """
    exact = np.asarray(scores, dtype=np.float64)  # a threshold may lie between two float32 neighbours
    if cut == "half":
        return float(np.median(exact))
    if cut == "mean":
        return float(exact.mean())
    return mode(exact) if cut == "mode" else known


def mode(scores: Scores) -> float:
    """The middle of the fullest bin of a histogram, whose bins are NumPy's `auto`; the lowest of equals.

    The source (Csmorgan [O24]) says "mode" and not how it is estimated.
    """
    counts, edges = np.histogram(scores, bins="auto")
    fullest = int(counts.argmax())
    return float((edges[fullest] + edges[fullest + 1]) / 2)


def check_cut(cut: Cut, cut_at: float | None) -> None:
    """Refuse a fixed cut without its threshold, and a threshold without a fixed cut.

    Raises:
        FingerprintsError: If one is given without the other.
    """
    if (cut == "fixed") != (cut_at is not None):
        raise FingerprintsError(
            "A fixed cut needs a threshold." if cut == "fixed" else f"cut={cut} takes no threshold.",
            where="decision.cut, decision.cut_at",
            fix="decision.cut=fixed decision.cut_at=NUMBER, or another cut without decision.cut_at",
        )


def best_threshold(scores: Scores, labels: Sequence[str]) -> float:
    """The cut with the highest Cohen's kappa; the middle of the widest such plateau.

    Args:
        scores: `(n,)`, higher = more likely used.
        labels: `used` or `not_used`, both present.
    """
    order = np.argsort(scores, kind="stable")
    ordered = np.asarray(scores, dtype=np.float64)[order]
    used = (np.asarray(labels)[order] == USED).astype(np.float64)
    n, positives = len(used), used.sum()
    # Cut c calls the c lowest not used: 0..n, only between different scores.
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
