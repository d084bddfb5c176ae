"""Nearest neighbours against scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from fingerprints.core.errors import FingerprintsError
from tests.decisions.classifiers.drawn import ASKED, CLASSES, drawn_part
from tests.decisions.parts import asked, fitted


@pytest.mark.parametrize(
    ("k", "distance", "weights"), [(1, "euclidean", "uniform"), (5, "cosine", "distance")]
)
def test_neighbours_agree_with_scikit_learn(k: int, distance: Any, weights: Any) -> None:
    own = drawn_part()
    answers = fitted("knn", own, CLASSES, k=k, distance=distance, weights=weights).predict(asked(ASKED))
    reference = KNeighborsClassifier(k, metric=distance, weights=weights)
    reference.fit(own.real.embeddings, own.real.labels)
    np.testing.assert_allclose(answers.scores, reference.predict_proba(ASKED), atol=1e-3)
    assert answers.labels.tolist() == reference.predict(ASKED).tolist()


def test_more_neighbours_than_images_are_refused() -> None:
    with pytest.raises(FingerprintsError, match=r"91 neighbours(.|\n)*1 to 90"):
        fitted("knn", drawn_part(), CLASSES, k=91)
