"""Which images a classifier learns from."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.classifiers.fit_set import fit_set
from fingerprints.decisions.contract import Fitting
from tests.decisions.parts import about_generated, images


def fitting(
    classes: str, *, real: str = "aabb", generated: str = "abc", groups: bool = False, bad: bool = False
) -> Fitting:
    """Real image i has feature i, generated image i feature 10 + i."""
    left = np.arange(len(real), dtype=np.float32)[:, None]
    right = 10 + np.arange(len(generated), dtype=np.float32)[:, None]
    if bad:
        right[2] = np.nan
    patients = [f"p{i // 2}" for i in range(len(real))] if groups else None
    part = about_generated(images(left, real, patients), images(right, generated))
    return Fitting(part=part, classes=tuple(classes))


@pytest.mark.parametrize(
    ("fit_on", "features", "codes"),
    [
        ("real", [0, 1, 2, 3], [1, 1, 0, 0]),
        (None, [0, 1, 2, 3], [1, 1, 0, 0]),
        ("generated", [10, 11], [1, 0]),
        ("both", [0, 1, 2, 3, 10, 11], [1, 1, 0, 0, 1, 0]),
    ],
)
def test_takes_the_images_of_the_classes(fit_on, features, codes) -> None:
    found = fit_set(fitting("ba"), fit_on=fit_on)
    assert found.embeddings[:, 0].tolist() == features
    assert found.codes.tolist() == codes


def test_without_real_images_the_generated_ones_serve() -> None:
    assert fit_set(fitting("ab", real=""), fit_on=None).embeddings[:, 0].tolist() == [10, 11]


def test_an_image_without_group_is_its_own() -> None:
    found = fit_set(fitting("ab", groups=True), fit_on="both")
    assert found.groups[:4].tolist() == ["p0", "p0", "p1", "p1"]
    assert len(set(found.groups)) == 4
    assert len(set(fit_set(fitting("ab"), fit_on="both").groups)) == 6


@pytest.mark.parametrize(
    ("classes", "options", "message"),
    [
        ("a", {"real": "aaaa"}, "only 'a'"),
        ("ab", {"real": "aaaa"}, "only 'a'"),
        ("abc", {}, "These classes have no real image: c"),
        ("ab", {"real": ""}, "no real images(.|\n)*fit_on=generated"),
        ("ab", {"real": "xxyy"}, "have none"),
    ],
)
def test_what_cannot_be_fitted_is_refused(classes, options, message) -> None:
    with pytest.raises(FingerprintsError, match=message):
        fit_set(fitting(classes, **options), fit_on="real")


def test_a_held_out_class_is_no_matter() -> None:
    assert len(fit_set(fitting("ab", bad=True), fit_on="generated").codes) == 2
    with pytest.raises(FingerprintsError, match="NaN"):
        fit_set(fitting("abc", bad=True), fit_on="generated")
