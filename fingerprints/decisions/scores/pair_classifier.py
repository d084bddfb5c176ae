"""A classifier of pairs of a generated and a real image (SDVAHCS/UCSD [O24]).

The label of a pair is that of its real image, so the classifier can also learn the real images by heart: the
source reports near-perfect figures in validation and much lower ones on the test part. Here real images are
held out, not pairs.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Embeddings, Fitting, Images, Part
from fingerprints.decisions.scores.settings import PairClassifierSettings

BLOCK = 2000  # pairs at a time, about 30 MB of 2 x 2,048 features; ten steps of the network
Matrix = NDArray[np.float32]


def learn(settings: PairClassifierSettings, fitting: Fitting) -> dict[str, NDArray[Any]]:
    """Weights of a network with one hidden layer, and the scaling of its input.

    In each pass every generated image is paired with `pairs_per_image` used real images, drawn at random,
    and as many unused ones; only one block of pairs is held at a time. The source used AutoGluon. The network
    is ours: the score of a linear model would be a sum of one term for each image, whatever the other is.

    Raises:
        FingerprintsError: If there are no generated images, or none of a label.
    """
    real, generated = fitting.part.real, fitting.part.generated
    _check(real, generated)
    of_made, of_real = (StandardScaler().fit(side.embeddings) for side in (generated, real))
    made, own = of_made.transform(generated.embeddings), of_real.transform(real.embeddings)
    network = MLPClassifier((settings.hidden,), alpha=settings.alpha, random_state=fitting.seed)
    rng = np.random.default_rng([fitting.seed, 7])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(settings.passes):
            for left, right in drawn_pairs(rng, len(made), real.labels, count=settings.pairs_per_image):
                labels = real.labels[right] == USED
                network.partial_fit(joined(settings, made[left], own[right]), labels, classes=[False, True])
    (hidden, out), (bias, out_bias) = network.coefs_, network.intercepts_
    return {
        "generated_mean": of_made.mean_,
        "generated_scale": of_made.scale_,
        "real_mean": of_real.mean_,
        "real_scale": of_real.scale_,
        "hidden": hidden,
        "hidden_bias": bias,
        "out": out[:, 0],
        "out_bias": out_bias,
    }


def score(
    settings: PairClassifierSettings, part: Part, learned: Mapping[str, NDArray[Any]]
) -> NDArray[np.float64]:
    """`(n,)` mean log odds that a pair's image was used, over its pairs with all generated images (ours).

    The first layer is linear before its activation, so the terms of each image are computed once and no pair
    is formed.

    Raises:
        FingerprintsError: If there are no generated images.
    """
    made, own = part.references.embeddings, part.queries.embeddings
    if not len(made):
        raise _missing("no generated images")
    made = _scaled(made, learned, "generated")
    own = _scaled(own, learned, "real")
    width = made.shape[1]
    hidden = learned["hidden"]
    of_made = made @ hidden[:width] + learned["hidden_bias"]
    of_real = own @ hidden[width : 2 * width]
    found = np.empty(len(own))
    for number, image in enumerate(own):
        layer = of_made + of_real[number]
        if settings.join == "products":
            layer += made @ (image[:, None] * hidden[2 * width :])
        found[number] = (np.maximum(layer, 0) @ learned["out"]).mean()
    return found + learned["out_bias"]


def drawn_pairs(
    rng: np.random.Generator, generated: int, labels: NDArray[np.str_], *, count: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Blocks of pairs: positions of generated and of real images, `(p,)` each.

    Every generated image once, in random order, with `count` different images of each label; with all of a
    label that has fewer.
    """
    sides = [np.flatnonzero(labels == label) for label in (USED, NOT_USED)]
    order = rng.permutation(generated)
    for rows in gen_batches(generated, max(1, BLOCK // (2 * count))):
        block = order[rows]
        for_each = [side[rng.random((len(block), len(side))).argsort(axis=1)[:, :count]] for side in sides]
        right = np.concatenate(for_each, axis=1)
        yield np.repeat(block, right.shape[1]), right.ravel()


def joined(settings: PairClassifierSettings, made: Matrix, own: Matrix) -> Matrix:
    """Features of pairs `(p, d)`, `(p, d)`: side by side `(p, 2d)`, with their products `(p, 3d)`."""
    both = [made, own]
    if settings.join == "products":
        both.append(made * own)
    return np.concatenate(both, axis=1)


def _scaled(embeddings: Embeddings, learned: Mapping[str, NDArray[Any]], side: str) -> Matrix:
    return ((embeddings - learned[f"{side}_mean"]) / learned[f"{side}_scale"]).astype(np.float32)


def _check(real: Images, generated: Images) -> None:
    for label in (USED, NOT_USED):
        if label not in real.labels:
            raise _missing(f"no training images labelled {label}")
    if not len(generated):
        raise _missing("no generated images")


def _missing(what: str) -> FingerprintsError:
    return FingerprintsError(
        f"Pairs need generated, used and unused images; there are {what}.",
        where="decision=pair_classifier",
        fix="add images, or another decision (decision=similarity)",
    )
