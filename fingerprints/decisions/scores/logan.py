"""A discriminator of generated and reference images (LOGAN: Hayes et al. 2019, arXiv 1705.07663).

The black-box attack of the source trains a GAN on the generated images and takes its discriminator, which
finds members more "real" than others. With auxiliary knowledge a discriminator learns generated
against reference images directly: that one is here. A classifier of frozen features, or pixels, stands for
the source's network (ours).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from fingerprints.decisions.contract import Fitting, Part
from fingerprints.decisions.scores.density_settings import LoganSettings
from fingerprints.decisions.scores.needed import needed, needed_reference

REFERENCE, SEED = "reference", "seed"
ITERATIONS = 1000  # at most, of logistic regression


def learn(settings: LoganSettings, fitting: Fitting) -> dict[str, NDArray]:
    """The reference images `(m, d)` and the seed: the part asked about has a discriminator of its own.

    Raises:
        FingerprintsError: If there are no reference images.
    """
    return {REFERENCE: needed_reference(fitting), SEED: np.array([fitting.seed])}


def score(settings: LoganSettings, part: Part, learned: Mapping[str, NDArray]) -> NDArray[np.float64]:
    """`(n,)` logit that each query is a generated image, not a reference image.

    The discriminator is trained on the part's own generated images and on the reference, each with the same
    weight in total; images asked about are in neither.

    Raises:
        FingerprintsError: If there are no generated images.
    """
    made, known = needed(part.references.embeddings, least=1, kind="generated"), learned[REFERENCE]
    if not len(part.queries):
        return np.empty(0)
    scaler = StandardScaler().fit(np.concatenate([made, known]))
    # The smaller side is repeated: not every classifier takes weights.
    most = max(len(made), len(known))
    images = np.concatenate([scaler.transform(side)[np.arange(most) % len(side)] for side in (made, known)])
    fitted = _fitted(settings, images, np.repeat([True, False], most), seed=int(learned[SEED][0]))
    return _logit(fitted, scaler.transform(part.queries.embeddings))


def _fitted(
    settings: LoganSettings, images: NDArray[np.floating], made: NDArray[np.bool_], *, seed: int
) -> LogisticRegression | MLPClassifier:
    model = LogisticRegression(C=settings.C, max_iter=ITERATIONS)
    if settings.discriminator == "network":
        model = MLPClassifier((settings.hidden,), alpha=settings.alpha, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(images, made)


def _logit(fitted: LogisticRegression | MLPClassifier, images: NDArray[np.floating]) -> NDArray[np.float64]:
    if isinstance(fitted, LogisticRegression):
        return fitted.decision_function(images).astype(np.float64)
    # Probabilities near 1 are rounded to 1, whose logit is infinite.
    (hidden, out), (bias, out_bias) = fitted.coefs_, fitted.intercepts_
    return (np.maximum(images @ hidden + bias, 0) @ out + out_bias)[:, 0].astype(np.float64)
