"""The baselines of a task: which images and features each of them sees."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from fingerprints.data.index import Index
from fingerprints.data.store import ImageStore
from fingerprints.encoders.concatenated import ConcatenatedEncoder
from fingerprints.encoders.handcrafted import LEVELS, LBPEncoder, PixelsEncoder
from fingerprints.evidence.baselines import blind, file_features, histogram_features, trivial, within_test
from fingerprints.evidence.estimates import Evaluation
from fingerprints.evidence.intervals import estimate_metrics
from fingerprints.evidence.settings import EvidenceSettings

THUMBNAIL = 16
_CHUNK = 256

Rows = pd.DataFrame


@dataclass(frozen=True)
class _Kind:
    """What a blind baseline sees of an image, and the training images of each baseline by its name."""

    features: Callable[[Rows, ImageStore], NDArray[Any]]
    fitted_on: dict[str, Rows]


def baselines(
    index: Index, store: ImageStore, generator: str, *, settings: EvidenceSettings, seed: int
) -> dict[str, Evaluation]:
    """Trivial answers and blind baselines of one generator's test part, by name.

    Every kind of features has a baseline fitted on the training part, and one fitted within the test part,
    whose name ends in `_within_test`.
    """
    rows = index.select(generator=generator)
    units = rows[(rows["split"] == "test") & (rows["domain"] == index.task.unit)]
    training = rows[(rows["split"] != "test") & (rows["label"] != "")]
    truth, groups = (units[column].to_numpy(dtype=str) for column in ("label", "group"))
    asked: dict[str, Any] = {
        "task": index.task,
        "classes": (*index.classes, *sorted(set(truth) - {"", *index.classes})),
        "groups": groups,
        "seed": seed,
        "permutations": settings.permutations,
    }
    own = training.loc[training["domain"] == index.task.unit, "label"].to_numpy(dtype=str)
    found = trivial(**asked, truth=truth, train_labels=own)
    evaluate = functools.partial(estimate_metrics, **asked, truth=truth, among_images=False)
    for name, kind in _kinds(index, training).items():
        features = kind.features(units, store)
        for title, fitted_on in kind.fitted_on.items():
            answers = blind(
                task=index.task,
                classes=asked["classes"],
                train_features=kind.features(fitted_on, store),
                train_labels=fitted_on["label"].to_numpy(dtype=str),
                train_groups=fitted_on["group"].to_numpy(dtype=str),
                test_features=features,
            )
            found[title] = evaluate(predicted=answers.predicted, scores=answers.scores)
        found[f"{name}_within_test"] = within_test(**asked, features=features, labels=truth)
    return found


def _kinds(index: Index, training: Rows) -> dict[str, _Kind]:
    """The blind baselines of a task.

    Those of generated images see no appearance: to compare it with that of real images is what detectors do.
    """
    real, generated = (training[training["domain"] == domain] for domain in ("real", "generated"))
    if index.task.unit == "real":
        return {
            "histogram": _Kind(_histograms, {"histogram": real}),
            "appearance": _Kind(_appearance, {"appearance": real}),
            "file": _Kind(_files, {"file": real}),
        }
    histograms = {"histogram_generated": generated} | ({"histogram_real": real} if len(real) else {})
    return {
        "histogram": _Kind(_histograms, histograms),
        "file": _Kind(_files, {"file": generated}),
    }


def _histograms(rows: Rows, store: ImageStore) -> NDArray[Any]:
    return histogram_features(store.images[rows.index.to_numpy()])


def _files(rows: Rows, store: ImageStore) -> NDArray[Any]:
    return file_features([Path(store.paths[row]) for row in rows.index])


def _appearance(rows: Rows, store: ImageStore) -> NDArray[Any]:
    return appearance_features(store.images[rows.index.to_numpy()])


def appearance_features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Frozen features of each image alone: its thumbnail, and how often each local binary pattern occurs.

    The same for every run on the same data, without weights, and before any filter of the run.

    Args:
        images: uint8, shape (n, S, S).

    Returns:
        Shape (n, 16 * 16 + 10).
    """
    size = images.shape[-1]
    network = ConcatenatedEncoder([PixelsEncoder(size=size, side=THUMBNAIL), LBPEncoder(size=size)])
    features = np.empty((len(images), network.embedding), dtype=np.float32)
    for start in range(0, len(images), _CHUNK):
        chunk = torch.from_numpy(np.asarray(images[start : start + _CHUNK])).unsqueeze(1)
        with torch.inference_mode():
            features[start : start + _CHUNK] = network(chunk.float() / LEVELS).numpy()
    return features
