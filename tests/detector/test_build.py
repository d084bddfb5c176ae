from __future__ import annotations

import inspect

import numpy as np
import pytest

from fingerprints.config.schema import options
from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.head import HeadDecision
from fingerprints.decisions.part import EmbeddedPart
from fingerprints.decisions.registry import CLASSIFIERS, CLUSTERINGS
from fingerprints.detector.build import CLUSTERS, NOT_OPTIONS, check_stages, make_decision
from fingerprints.reductions.registry import REDUCTIONS


def config(task="subset", decision="svm", training="frozen", reduction="none", **changes):
    made = {
        "task": task,
        "decision": {"name": decision, "fit_on": "generated" if task == "model" else "real"},
        "training": {"name": training},
        "reduction": {"name": reduction},
    }
    for key, value in changes.items():
        group, name = key.split("__")
        made[group] = {**made[group], name: value}
    return made


def test_what_goes_together_passes():
    check_stages(config())
    check_stages(config(task="usage", decision="membership", training="pairs"))
    check_stages(config(task="model", decision="head", training="classifier"))
    for name in CLUSTERS:
        check_stages(config(task="model", decision=name, reduction="tsne"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "usage"}, "does not answer task 'usage'"),
        ({"decision": "membership"}, "does not answer task 'subset'"),
        ({"task": "usage", "decision": "membership", "training": "classifier"}, "labels real ones"),
        ({"decision": "head"}, "training=frozen makes none"),
        ({"decision": "head", "training": "classifier", "reduction": "pca"}, "not reduced ones"),
        ({"reduction": "tsne"}, "places the images it is asked about"),
        ({"task": "model", "decision__fit_on": "real"}, "no real images"),
        ({"task": "model", "training__fit_on": "real"}, "no real images"),
        ({"task": "model", "decision__open_set": True}, "no 'none of these'"),
    ],
)
def test_what_does_not_go_together_is_said(changes, said):
    with pytest.raises(FingerprintsError, match=said):
        check_stages(config(**changes))


@pytest.fixture
def part():
    rng = np.random.default_rng(0)
    labels = np.repeat(["t1", "t2", "t3"], 8)
    real = rng.normal(size=(24, 5)).astype(np.float32)
    generated = (rng.normal(size=(24, 5)) + 4 * np.eye(5)[np.repeat(range(3), 8)]).astype(np.float32)
    groups = np.array([f"g{i}" for i in range(24)])
    return EmbeddedPart(real, labels, generated, labels, groups, groups)


def settings(name, group="decision"):
    """A stage's configuration as its schema has it."""
    from omegaconf import OmegaConf

    from fingerprints.config.schema import GROUP_SCHEMAS

    made = OmegaConf.to_container(OmegaConf.structured(GROUP_SCHEMAS[group][f"_{name}"]))
    return {**made, "fit_on": "generated"} if "fit_on" in made else made


@pytest.mark.parametrize("name", sorted(set(options("decision")) - {"membership", "head"}))
def test_every_configured_decision_can_be_made_and_asked(name, part):
    decision = make_decision(settings(name), part, None, seed=0)
    found = decision.answer(part.generated)
    assert decision.name == name
    assert decision.transductive == (name in CLUSTERS) == (found.scores is None)
    agree = [len(set(found.labels[at : at + 8])) for at in (0, 8, 16)]
    assert sum(agree) <= 5  # classes that are this far apart come out nearly pure
    assert set(found.labels) <= {"t1", "t2", "t3"} | {f"cluster_{i}" for i in (1, 2, 3)}


@pytest.mark.parametrize("name", sorted({*CLASSIFIERS, *CLUSTERINGS}))
def test_every_key_of_a_decision_is_an_argument_of_it(name):
    made = CLASSIFIERS[name].fit if name in CLASSIFIERS else CLUSTERINGS[name]
    arguments = inspect.signature(made).parameters
    for key, value in settings(name).items():
        if key not in (*NOT_OPTIONS, "fit_on"):
            assert arguments[key].default == value, key


@pytest.mark.parametrize("name", sorted(REDUCTIONS))
def test_every_key_of_a_reduction_is_an_argument_of_it(name):
    arguments = inspect.signature(REDUCTIONS[name].fit).parameters
    keys = settings(name, group="reduction").keys() - {"name"}
    assert keys <= set(arguments)


def test_clusters_may_be_more_than_labels(part):
    decision = make_decision({**settings("kmeans"), "clusters": 5}, part, None, seed=0)
    assert len(set(decision.answer(part.generated).labels)) == 5


def test_the_head_is_the_classifiers_own(part):
    head = HeadDecision(np.eye(2, 5, dtype=np.float32), np.array([0, 9], np.float32), ("a", "b"))
    assert make_decision({"name": "head"}, part, head, seed=0) is head
    assert set(head.answer(part.generated).labels) == {"b"}
