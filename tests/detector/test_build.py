from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from fingerprints.core import memory
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import build_option, registered
from fingerprints.core.tasks import NOT_USED, USED, get_task
from fingerprints.data.settings import DataSettings
from fingerprints.detector.build import (
    check_error_maps,
    check_reference,
    check_shadow,
    check_stages,
    check_training_reference,
    reference_notes,
)

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
        needs = registered("decision")[name].needs
        if "head" not in needs:
            encoder, training = (
                ("autoencoder", "reconstruction") if "errors" in needs else ("pixels", "pairs")
            )
            check(task="usage", decision=name, training=training, encoder__name=encoder)
    for targets in (["origin"], ["generators", "origin"]):
        check(task="usage", decision="logit", training="classifier", training__targets=targets)
    learnt = {"training__targets": ["generators", "labels"], "training__fit_on": "real"}
    check(task="usage", decision="logit", training="classifier", **learnt)
    check(task="usage", decision="mean_error", encoder__name="autoencoder", training="frozen")
    check(task="model", decision="head", training="classifier")
    check(decision="head", training="classifier", decision__open_set=True)
    for name in CLUSTERINGS:
        check(task="model", decision=name, reduction="tsne")
        check(task="model", decision=name, reduction="pca", reduction__scope="asked")
    assert {"kmeans", "vote"} <= set(CLUSTERINGS)
    assert "distance" in SCORES


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "usage"}, "does not answer task 'usage'"),
        ({"task": "usage", "decision": "window_em", "encoder__name": "lbp"}, "needs the pixels"),
        ({"task": "usage", "decision": "error_map"}, "needs the reconstruction errors"),
        ({"task": "usage", "decision": "distance", "training": "reconstruction"}, "Only an autoencoder"),
        (
            {"task": "usage", "decision": "mean_error", "encoder__name": "autoencoder", "training": "pairs"},
            "Only an autoencoder",
        ),
        (
            {"encoder__name": "autoencoder", "training": "reconstruction"},
            "leaves none to test task 'subset' on",
        ),
        ({"decision": "distance"}, "does not answer task 'subset'"),
        ({"task": "usage", "decision": "distance", "training": "classifier"}, "labels real ones"),
        ({"training": "classifier", "training__targets": ["origin"]}, "labels generated images"),
        ({"task": "usage", "decision": "logit"}, "training=frozen trains none"),
        (
            {
                "task": "usage",
                "decision": "logit",
                "training": "classifier",
                "training__targets": ["generators"],
            },
            "last target is generators",
        ),
        ({"decision": "head"}, "training=frozen trains none"),
        (
            {"decision": "head", "training": "classifier", "reduction": "pca"},
            "not reduced or normalised ones",
        ),
        (
            {"decision": "head", "training": "classifier", "reduction__normalise": "l2"},
            "not reduced or normalised ones",
        ),
        ({"reduction": "tsne"}, "cannot place new images"),
        ({"reduction": "pca", "reduction__scope": "asked"}, "cannot place new images"),
        ({"decision": "kmeans", "decision__cluster_on": "real", "reduction": "tsne"}, "cannot place new"),
        ({"task": "model", "decision": "kmeans", "decision__cluster_on": "both"}, "no real images"),
        ({"task": "model", "decision__fit_on": "real"}, "no real images"),
        ({"task": "model", "training": "classifier", "training__fit_on": "real"}, "no real images"),
        ({"task": "model", "decision__open_set": True}, "does not have the answer 'none of these'"),
    ],
)
def test_what_does_not_go_together_is_said(changes, said):
    with pytest.raises(FingerprintsError, match=said):
        check(**changes)


def test_reference_images_are_refused_or_missed_before_any_image_is_read():
    without, given = (DataSettings(root="D", size=8, sources=(), reference=at) for at in (None, "R"))
    takes = build_option("decision", {"name": "window_em", "reference": "given"})
    check_reference(task=get_task("usage"), decision=takes, data=given)
    with pytest.raises(FingerprintsError, match="no reference images") as error:
        check_reference(task=get_task("usage"), decision=takes, data=without)
    assert "data.reference=DIR" in str(error.value.fix)
    svm = build_option("decision", {"name": "svm"})
    check_reference(task=get_task("subset"), decision=svm, data=without)
    with pytest.raises(FingerprintsError, match="'subset' does not ask which real images were used") as error:
        check_reference(task=get_task("subset"), decision=svm, data=given)
    assert error.value.where == "data.reference"


