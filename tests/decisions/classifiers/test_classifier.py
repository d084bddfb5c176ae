"""What all classifiers share: options, the order of classes, bad parts, "none of these"."""

from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.classifiers.centroid import Centroid
from fingerprints.decisions.classifiers.classifier import cut_at
from fingerprints.decisions.contract import Calibration
from tests.decisions.classifiers.drawn import ASKED, CLASSES, drawn_part
from tests.decisions.parts import about_generated, answers, asked, fitted, images, settings

KINDS = ("svm", "logistic", "knn")
OPTIONS = [
    ("svm", {"kernel": "rbf"}),
    ("svm", {"C": 0.01}),
    ("svm", {"standardise": True, "C": 0.01}),
    ("svm", {"class_weight": "balanced"}),
    ("logistic", {"C": 0.01}),
    ("logistic", {"standardise": False}),
    ("logistic", {"class_weight": "balanced"}),
    ("knn", {"k": 1}),
    ("knn", {"distance": "cosine"}),
    ("knn", {"distance": "manhattan"}),
    ("knn", {"weights": "distance"}),
    ("knn", {"standardise": True}),
    *((kind, {"fit_on": name}) for kind in KINDS for name in ("generated", "both")),
]


@pytest.mark.filterwarnings("ignore:lbfgs failed")
@pytest.mark.parametrize(("kind", "options"), OPTIONS, ids=str)
def test_each_option_changes_labels(kind, options) -> None:
    part = drawn_part()
    plain, other = (fitted(kind, part, CLASSES, **o).predict(asked(ASKED)).labels for o in ({}, options))
    assert (plain != other).any()


@pytest.mark.parametrize("kind", KINDS)
def test_scores_follow_the_order_of_classes(kind) -> None:
    found = fitted(kind, drawn_part(), CLASSES).predict(asked(ASKED))
    backwards = fitted(kind, drawn_part(), CLASSES[::-1]).predict(asked(ASKED))
    np.testing.assert_allclose(backwards.scores, found.scores[:, ::-1], atol=5e-3)
    assert (np.array(CLASSES)[found.scores.argmax(axis=1)] == found.labels).all()


@pytest.mark.parametrize("kind", KINDS)
def test_bad_training_parts_are_refused(kind) -> None:
    real = drawn_part().real
    single = about_generated(images(real.embeddings, ["t1"] * 90), drawn_part().generated)
    with pytest.raises(FingerprintsError, match="only 't1'"):
        fitted(kind, single, CLASSES)
    constant = about_generated(images(np.ones_like(real.embeddings), real.labels), drawn_part().generated)
    with pytest.raises(FingerprintsError, match="same features"):
        fitted(kind, constant, CLASSES)


class TestOpenSet:
    CENTRES = np.array([[0.0, 0.0], [10.0, 0.0]], dtype=np.float32)

    def decision(self, **options):
        own = settings("centroid", **options)
        return Centroid(settings=own, classes=("t1", "t2"), centroids=self.CENTRES)

    @pytest.mark.parametrize(("share", "kept"), [(0.95, 20), (1.0, 20), (0.5, 11), (0.01, 1), (0.9, 19)])
    def test_the_cut_keeps_the_share(self, share, kept) -> None:
        scores = np.random.default_rng(0).normal(size=(20, 3))
        assert (scores.max(axis=1) >= cut_at(scores, share_known=share)).sum() == kept

    def test_no_cut_for_nothing(self) -> None:
        with pytest.raises(FingerprintsError, match="needs validation images"):
            cut_at(np.zeros((0, 2)), share_known=0.5)

    def test_far_images_are_none_of_these(self) -> None:
        own = settings("centroid", open_set=True)
        decision = Centroid(settings=own, classes=("t1", "t2"), centroids=self.CENTRES, none_below=-3.0)
        points = np.array([[1, 0], [9, 0], [5, 0], [0, 40], [3, 0]], dtype=np.float32)
        found = answers(decision, points)
        assert found.labels.tolist() == ["t1", "t2", "none", "none", "t1"]  # the last just reaches the cut
        np.testing.assert_array_equal(found.scores[:, :2], answers(self.decision(), points).scores)
        np.testing.assert_allclose(found.scores[:, 2], [-5, -5, -1, 34, -3])
        names = np.array(["t1", "t2", "none"])
        assert names[found.scores.argmax(axis=1)].tolist() == found.labels.tolist()

    @pytest.mark.parametrize(("share", "cut"), [(0.95, -19.0), (0.5, -10.0)])
    def test_the_cut_comes_from_validation(self, share, cut) -> None:
        points = np.array([[0, y] for y in range(20)], dtype=np.float32)
        before = self.decision(open_set=True, share_known=share)
        assert not before.calibrated
        unseen = Calibration(answers(before, points).scores, ["t1"] * 20, "validation")
        after = before.calibrate(unseen)
        assert after.calibrated
        assert after.none_below == cut
        closed = self.decision()
        assert closed.calibrated
        assert closed.calibrate(unseen) is closed
