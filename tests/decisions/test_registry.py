"""Every decision comes back from disk and answers the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState, load_fitted, save_fitted
from fingerprints.core.options import registered
from fingerprints.decisions.contract import Calibration, Fitting
from fingerprints.decisions.registry import fit_decision, restore_decision
from fingerprints.encoders.head import Head
from tests.decisions.parts import about_generated, about_real, answers, images, settings

RNG = np.random.default_rng(0)
CLASSES = ("a", "b", "c")
USAGE = ("not_used", "used")
LABELS = np.array(["a", "b", "c"] * 20)
POINTS = (RNG.normal(size=(60, 4)) + 0.8 * np.repeat([[1, 2, 3]] * 20, 1, axis=0).reshape(60, 1)).astype(
    np.float32
)
PICTURES = RNG.random(size=(60, 64), dtype=np.float32)  # 8 x 8
PART = about_generated(images(POINTS[:40], LABELS[:40]), images(POINTS[40:], LABELS[40:]))
HEAD = Head(RNG.normal(size=(3, 4)).astype(np.float32), np.zeros(3, np.float32), CLASSES)
MORE: list[tuple[str, dict[str, Any]]] = [
    ("svm", {"standardise": True}),
    ("svm", {"kernel": "rbf", "C": None}),
    ("centroid", {"open_set": True, "share_known": 0.7}),
    ("logistic", {"open_set": True, "share_known": 0.7}),
    ("kmeans", {"init": "random", "restarts": 2, "clusters": 4}),
    ("hierarchical", {"linkage": "average", "distance": "cosine"}),
    ("gmm", {"init": "random_from_data", "covariance": "tied"}),
    ("dbscan_rerank", {"quantile": 0.7, "min_samples": 3, "earlier": "hierarchical"}),
    ("vote", {"voters": ("hierarchical", "gmm")}),
]
OF_GENERATED = [name for name, found in registered("decision").items() if "subset" in found.tasks]


def made(name: str, **options: Any) -> Any:
    fitting = Fitting(part=PART, classes=CLASSES, head=HEAD, seed=3)
    decision = fit_decision(settings(name, **options), fitting)
    if options.get("open_set"):
        unseen = Calibration(answers(decision, POINTS).scores, LABELS.tolist(), "validation")
        decision = decision.calibrate(unseen)
    return decision


@pytest.mark.parametrize(("name", "options"), [*((name, {}) for name in OF_GENERATED), *MORE], ids=str)
def test_answers_survive_the_disk(name: str, options: dict, tmp_path: Path) -> None:
    decision = made(name, **options)
    save_fitted(decision.state(), tmp_path / "deep", stem="decision")
    again = restore_decision(load_fitted(tmp_path / "deep", stem="decision"))
    assert type(again) is type(decision)
    assert again.settings == decision.settings
    one, two = answers(decision, POINTS), answers(again, POINTS)
    assert one.labels.tolist() == two.labels.tolist()
    assert len(set(one.labels)) > 1
    assert (one.scores is None) == decision.settings.transductive
    if one.scores is not None:
        np.testing.assert_allclose(one.scores, two.scores, rtol=1e-12)  # memory layouts may differ


@pytest.mark.parametrize("name", sorted(registered("decision")))
def test_every_decision_answers_one_of_its_tasks_and_says_what_it_needs(name: str) -> None:
    found = registered("decision")[name]
    assert found.name == name
    assert set(found.tasks) <= {"usage", "subset", "model"}
    part, shadow = PART, ()
    if found.tasks == ("usage",):
        labels = (["used", "not_used"] * 20, ["not_used", "used"] * 20)
        shadow = tuple(about_real(images(PICTURES[:40], own), images(PICTURES[40:])) for own in labels)
        part = shadow[0]
    head = (
        HEAD
        if "usage" not in found.tasks
        else Head(RNG.normal(size=(2, 64)).astype(np.float32), np.zeros(2, np.float32), USAGE)
    )
    fitting = Fitting(part=part, classes=head.classes, head=head, generators=shadow)
    assert len(fit_decision(settings(name), fitting).predict(part).labels) == len(part.queries)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(FingerprintsError, match=r"'kmean'(.|\n)*kmeans"):
        restore_decision(FittedState("kmean"))
