"""Which images a decision is fitted on."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import FitOn
from fingerprints.decisions.part import EmbeddedPart, fit_set

NOBODY = np.empty(0, dtype=str)


def part(*, real: str = "aabb", generated: str = "abc", groups: bool = False) -> EmbeddedPart:
    """Real image i has feature i, generated image i feature 10 + i."""
    return EmbeddedPart(
        np.arange(len(real), dtype=np.float32)[:, None],
        np.array(list(real), dtype=str),
        10 + np.arange(len(generated), dtype=np.float32)[:, None],
        np.array(list(generated), dtype=str),
        np.array([f"p{i // 2}" for i in range(len(real))]) if groups else NOBODY,
    )


@pytest.mark.parametrize(
    ("fit_on", "features", "codes"),
    [
        ("real", [0, 1, 2, 3], [1, 1, 0, 0]),
        ("generated", [10, 11], [1, 0]),
        ("both", [0, 1, 2, 3, 10, 11], [1, 1, 0, 0, 1, 0]),
    ],
)
def test_takes_the_images_of_the_classes(fit_on: FitOn, features: list, codes: list) -> None:
    images = fit_set(part(), ["b", "a"], fit_on=fit_on)
    assert images.embeddings[:, 0].tolist() == features
    assert images.codes.tolist() == codes


def test_an_image_without_group_is_its_own() -> None:
    images = fit_set(part(groups=True), ["a", "b"], fit_on="both")
    assert images.groups[:4].tolist() == ["p0", "p0", "p1", "p1"]
    assert len(set(images.groups)) == 4
    assert len(set(fit_set(part(), ["a", "b"], fit_on="both").groups)) == 6


@pytest.mark.parametrize(
    ("own", "classes", "fit_on", "message"),
    [
        (part(real="aaaa"), ["a"], "real", "only 'a'"),
        (part(real="aaaa"), ["a", "b"], "real", "only 'a'"),
        (part(), ["a", "b", "c"], "real", "Classes without a real image: c"),
        (part(real=""), ["a", "b"], "real", "no real images(.|\n)*fit_on=generated"),
        (part(real="xxyy"), ["a", "b"], "real", "have none"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    own: EmbeddedPart, classes: list, fit_on: FitOn, message: str
) -> None:
    with pytest.raises(FingerprintsError, match=message):
        fit_set(own, classes, fit_on=fit_on)


def test_a_held_out_class_is_no_matter() -> None:
    own = part()
    own.generated[2] = np.nan
    assert len(fit_set(own, ["a", "b"], fit_on="generated").codes) == 2
    with pytest.raises(FingerprintsError, match="NaN"):
        fit_set(own, ["a", "b", "c"], fit_on="generated")
