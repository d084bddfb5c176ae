"""Likelihood ratio from shadow generators that were trained with and without each candidate.

After the likelihood ratio attack on classifiers (Carlini et al. 2022, arXiv 2112.03570, section V): the loss
of a model is replaced by a score of the candidate against the images of a generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import pairwise_distances_argmin_min

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import build_option, load
from fingerprints.core.tasks import USED
from fingerprints.decisions.contract import Fitting, Part
from fingerprints.decisions.scores.attack_settings import ShadowSettings
from fingerprints.decisions.scores.settings import ScoreSettings

NEAR = 1e-3  # distance, as a share of the norm, up to which two embeddings are of the same image
LEAST_DEVIATION = 1e-6


def learn(settings: ShadowSettings, fitting: Fitting) -> dict[str, NDArray[Any]]:
    """Mean and standard deviation of each candidate's score, with and without it in the training.

    Returns:
        `candidates` `(n, *shape)`; `mean_in`, `mean_out`, `deviation_in`, `deviation_out` `(n,)`.

    Raises:
        FingerprintsError: If there are no shadow generators.
    """
    if not fitting.generators:
        raise FingerprintsError(
            "There are no shadow generators.",
            where="decision=shadow",
            fix="train some on the same candidates (simulate task=shadow) and give data.shadow=DIR",
        )
    found = np.stack([base_scores(settings, part) for part in fitting.generators])
    used = np.stack([part.queries.labels == USED for part in fitting.generators])
    learned: dict[str, NDArray[Any]] = {"candidates": fitting.generators[0].queries.embeddings}
    for name, kept in (("in", used), ("out", ~used)):
        mean, deviation = _moments(found, kept, shared=settings.variance == "shared")
        learned |= {f"mean_{name}": mean, f"deviation_{name}": deviation}
    return learned


def _moments(
    found: NDArray[np.float64], kept: NDArray[np.bool_], *, shared: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`(n,)` mean and standard deviation over the kept ones of `(g, n)` scores, at least one a column."""
    counts = kept.sum(axis=0)
    mean = np.where(kept, found, 0).sum(axis=0) / counts
    squares = np.where(kept, (found - mean) ** 2, 0).sum(axis=0)
    if shared:  # degrees of freedom add up over candidates
        variance = np.full(len(mean), squares.sum() / max(1, (counts - 1).sum()))
    else:
        variance = squares / np.maximum(1, counts - 1)
    return mean, np.maximum(np.sqrt(variance), LEAST_DEVIATION)


def base_scores(settings: ShadowSettings, part: Part) -> NDArray[np.float64]:
    """`(n,)` scores of the queries by the decision `settings.base` with its defaults."""
    base = build_option("decision", {"name": settings.base})
    assert isinstance(base, ScoreSettings)
    learned = load(base.learn)(base, Fitting(part=part, classes=())) if base.learn else {}
    return np.asarray(load(base.score)(base, part, learned), dtype=np.float64)


def score(settings: ShadowSettings, part: Part, learned: Mapping[str, Any]) -> NDArray[np.float64]:
    """`(n,)` how much likelier each query's score is if the generator was trained on it.

    With `mode=online`: log N(s; in) - log N(s; out), for the score s against the part's generated images.
    With `mode=offline`: minus the log of the probability of a score of s or more without the candidate.

    Raises:
        FingerprintsError: If a query is not among the candidates of the shadow generators.
    """
    queries, candidates = part.queries.embeddings, learned["candidates"]
    if not len(queries):
        return np.empty(0)
    at, away = pairwise_distances_argmin_min(_flat(queries), _flat(candidates))
    strange = int(np.sum(away > NEAR * np.maximum(np.linalg.norm(_flat(queries), axis=1), 1)))
    if strange:
        raise FingerprintsError(
            f"{strange} of {len(queries)} images are not among the candidates of the shadow generators.",
            where="decision=shadow",
            fix="ask about candidates only, or train shadow generators on all images (simulate task=shadow)",
        )
    found = base_scores(settings, part)
    outside = norm(learned["mean_out"][at], learned["deviation_out"][at])
    if settings.mode == "offline":
        return -outside.logsf(found)
    return norm(learned["mean_in"][at], learned["deviation_in"][at]).logpdf(found) - outside.logpdf(found)


def _flat(embeddings: NDArray[np.floating]) -> NDArray[np.floating]:
    return embeddings.reshape(len(embeddings), -1)
