"""Which stages go together: said from the configuration alone, before any image is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import build_option, registered
from fingerprints.core.tasks import get_task
from fingerprints.decisions.settings import DecisionSettings, Need
from fingerprints.reductions.registry import REDUCTIONS


def decision_settings(config: Mapping[str, Any]) -> DecisionSettings:
    """The settings of the configured decision."""
    return build_option("decision", config["decision"])


def check_stages(config: Mapping[str, Any]) -> None:
    """Refuse stages that do not fit each other or the task.

    Raises:
        FingerprintsError: If the decision does not answer the task, or a stage needs what an earlier one does
            not give.
    """
    task, decision = get_task(config["task"]), decision_settings(config)
    training = config["training"]["name"]
    if task.name not in decision.tasks:
        wanted = _decisions(lambda found: task.name in found.tasks)
        raise FingerprintsError(
            f"Decision '{decision.name}' does not answer task '{task.name}'.",
            where="decision",
            fix=f"decision={wanted[0]}" if len(wanted) == 1 else f"decision= one of {', '.join(wanted)}",
        )
    if training == "classifier" and task.generated_label is not None:
        raise FingerprintsError(
            f"A classifier learns labels of generated images; task '{task.name}' labels real ones only.",
            where="training",
            fix="training=pairs or training=frozen",
        )
    for need in decision.needs:
        NEEDS[need](config, decision)
    if REDUCTIONS[config["reduction"]["name"]].transductive and not decision.transductive:
        clusterings = _decisions(lambda found: found.transductive)
        raise FingerprintsError(
            f"t-SNE cannot place new images; decision '{decision.name}' needs training images and new ones in"
            " one space.",
            where="reduction",
            fix=f"decision= one of {', '.join(clusterings)}, or reduction=pca",
        )
    if not task.has_real and "real" in (decision.learns_from, config["training"].get("fit_on")):
        raise FingerprintsError(
            f"Task '{task.name}' has no real images to fit on.",
            where="decision.fit_on, training.fit_on",
            fix="decision.fit_on=generated, training.fit_on=generated",
        )
    if decision.may_refuse and not task.open_set:
        raise FingerprintsError(
            f"Task '{task.name}' has no 'none of these'.",
            where="decision.open_set",
            fix="decision.open_set=false",
        )


def _decisions(wanted: Callable[[type[DecisionSettings]], bool]) -> list[str]:
    return sorted(name for name, found in registered("decision").items() if wanted(found))


def _head(config: Mapping[str, Any], decision: DecisionSettings) -> None:
    training = config["training"]["name"]
    if training != "classifier":
        raise FingerprintsError(
            f"Decision '{decision.name}' is a trained classifier's; training={training} makes none.",
            where="decision",
            fix="training=classifier, or another decision (svm, centroid, kmeans)",
        )


def _unreduced(config: Mapping[str, Any], decision: DecisionSettings) -> None:
    if config["reduction"]["name"] != "none":
        raise FingerprintsError(
            f"Decision '{decision.name}' knows the encoder's own embeddings, not reduced ones.",
            where="reduction",
            fix="reduction=none, or another decision",
        )


# What a decision may need of other stages -> the check that refuses a configuration without it.
NEEDS: dict[Need, Callable[[Mapping[str, Any], DecisionSettings], None]] = {
    "head": _head,
    "unreduced": _unreduced,
}
