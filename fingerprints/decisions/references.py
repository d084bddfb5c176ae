"""The reference of a score of `usage`: which images it learns from, and which set its cut.

A reference image that a density or a discriminator was fitted on looks less like a generated image than an
unseen one would. Its score says nothing of the images asked about, so it never sets a cut.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Fitting, Images, Labels
from fingerprints.decisions.scores.settings import ScoreSettings, no_reference
from fingerprints.decisions.settings import DecisionSettings


def nobody() -> Images:
    """No images."""
    return Images(np.empty((0, 0), dtype=np.float32))


@dataclass(frozen=True)
class ReferenceImages:
    """The reference images of one decision, by their use.

    Attributes:
        learnt: Images that `learn` finds in `Fitting.reference`; `None` for scores that learn from none.
        scored: Images that are scored together with those asked about.
        elsewhere: Members of the training part, which are also scored for images of another generator.
    """

    learnt: Images | None = None
    scored: Images = field(default_factory=nobody)
    elsewhere: Images = field(default_factory=nobody)


def reference_images(settings: ScoreSettings, fitting: Fitting) -> ReferenceImages:
    """Choose the reference images, and divide them if a score learns from them and `cut=reference`.

    The two halves have no group (patient) in common: then the images of the cut are to the score what
    unused images asked about are, and the stated rate of false alarms holds (split conformal prediction:
    Vovk et al. 2005, section 4.1). For other cuts the score learns from all of them.

    Raises:
        FingerprintsError: If the settings want images that there are not, or a single group would have to be
            divided.
    """
    scored = settings.joint or settings.cut == "reference"
    if settings.reference == "none" or not (scored or settings.learns_reference):
        return ReferenceImages()
    if settings.reference == "auto" and fitting.reference is None and not settings.needs_reference:
        return ReferenceImages()
    images, elsewhere = _chosen(settings, fitting)
    if not settings.learns_reference:
        return ReferenceImages(None, images, elsewhere)
    if not scored:
        return ReferenceImages(images)
    half = _half(images, seed=fitting.seed)
    return ReferenceImages(images.only(half), images.only(~half), elsewhere)


def _chosen(settings: ScoreSettings, fitting: Fitting) -> tuple[Images, Images]:
    """The reference of a decision, and the members that join it for images of another generator."""
    wanted = settings.reference
    if wanted == "auto":
        wanted = "not_used" if fitting.reference is None else "given"
    if wanted == "given":
        if fitting.reference is None:
            raise no_reference()
        return _numbered(fitting.reference), nobody()
    real = fitting.part.real
    unused = real.only(real.labels == NOT_USED)
    if not len(unused):
        raise no_unused(settings)
    members = _numbered(real.only(real.labels == USED), prefix="member") if wanted == "real" else nobody()
    return _numbered(unused), members


def no_unused(settings: DecisionSettings) -> FingerprintsError:
    """The error if unused training images are to be the reference, and there are none."""
    other = "another decision" if settings.learns_reference else "decision.cut=half decision.reference=none"
    return FingerprintsError(
        "The training part has no unused real images to serve as reference.",
        where=f"decision.reference={settings.reference_from}",
        fix="give a folder of real images that no generator was trained on: data.reference=DIR, add images "
        f"labelled not_used, or use {other}",
    )


def _numbered(images: Images, prefix: str = "reference") -> Images:
    """The same images without labels, their groups numbered; unknown ones stay unknown."""
    numbers = np.unique(images.groups, return_inverse=True)[1]
    return Images(images.embeddings, groups=named(numbers, prefix))


def named(numbers: NDArray[np.integer], prefix: str = "reference") -> Labels:
    """Names of groups `(n,)` of the reference, which no group of the images asked about has."""
    return np.array([f"{prefix} {number}" for number in numbers], dtype=str)


def _half(images: Images, *, seed: int) -> NDArray[np.bool_]:
    """`(n,)` mask of half of the groups, drawn at random; if they are unknown, of half of the images."""
    groups = images.groups if len(images.groups) else np.arange(len(images)).astype(str)
    if len(np.unique(groups)) < 2:
        raise FingerprintsError(
            "All reference images are of one patient, so they cannot both teach the score and set the cut.",
            where="decision.cut=reference",
            fix="add reference images of other patients, or use decision.cut=out_of_fold",
        )
    split = GroupShuffleSplit(1, test_size=0.5, random_state=seed).split(groups, groups=groups)
    half = np.zeros(len(images), dtype=bool)
    half[next(split)[0]] = True
    return half
