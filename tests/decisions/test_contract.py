from __future__ import annotations

import numpy as np
import pytest

from fingerprints.decisions.contract import Part
from tests.decisions.parts import clustering, images

REAL = images(np.zeros((2, 3), np.float32), ["a", "b"])
MADE = images(np.ones((4, 3), np.float32))


def test_a_part_is_oriented_by_the_unit_of_the_task() -> None:
    about_real = Part.of(real=REAL, generated=MADE, unit="real")
    about_generated = Part.of(real=REAL, generated=MADE, unit="generated")
    assert (len(about_real.queries), len(about_generated.queries)) == (2, 4)
    for part in (about_real, about_generated, about_real.swapped()):
        assert (part.real, part.generated) == (REAL, MADE)
    assert about_real.swapped() == about_generated


def test_images_without_any_are_not_changed() -> None:
    nothing = images(np.empty((0, 3), np.float32))
    assert nothing.map(lambda embeddings: embeddings[:, :1]) is nothing
    assert MADE.map(lambda embeddings: embeddings[:, :1]).embeddings.shape == (4, 1)


def test_a_decision_without_scores_cannot_decide_by_them() -> None:
    with pytest.raises(TypeError, match="'kmeans' gives no scores"):
        clustering("kmeans", 2).decide(np.zeros(3))
