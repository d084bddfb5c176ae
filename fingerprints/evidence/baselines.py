"""Baselines that a detector must beat: trivial answers, and blind baselines that see no fingerprint.

A blind baseline sees one image alone: its file, its grey-level histogram or its appearance. It never
compares a real image with the generated set. If it does as well as a detector, the labels can be guessed
from something else than fingerprints, and the detector's figure proves nothing. It is fitted twice:

- on the training part (`blind`): whether labels can be guessed as the detector learns them;
- within the test part (`within_test`): whether the labels of the test part can be guessed at all. A rule that
  holds in the test part only, since other patients or another scanner were used, is not seen otherwise.

`fingerprints.reporting.baselines` says which images and features each task has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import UnidentifiedImageError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import Task
from fingerprints.data.picture import open_picture
from fingerprints.data.splits import fewest_groups, k_folds
from fingerprints.evidence.estimates import Estimate, Evaluation, in_reading_order, percentiles
from fingerprints.evidence.intervals import estimate_metrics, table_figures
from fingerprints.evidence.metrics import FloatArray, Labels, encode

TRIVIAL = ("all_used", "majority", "random")
"""Names of the baselines that see no data; every other baseline is a blind one."""

FORMATS = (".png", ".jpg", ".tif", ".bmp", ".dcm", ".npy", ".gz")
_SPELLINGS = {".jpeg": ".jpg", ".tiff": ".tif"}

WITHIN_FOLDS = 5
"""Parts of the test part that are answered by a model of the others; fewer if a class has fewer groups."""

NO_P = "the models were fitted on labels of these images, so that permuting the labels gives no p-value"

_GUESSES = 1000
_REGULARISATION = 1.0
_CHUNK_PIXELS = 4_000_000


def trivial(
    *,
    task: Task,
    classes: Sequence[str],
    truth: Labels,
    train_labels: Labels,
    groups: Labels,
    seed: int,
    permutations: int = 999,
) -> dict[str, Evaluation]:
    """The answers that need no image.

    Args:
        task: The task; `all_used` is included only if it has a positive class.
        classes: The names of the labels.
        truth: True labels, shape (n,).
        train_labels: Labels of the training part; the most frequent (on ties the first in `classes`)
            is the answer of `majority`. If empty, `majority` is left out.
        groups: Group of each image, shape (n,).
        seed: Seed of permuting and guessing.
        permutations: As in `estimate_metrics`.

    Returns:
        `all_used`, `majority` and `random`, in that order.

    Raises:
        FingerprintsError: If a label is not one of the classes.
    """
    answers: dict[str, str] = {} if task.positive is None else {"all_used": task.positive}
    encode(train_labels, classes=classes)
    if len(train_labels):
        seen = Counter(str(label) for label in train_labels)
        answers["majority"] = max(classes, key=lambda label: seen[label])
    evaluations = {
        name: estimate_metrics(
            task=task,
            classes=classes,
            truth=truth,
            predicted=np.full(len(truth), answer),
            scores=None,
            groups=groups,
            seed=seed,
            permutations=permutations,
            among_images=False,
        )
        for name, answer in answers.items()
    }
    guesses = _random(task=task, classes=classes, truth=truth, groups=groups, seed=seed)
    return {**evaluations, "random": guesses}


def _random(*, task: Task, classes: Sequence[str], truth: Labels, groups: Labels, seed: int) -> Evaluation:
    """Uniform guesses: mean of each figure over many of them, and the range of 95 % of them.

    The range shows what guessing may give on these images; it is not the uncertainty of the mean. There
    is no p-value. The figures depend only on the confusion table, so whole tables are drawn.
    """
    support = np.bincount(encode(truth, classes=classes), minlength=len(classes))
    rng = np.random.default_rng(seed)
    chances = np.full(len(classes), 1 / len(classes))
    tables = np.stack([rng.multinomial(count, chances, size=_GUESSES) for count in support], axis=1)
    draws = table_figures(tables.astype(np.float64), task=task, classes=classes, clusters=task.clusters)
    metrics: dict[str, Estimate] = {}
    for name in in_reading_order(draws, task=task):
        if np.isnan(draws[name]).any():
            metrics[name] = Estimate(None, None, None, None, "it is undefined for some of the random guesses")
            continue
        low, high = percentiles(draws[name])
        metrics[name] = Estimate(float(draws[name].mean()), low, high, None)
    return Evaluation(
        metrics=metrics,
        without={},
        nulls={},
        n=len(truth),
        groups=frozenset(np.asarray(groups, dtype=str).tolist()),
        permuted="groups",
    )


def histogram_features(images: NDArray[np.uint8], *, bins: int = 32) -> FloatArray:
    """Share of pixels at each grey level.

    Args:
        images: uint8, shape (n, H, W); may be memory-mapped: a few images are read at a time.
        bins: Equal parts of 0..255, from 1 to 256.

    Returns:
        float64, shape (n, bins); rows sum to 1.

    Raises:
        ValueError: On another dtype, shape or number of bins.
    """
    if images.dtype != np.uint8 or images.ndim != 3 or not 1 <= bins <= 256:
        raise ValueError(
            f"histograms need uint8 images (n, H, W) and 1 to 256 bins, not {images.dtype}, "
            f"{images.shape} and {bins}"
        )
    pixels = images.shape[1] * images.shape[2]
    level_bin = np.arange(256) * bins // 256
    step = max(1, _CHUNK_PIXELS // max(pixels, 1))
    features = np.empty((len(images), bins))
    for start in range(0, len(images), step):
        chunk = np.asarray(images[start : start + step]).reshape(-1, pixels)
        cells = level_bin[chunk] + bins * np.arange(len(chunk))[:, None]
        counts = np.bincount(cells.ravel(), minlength=len(chunk) * bins)
        features[start : start + step] = counts.reshape(len(chunk), bins) / pixels
    return features


def file_features(paths: Sequence[Path]) -> FloatArray:
    """Features of the file alone: log2 of its bytes, log2 of bytes per pixel, code of its suffix.

    Only headers are read. If Pillow cannot read the header, one byte per pixel is assumed. The code is
    the position of the suffix in `FORMATS` (`.jpeg` counts as `.jpg`), or `len(FORMATS)` if it is not there.

    Returns:
        float64, shape (n, 3).

    Raises:
        FingerprintsError: If a file is missing.
    """
    return np.array([_file_row(Path(path)) for path in paths], dtype=np.float64).reshape(len(paths), 3)


def _file_row(path: Path) -> tuple[float, float, float]:
    try:
        size = max(path.stat().st_size, 1)
    except FileNotFoundError as error:
        raise FingerprintsError(
            "An image of the index no longer exists.", where=path, fix="index the data again"
        ) from error
    try:
        with open_picture(path) as image:
            pixels = image.width * image.height
    except UnidentifiedImageError:
        pixels = size
    suffix = _SPELLINGS.get(path.suffix.lower(), path.suffix.lower())
    code = FORMATS.index(suffix) if suffix in FORMATS else len(FORMATS)
    return float(np.log2(size)), float(np.log2(size / pixels)), float(code)


@dataclass(frozen=True, eq=False)
class BlindAnswers:
    """Answers (n,) of a blind baseline, and probabilities: (n,) of the positive class, else (n, C)."""

    predicted: NDArray[np.str_]
    scores: FloatArray


def blind(
    *,
    task: Task,
    classes: Sequence[str],
    train_features: NDArray[Any],
    train_labels: Labels,
    train_groups: Labels,
    test_features: NDArray[Any],
) -> BlindAnswers:
    """Logistic regression on standardised features, with C = 1 and nothing to tune.

    Each image has the weight 1 / size of its group, so that all patients weigh the same.

    Args:
        task: Decides the shape of the scores.
        classes: The names of the labels; a class without training images gets probability 0.
        train_features: Shape (m, d).
        train_labels: Shape (m,).
        train_groups: Shape (m,).
        test_features: Shape (n, d).

    Raises:
        FingerprintsError: If training has one class only, or a label that is not one of the classes.
    """
    codes = encode(train_labels, classes=classes)
    if len(np.unique(codes)) < 2:
        raise FingerprintsError(
            "A blind baseline needs training images of at least two classes.",
            where="train_labels",
            fix="check the labels of the training part",
        )
    _, member, sizes = np.unique(np.asarray(train_groups, dtype=str), return_inverse=True, return_counts=True)
    voices = 1 / sizes[member]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=_REGULARISATION, max_iter=1000))
    # Scaled to mean 1, so that C means the same for every data set.
    model.fit(train_features, codes, logisticregression__sample_weight=voices / voices.mean())
    probabilities = np.zeros((len(test_features), len(classes)))
    probabilities[:, model.classes_] = model.predict_proba(test_features)
    predicted = np.asarray(classes, dtype=str)[probabilities.argmax(axis=1)]
    if task.positive is not None:
        return BlindAnswers(predicted, probabilities[:, list(classes).index(task.positive)])
    return BlindAnswers(predicted, probabilities)


def within_test(
    *,
    task: Task,
    classes: Sequence[str],
    features: NDArray[Any],
    labels: Labels,
    groups: Labels,
    seed: int,
    permutations: int = 999,
) -> Evaluation:
    """Figures of a blind baseline that is fitted within the test part, never on a group that it answers.

    With few groups, out-of-fold figures lie below chance if the features say nothing: what is held out is
    missing from the rest. So only figures above chance say something, and there are no p-values.

    Args:
        task: As in `estimate_metrics`.
        classes: The names of the labels.
        features: Shape (n, d), of the test part.
        labels: True labels of the test part, shape (n,).
        groups: Group of each image, shape (n,).
        seed: Seed of dividing and permuting.
        permutations: Permutations of the labels, for chance.

    Returns:
        Figures without p-values; only the official metric, without a value and with the reason, if the groups
        or classes are too few.
    """
    try:
        answers = _out_of_fold(task, classes, features, labels, groups, seed=seed)
    except FingerprintsError as error:
        missing = Estimate(None, None, None, None, error.what.rstrip("."))
        return Evaluation(
            metrics={task.official: missing},
            without={},
            nulls={},
            n=len(labels),
            groups=frozenset(np.asarray(groups, dtype=str).tolist()),
            permuted="groups",
            cross_fitted=True,
        )
    found = estimate_metrics(
        task=task,
        classes=classes,
        truth=labels,
        predicted=answers.predicted,
        scores=answers.scores,
        groups=groups,
        seed=seed,
        permutations=permutations,
        among_images=False,
    )
    metrics = {
        name: replace(one, p=None, reason="; ".join(filter(None, [one.reason, NO_P])))
        for name, one in found.metrics.items()
    }
    return replace(found, metrics=metrics, name_nulls={}, cross_fitted=True)


def _out_of_fold(
    task: Task,
    classes: Sequence[str],
    features: NDArray[Any],
    labels: Labels,
    groups: Labels,
    *,
    seed: int,
) -> BlindAnswers:
    """Answers to every image by `blind`, fitted on the groups of the other folds."""
    truth, group = np.asarray(labels, dtype=str), np.asarray(groups, dtype=str)
    if len(np.unique(truth)) < 2:
        raise FingerprintsError("All images of the test part are of one class.")
    count = max(2, min(WITHIN_FOLDS, fewest_groups(truth.tolist(), group.tolist())))
    folds = k_folds(truth.tolist(), group.tolist(), k=count, seed=seed)
    parts = [
        blind(
            task=task,
            classes=classes,
            train_features=features[folds != fold],
            train_labels=truth[folds != fold],
            train_groups=group[folds != fold],
            test_features=features[folds == fold],
        )
        for fold in np.unique(folds)
    ]
    place = np.argsort(np.argsort(folds, kind="stable"), kind="stable")
    return BlindAnswers(
        np.concatenate([part.predicted for part in parts])[place],
        np.concatenate([part.scores for part in parts])[place],
    )
