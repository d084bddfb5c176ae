"""Converting states that earlier versions stored to the current format.

The first format has fitted values but no settings; an open set is a decision that wraps another one, and the
decision of `usage` is called `membership`. The second format has settings, but classifiers store scaling and
support vectors as arrays; later, the real images that scale a distance are called its reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fingerprints.core.fitted_state import FittedState
from fingerprints.decisions.classifiers.earlier import model

_CLASSIFIERS = ("centroid", "svm", "logistic", "knn", "head")
_PIPELINES = ("svm", "logistic", "knn")
_CLUSTERINGS = {
    "kmeans": ("init", "restarts", "speed"),
    "hierarchical": ("linkage", "distance"),
    "gmm": ("init", "covariance", "regularise", "restarts"),
}


def upgraded(state: FittedState) -> FittedState:
    """The same state in the current format; a state in the current format is returned unchanged."""
    if "settings" in state.facts:
        return _with_pipeline(_with_scaling(state))
    if state.name == "open_set":
        inner = upgraded(state.inside("inner"))
        settings = {**inner.facts["settings"], "open_set": True}
        facts = {**inner.facts, "settings": settings, "none_below": state.facts["cut"]}
        return FittedState(inner.name, facts, inner.arrays, inner.estimators)
    if state.name in _CLASSIFIERS:
        return _classifier(state)
    if state.name in _CLUSTERINGS:
        options = {key: state.facts[key] for key in _CLUSTERINGS[state.name]}
        return _clustering(state.name, options, state.facts)
    if state.name == "dbscan_rerank":
        inner = state.inside("inner")
        options = {key: state.facts[key] for key in ("quantile", "min_samples")}
        return _clustering(state.name, {**options, "earlier": inner.name}, inner.facts)
    if state.name == "vote":
        members = [state.inside(f"member_{i}") for i in range(state.facts["count"])]
        return _clustering(state.name, {"voters": [m.name for m in members]}, members[0].facts)
    return _membership(state) if state.name == "membership" else state


def _classifier(state: FittedState) -> FittedState:
    facts = dict(state.facts)
    settings: dict[str, Any] = {"name": state.name}
    if state.name == "svm":
        settings["kernel"] = facts.pop("kernel")
    if "C" in facts:
        facts["cost"] = facts.pop("C")
    facts |= {"settings": settings, "none_below": None}
    return _with_pipeline(FittedState(state.name, facts, state.arrays, state.estimators))


def _with_pipeline(state: FittedState) -> FittedState:
    """Convert the state of a classifier from arrays to a scikit-learn pipeline."""
    if state.name not in _PIPELINES or "chosen" in state.facts:
        return state
    facts = dict(state.facts)
    estimator = model(state.name, facts, state.arrays, state.estimators)
    found = {key: facts.pop(key) for key in ("cost", "accuracies") if key in facts}
    facts["chosen"] = found if found.get("accuracies") else {}
    return FittedState(state.name, facts, {}, {"model": estimator})


def _with_scaling(state: FittedState) -> FittedState:
    """`scaled_by` of the distance was called `reference` before scores had reference images."""
    settings = dict(state.facts["settings"])
    if state.name != "distance" or "scaled_by" in settings:
        return state
    settings["scaled_by"] = settings.pop("reference", "none")
    return FittedState(state.name, {**state.facts, "settings": settings}, state.arrays, state.estimators)


def _clustering(name: str, options: dict[str, Any], counted: Mapping[str, Any]) -> FittedState:
    facts = {"settings": {"name": name, **options}, "clusters": counted["clusters"], "seed": counted["seed"]}
    return FittedState(name, facts)


def _membership(state: FittedState) -> FittedState:
    references = state.arrays["references"]
    source = state.facts["threshold_source"]
    settings = {
        "name": "distance",
        **{key: state.facts[key] for key in ("rule", "k", "standardise", "reference_k")},
        "scaled_by": "training" if len(references) else "none",
        "cut": "half" if source == "half" else "out_of_fold",
    }
    arrays = {"learned.references": references, "threshold": state.arrays["threshold"]}
    return FittedState("distance", {"settings": settings, "source": source}, arrays)
