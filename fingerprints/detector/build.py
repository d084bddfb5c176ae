"""Which stages go together, and decisions made from their configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fingerprints.core.errors import FingerprintsError
from fingerprints.decisions.head import HeadDecision
from fingerprints.decisions.membership import MembershipDecision
from fingerprints.decisions.part import EmbeddedPart
from fingerprints.decisions.refine import DbscanRerankDecision, VoteDecision
from fingerprints.decisions.registry import CLASSIFIERS, CLUSTERINGS, Clusters, Decision

CLUSTERS = (*CLUSTERINGS, DbscanRerankDecision.name, VoteDecision.name)
NOT_OPTIONS = ("name", "fit_on", "open_set", "share_known", "clusters")


def check_stages(config: Mapping[str, Any]) -> None:
    """What a configuration's stages alone give away.

    Raises:
        FingerprintsError: If the decision does not answer the task, or a stage asks for what an earlier one
            does not give.
    """
    task, decision, training = config["task"], config["decision"], config["training"]["name"]
    name = decision["name"]
    wanted = ("membership",) if task == "usage" else (*CLASSIFIERS, *CLUSTERS, "head")
    if name not in wanted:
        raise FingerprintsError(
            f"Decision '{name}' does not answer task '{task}'.",
            where="decision",
            fix=f"decision={wanted[0]}" if len(wanted) == 1 else f"decision= one of {', '.join(wanted)}",
        )
    if task == "usage" and training == "classifier":
        raise FingerprintsError(
            "A classifier's labels are those of generated images; task 'usage' labels real ones.",
            where="training",
            fix="training=pairs or training=frozen",
        )
    if name == "head" and training != "classifier":
        raise FingerprintsError(
            f"Decision 'head' is a trained classifier's; training={training} makes none.",
            where="decision",
            fix="training=classifier, or another decision (svm, centroid, kmeans)",
        )
    if name == "head" and config["reduction"]["name"] != "none":
        raise FingerprintsError(
            "A classifier's head knows its own embeddings, not reduced ones.",
            where="reduction",
            fix="reduction=none, or another decision",
        )
    if config["reduction"]["name"] == "tsne" and name not in CLUSTERS:
        raise FingerprintsError(
            f"A t-SNE places the images it is asked about, together; decision '{name}' wants places that "
            "training images have, too.",
            where="reduction",
            fix=f"decision= one of {', '.join(CLUSTERS)}, or reduction=pca",
        )
    if task == "model" and "real" in (decision.get("fit_on"), config["training"].get("fit_on")):
        raise FingerprintsError(
            "Task 'model' has no real images to fit on.",
            where="decision.fit_on, training.fit_on",
            fix="decision.fit_on=generated, training.fit_on=generated",
        )
    if decision.get("open_set") and task != "subset":
        raise FingerprintsError(
            f"Task '{task}' has no 'none of these'.", where="decision.open_set", fix="decision.open_set=false"
        )


def make_decision(
    settings: Mapping[str, Any], part: EmbeddedPart, head: HeadDecision | None, *, seed: int
) -> Decision:
    """The configured decision, fitted on a training part as far as it is fitted at all.

    Args:
        settings: The `decision` configuration.
        part: The training part, reduced.
        head: The last layer of the encoder, where it was trained as a classifier.
        seed: Seed of the run.

    Raises:
        FingerprintsError: If the part has no images that it can be fitted on.
    """
    name = settings["name"]
    options = {key: value for key, value in settings.items() if key not in NOT_OPTIONS}
    if name == MembershipDecision.name:
        source = "half" if options.pop("threshold") == "half" else "out_of_fold"
        return MembershipDecision.fit(part, threshold_source=source, **options)
    if name == HeadDecision.name:
        if head is None:
            raise ValueError("decision 'head' needs a trained classifier")
        return head
    labels = sorted({*part.real_labels, *part.generated_labels} - {""})
    if name in CLASSIFIERS:
        return CLASSIFIERS[name].fit(part, labels, fit_on=settings["fit_on"], seed=seed, **options)
    clusters = len(labels) if settings["clusters"] is None else settings["clusters"]
    return _clustering(settings, options, clusters, seed=seed)


def _clustering(
    settings: Mapping[str, Any], options: dict[str, Any], clusters: int, *, seed: int
) -> Clusters:
    if settings["name"] == DbscanRerankDecision.name:
        inner = CLUSTERINGS[options.pop("earlier")](clusters, seed=seed)
        return DbscanRerankDecision(inner, **options)
    if settings["name"] == VoteDecision.name:
        return VoteDecision(tuple(CLUSTERINGS[voter](clusters, seed=seed) for voter in options["voters"]))
    return CLUSTERINGS[settings["name"]](clusters, seed=seed, **options)