@pytest.mark.parametrize(
    ("decision", "used"),
    [
        ({"name": "window_em"}, True),
        ({"name": "window_em", "reference": "not_used"}, False),
        ({"name": "window_em", "cut": "half", "reference": "given"}, True),
        ({"name": "distance", "cut": "reference"}, True),
        ({"name": "distance"}, False),
        ({"name": "distance", "scaled_by": "reference"}, True),
        ({"name": "domias"}, True),
        ({"name": "logan", "reference": "not_used"}, False),
        ({"name": "monte_carlo"}, True),
    ],
)
def test_a_reference_that_the_decision_does_not_use_is_noted(decision, used):
    made = build_option("decision", decision)
    without, given = (DataSettings(root="D", size=8, sources=(), reference=at) for at in (None, "R"))
    assert reference_notes(made, without) == []
    notes = reference_notes(made, given)
    assert (notes == []) == used
    assert used or "does not use the reference images" in notes[0]


@pytest.mark.parametrize(("encoder", "side"), [({"side": 8}, 8), ({"side": None}, 10)])
def test_error_maps_too_large_for_the_memory_are_refused_before_the_training(encoder, side, monkeypatch):
    parts = [("train", "a", 3), ("train", "b", 5), ("test", "a", 4)]
    table = pd.DataFrame([(split, generator) for split, generator, n in parts for _ in range(n)])
    table.columns = ["split", "generator"]
    index = SimpleNamespace(select=lambda: table)
    needed = 4 * side**2 * (3 + 5 + 4 + 5)  # all maps, and those of the largest training part once more
    monkeypatch.setattr(memory, "SMALL", 0)
    autoencoder = build_option("encoder", {"name": "autoencoder", **encoder})
    monkeypatch.setattr(memory, "available_memory", lambda: needed)
    check_error_maps(autoencoder, index, size=10)
    monkeypatch.setattr(memory, "available_memory", lambda: needed - 1)
    with pytest.raises(FingerprintsError, match=rf"12 images \(error maps of {side} x {side}\) needs about"):
        check_error_maps(autoencoder, index, size=10)
    check_error_maps(build_option("encoder", {"name": "pixels"}), index, size=10)


def test_a_reference_that_the_training_part_lacks_is_missed_before_any_work(usage_root, prepared):
    root, elsewhere = usage_root(per_class=4, test=4), usage_root(per_class=4, test=0, name="R", seed=1)
    domias, lacking = build_option("decision", {"name": "domias"}), prepared(root, "usage")[0]
    check_training_reference(domias, lacking)
    lacking.table.loc[lacking.table["label"] == NOT_USED, "label"] = USED
    with pytest.raises(FingerprintsError, match="no unused real images") as error:
        check_training_reference(domias, lacking)
    assert "data.reference=DIR" in str(error.value.fix)
    check_training_reference(build_option("decision", {"name": "monte_carlo"}), lacking)
    having, _ = prepared(root, "usage", reference=elsewhere / "real_not_used")
    having.table.loc[having.table["label"] == NOT_USED, "label"] = USED
    check_training_reference(domias, having)


def test_members_are_no_reference_for_images_of_the_same_patients(usage_root, prepared):
    root = usage_root(per_class=4, test=4, groups=False)
    takes = build_option("decision", {"name": "domias", "reference": "real"})
    index, _ = prepared(root, "usage")
    check_training_reference(takes, index)
    index.table.loc[index.table["domain"] == "real", "group"] = "one patient"
    with pytest.raises(FingerprintsError, match=r"share 1 patient"):
        check_training_reference(takes, index)


def test_shadow_generators_are_refused_or_missed_before_any_image_is_read():
    without, given = (DataSettings(root="D", size=8, sources=(), shadow=at) for at in (None, "S"))
    shadow, distance = (build_option("decision", {"name": name}) for name in ("shadow", "distance"))
    check_shadow(task=get_task("usage"), decision=shadow, data=given)
    check_shadow(task=get_task("usage"), decision=distance, data=without)
    with pytest.raises(FingerprintsError, match="'shadow' needs shadow generators") as error:
        check_shadow(task=get_task("usage"), decision=shadow, data=without)
    assert "simulate task=shadow" in str(error.value.fix)
    with pytest.raises(FingerprintsError, match="'distance' does not use shadow generators"):
        check_shadow(task=get_task("usage"), decision=distance, data=given)
