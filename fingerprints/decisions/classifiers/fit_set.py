"""The labelled images that a classifier learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import FitOn
from fingerprints.decisions.contract import Fitting, Images
from fingerprints.embeddings.check import check_features


@dataclass(frozen=True)
class FitSet:
    """The images that a decision is fitted on.

    Attributes:
        embeddings: `(n, d)` float32.
        codes: `(n,)` position of each label in the classes.
        groups: `(n,)` group of each image; if the part has no groups, each image is its own group.
    """

    embeddings: NDArray[np.float32]
    codes: NDArray[np.int64]
    groups: NDArray[np.str_]


def fit_set(fitting: Fitting, *, fit_on: FitOn | None, constant: bool = False) -> FitSet:
    """The real or generated training images, or both, whose label is one of the classes.

    Args:
        fitting: The training part and its classes.
        fit_on: Which images; `None`: the real ones, or the generated ones if there are no real ones.
        constant: Accept embeddings that are all the same, such as those of a collapsed network.

    Raises:
        FingerprintsError: If there are fewer than two classes, a class has no image, a feature is NaN or
            infinite, or all features are constant.
    """
    part = fitting.part
    if fit_on is None:
        fit_on = "real" if len(part.real) else "generated"
    sides = {name: side for name, side in (("real", part.real), ("generated", part.generated)) if len(side)}
    chosen = [name for name in sides if fit_on in (name, "both")]
    other = [name for name in sides if name not in chosen]
    where = f"training part, decision.fit_on={fit_on}"
    if not chosen:
        raise FingerprintsError(
            f"There are no {fit_on} images to fit the decision on.",
            where=where,
            fix=" or ".join(f"decision.fit_on={name}" for name in other) or "give images with labels",
        )
    embeddings = np.concatenate([sides[name].embeddings for name in chosen])
    labels = np.concatenate([sides[name].labels for name in chosen])
    groups = np.concatenate([_groups(sides[name], name) for name in chosen])
    codes = np.full(len(labels), -1, dtype=np.int64)
    for code, name in enumerate(fitting.classes):
        codes[labels == name] = code
    _check_classes(fitting.classes, codes, fit_on=fit_on, other=other, where=where)
    inside = codes >= 0
    check_features(embeddings[inside], where=where, constant=constant)
    return FitSet(embeddings[inside], codes[inside], groups[inside])


def _groups(images: Images, name: str) -> NDArray[np.str_]:
    if len(images.groups):
        return images.groups
    return np.char.add(f"{name} ", np.arange(len(images)).astype(str))


def _check_classes(
    classes: Sequence[str], codes: NDArray[np.int64], *, fit_on: FitOn, other: Sequence[str], where: str
) -> None:
    kind = "real or generated" if fit_on == "both" else fit_on
    empty = [name for code, name in enumerate(classes) if not (codes == code).any()]
    if len(classes) < 2 or len(classes) - len(empty) < 2:
        found = [name for name in classes if name not in empty]
        raise FingerprintsError(
            f"A classifier needs at least two classes; the {kind} images have"
            f" {'only ' + repr(found[0]) if found else 'none'}.",
            where=where,
            fix="give images of another class, or check the labels",
        )
    if empty:
        raise FingerprintsError(
            f"These classes have no {kind} image: {', '.join(empty)}.",
            where=where,
            fix="give images of these classes, or leave the classes out"
            + "".join(f", or decision.fit_on={name}" for name in other),
        )
