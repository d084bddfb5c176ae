"""Every decision by its name, to make one from a configuration or from what it left on disk."""

from __future__ import annotations

from dataclasses import replace

from fingerprints.core.errors import FingerprintsError, nearest
from fingerprints.core.fitted_state import FittedState
from fingerprints.decisions.centroid import CentroidDecision
from fingerprints.decisions.classify import LogisticDecision, NeighboursDecision, SVMDecision
from fingerprints.decisions.cluster import HierarchicalDecision, KMeansDecision, MixtureDecision
from fingerprints.decisions.head import HeadDecision
from fingerprints.decisions.membership import MembershipDecision
from fingerprints.decisions.open_set import OpenSetDecision
from fingerprints.decisions.part import Classifies, Decides
from fingerprints.decisions.refine import DbscanRerankDecision, VoteDecision

Classifier = (
    CentroidDecision | SVMDecision | LogisticDecision | NeighboursDecision | HeadDecision | OpenSetDecision
)
Clusters = KMeansDecision | HierarchicalDecision | MixtureDecision | DbscanRerankDecision | VoteDecision
Decision = Classifier | Clusters | MembershipDecision

# Fitted on labelled images: `X.fit(part, classes, fit_on=, seed=, ...)`.
CLASSIFIERS: dict[str, type[CentroidDecision | SVMDecision | LogisticDecision | NeighboursDecision]] = {
    kind.name: kind for kind in (CentroidDecision, SVMDecision, LogisticDecision, NeighboursDecision)
}
# Fitted on nothing: `X(clusters, seed=, ...)`.
CLUSTERINGS: dict[str, type[KMeansDecision | HierarchicalDecision | MixtureDecision]] = {
    kind.name: kind for kind in (KMeansDecision, HierarchicalDecision, MixtureDecision)
}
DECISIONS: dict[str, type[Decision]] = {
    **CLASSIFIERS,
    **CLUSTERINGS,
    **{
        kind.name: kind
        for kind in (MembershipDecision, HeadDecision, OpenSetDecision, DbscanRerankDecision, VoteDecision)
    },
}


def resized(decision: Clusters, clusters: int) -> Clusters:
    """The same clustering with another number of clusters; so are those inside it."""
    if isinstance(decision, DbscanRerankDecision):
        return replace(decision, inner=resized(_clustering(decision.inner), clusters))
    if isinstance(decision, VoteDecision):
        return replace(
            decision, members=tuple(resized(_clustering(member), clusters) for member in decision.members)
        )
    return replace(decision, clusters=clusters)


def _clustering(decision: Decides | Decision) -> Clusters:
    assert isinstance(decision, Clusters)
    return decision


def restore(state: FittedState) -> Decision:
    """The decision that left this state.

    Raises:
        FingerprintsError: If no decision has its name.
    """
    if state.name not in DECISIONS:
        near = nearest(state.name, DECISIONS)
        raise FingerprintsError(
            f"There is no decision '{state.name}'.",
            where="name of the decision",
            fix=f"one of {', '.join(DECISIONS)}" + (f"; did you mean '{near[0]}'?" if near else ""),
        )
    return DECISIONS[state.name].from_state(state)


def restore_classifier(state: FittedState) -> Classifies:
    """As `restore`, of one with classes."""
    decision = restore(state)
    assert isinstance(decision, Classifier)
    return decision


def restore_clusters(state: FittedState) -> Decides:
    """As `restore`, of a clustering."""
    return _clustering(restore(state))
