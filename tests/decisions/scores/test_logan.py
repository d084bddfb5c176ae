"""A discriminator of generated and reference images, against scikit-learn's own probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.registry import restore_decision
from fingerprints.decisions.scores.logan import _logit
from tests.decisions.parts import about_real, fitted, images
from tests.decisions.scores.test_distance import part

CLASSES = (NOT_USED, USED)
GIVEN = np.random.default_rng(9).normal(size=(30, 8)).astype(np.float32)


def scores(own, given=GIVEN, **options) -> np.ndarray:
    return fitted("logan", own, CLASSES, given=images(given), **options).scores(own)


def test_logistic_regression_is_that_of_balanced_classes() -> None:
    own = part(generated=15)  # half as many as reference images: each counts twice
    made = own.references.embeddings
    scaler = StandardScaler().fit(np.concatenate([made, GIVEN]))
    twice = scaler.transform(np.concatenate([made, made, GIVEN]))
    model = LogisticRegression(max_iter=1000).fit(twice, [1] * 30 + [0] * 30)
    odds = model.predict_proba(scaler.transform(own.queries.embeddings))
    np.testing.assert_allclose(scores(own), np.log(odds[:, 1] / odds[:, 0]), rtol=1e-3, atol=1e-3)


def test_the_logit_of_a_network_is_that_of_its_probability_and_stays_finite() -> None:
    rng = np.random.default_rng(0)
    own, labels = rng.normal(size=(40, 3)), np.arange(40) % 2 == 0
    network = MLPClassifier((5,), random_state=0).partial_fit(own, labels, classes=[False, True])
    odds = network.predict_proba(own)
    np.testing.assert_allclose(_logit(network, own), np.log(odds[:, 1] / odds[:, 0]), rtol=1e-6)
    assert np.isfinite(_logit(network, 1e6 * own)).all()


@pytest.mark.parametrize("kind", ["logistic", "network"])
def test_what_looks_generated_scores_higher_by_either_discriminator(kind: str) -> None:
    own = part(real=40)
    shifted = about_real(
        images(own.queries.embeddings + [[1.5 * (label == USED)] for label in own.queries.labels]),
        images(own.references.embeddings + 1.5),
    )
    decision = fitted("logan", shifted, CLASSES, given=images(GIVEN), discriminator=kind)
    found, used = decision.scores(shifted), own.queries.labels == USED
    assert found[used].mean() > found[~used].mean() + 1
    np.testing.assert_array_equal(restore_decision(decision.state()).scores(shifted), found)


def test_constant_features_and_more_features_than_images_give_numbers() -> None:
    own = part(real=6, generated=5, d=300)
    own.references.embeddings[:, :100] = own.queries.embeddings[:, :100] = 0
    given = np.zeros((4, 300), np.float32)
    assert np.isfinite(scores(own, given)).all()


def test_missing_images_are_named() -> None:
    own = part()
    with pytest.raises(FingerprintsError, match="at least 1 generated"):
        scores(about_real(own.queries, images(own.references.embeddings[:0])))
    nobody = about_real(images(own.queries.embeddings[:0]), own.references)
    assert len(scores(nobody)) == 0
