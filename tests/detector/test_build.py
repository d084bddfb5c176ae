from __future__ import annotations

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import build_option, registered
from fingerprints.core.tasks import get_task
from fingerprints.detector.build import check_stages

CLUSTERINGS = sorted(name for name, found in registered("decision").items() if found.transductive)
SCORES = sorted(name for name, found in registered("decision").items() if "usage" in found.tasks)


def check(task="subset", decision="svm", training="frozen", reduction="none", **changes):
    made = {
        "decision": {"name": decision},
        "encoder": {"name": "pixels"},
        "training": {"name": training},
        "reduction": {"name": reduction},
    }
    for key, value in changes.items():
        group, name = key.split("__")
        made[group] = {**made[group], name: value}
    check_stages(
        task=get_task(task), **{group: build_option(group, values) for group, values in made.items()}
    )


def test_what_goes_together_passes():
    check()
    for name in SCORES:
        check(task="usage", decision=name, training="pairs")
    check(task="model", decision="head", training="classifier")
    check(decision="head", training="classifier", decision__open_set=True)
    for name in CLUSTERINGS:
        check(task="model", decision=name, reduction="tsne")
    assert {"kmeans", "vote"} <= set(CLUSTERINGS)
    assert "distance" in SCORES


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "usage"}, "does not answer task 'usage'"),
        ({"task": "usage", "decision": "window_em", "encoder__name": "lbp"}, "needs the pixels"),
        ({"decision": "distance"}, "does not answer task 'subset'"),
        ({"task": "usage", "decision": "distance", "training": "classifier"}, "labels real ones"),
        ({"decision": "head"}, "training=frozen trains none"),
        ({"decision": "head", "training": "classifier", "reduction": "pca"}, "not reduced ones"),
        ({"reduction": "tsne"}, "cannot place new images"),
        ({"task": "model", "decision__fit_on": "real"}, "no real images"),
        ({"task": "model", "training": "classifier", "training__fit_on": "real"}, "no real images"),
        ({"task": "model", "decision__open_set": True}, "does not have the answer 'none of these'"),
    ],
)
def test_what_does_not_go_together_is_said(changes, said):
    with pytest.raises(FingerprintsError, match=said):
        check(**changes)
