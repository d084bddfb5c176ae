"""Second thoughts on clusters: DBSCAN re-ranking and votes (Csmorgan and SDVAHCS/UCSD in [O24]).

The papers name both and describe neither; the rules here are our reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import DBSCAN
from sklearn.neighbors import NearestNeighbors

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.decisions.cluster import cluster_names
from fingerprints.decisions.part import Answers, Decides
from fingerprints.embeddings.check import check_features

Labels = NDArray[np.str_]


def dense_regions(
    embeddings: NDArray[np.floating], *, quantile: float = 0.5, min_samples: int = 5
) -> NDArray[np.int64]:
    """`(n,)` region of each image by DBSCAN (Ester et al. 1996), -1 for noise.

    The radius is a quantile of the distances to the `min_samples - 1`-th other neighbour, so that this
    share of images is the core of some region, whatever the scale of the features.

    Args:
        embeddings: `(n, d)`.
        quantile: In (0, 1].
        min_samples: Images within the radius, itself among them, that make an image a core; 2 to n.

    Raises:
        FingerprintsError: If an option is out of range.
    """
    n = len(embeddings)
    if not 0 < quantile <= 1 or not 2 <= min_samples <= n:
        raise FingerprintsError(
            f"DBSCAN cannot work on {n} images with quantile={quantile} and min_samples={min_samples}.",
            where="decision.quantile, decision.min_samples",
            fix=f"give a quantile above 0 and at most 1, and min_samples from 2 to {n}",
        )
    search = NearestNeighbors(n_neighbors=min_samples - 1, algorithm="brute").fit(embeddings)
    reach = search.kneighbors()[0][:, -1]  # without arguments, nobody is a neighbour of itself
    # A hair more, because the radius is compared with distances that are computed once more.
    radius = float(np.quantile(reach, quantile)) * (1 + 1e-6)
    # Copies of one image lie at distance 0, where DBSCAN wants a radius above it.
    model = DBSCAN(eps=max(radius, 1e-12), min_samples=min_samples, algorithm="brute")
    return model.fit_predict(embeddings).astype(np.int64)


def rerank(labels: Labels, regions: NDArray[np.int64]) -> Labels:
    """`(n,)` labels where each region has taken its majority's; noise (-1) keeps its own.

    Of labels that are equally frequent in a region the one that sorts first wins.
    """
    out = np.array(labels)
    for region in np.unique(regions[regions >= 0]):
        names, counts = np.unique(labels[regions == region], return_counts=True)
        out[regions == region] = names[counts.argmax()]
    return out


def align(labels: Labels, reference: Labels) -> Labels:
    """`(n,)` labels renamed to those of the reference that they agree with best.

    The Hungarian method pairs names one to one; a name that is left over takes the reference's name that
    it overlaps most with.
    """
    names, codes = np.unique(labels, return_inverse=True)
    targets, target_codes = np.unique(reference, return_inverse=True)
    table = np.zeros((len(names), len(targets)), dtype=np.int64)
    np.add.at(table, (codes, target_codes), 1)
    chosen = table.argmax(axis=1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    chosen[rows] = columns
    return targets[chosen[codes]]


def majority(labels: Sequence[Labels]) -> Labels:
    """`(n,)` most frequent of several labels of each unit; a tie goes to the first voter that is in it.

    Raises:
        FingerprintsError: If there is no voter, or they do not speak of the same number of units.
    """
    if len({len(voter) for voter in labels}) != 1:
        raise FingerprintsError(
            f"A vote needs labels of the same units; there are {[len(voter) for voter in labels]}.",
            where="votes",
            fix="give at least one array of labels, all of one length",
        )
    table = np.stack([np.asarray(voter, dtype=str) for voter in labels])
    support = (table[:, None, :] == table[None, :, :]).sum(axis=1)  # votes for what each voter says
    return table[support.argmax(axis=0), np.arange(table.shape[1])]


def vote(clusterings: Sequence[Labels]) -> Labels:
    """Majority of several clusterings after each is aligned with the first."""
    return majority([clusterings[0], *(align(labels, clusterings[0]) for labels in clusterings[1:])])


def _only_clusters(decisions: Sequence[Decides]) -> None:
    for decision in decisions:
        if not decision.transductive:
            raise FingerprintsError(
                f"Decision '{decision.name}' has labels of its own and is no clustering.",
                where="decision",
                fix="refine and vote over clusterings: kmeans, hierarchical, gmm",
            )


@dataclass(frozen=True)
class DbscanRerankDecision:
    """A clustering whose dense regions have been made of one label each.

    Attributes:
        inner: The earlier clustering.
        quantile: See `dense_regions`.
        min_samples: See `dense_regions`.
    """

    inner: Decides
    quantile: float = 0.5
    min_samples: int = 5

    name: ClassVar[str] = "dbscan_rerank"
    transductive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _only_clusters([self.inner])

    def answer(self, embeddings: NDArray[np.float32]) -> Answers:
        """Clusters of `(n, d)` embeddings.

        Raises:
            FingerprintsError: As the earlier clustering and `dense_regions`.
        """
        check_features(embeddings)
        regions = dense_regions(embeddings, quantile=self.quantile, min_samples=self.min_samples)
        return Answers(_renamed(rerank(self.inner.answer(embeddings).labels, regions)), None)

    def state(self) -> FittedState:
        """What `from_state` needs."""
        facts = {"quantile": self.quantile, "min_samples": self.min_samples}
        return FittedState(self.name, facts).holding(inner=self.inner.state())

    @classmethod
    def from_state(cls, state: FittedState) -> DbscanRerankDecision:
        """The decision that left this state."""
        # The registry knows this class.
        from fingerprints.decisions.registry import restore_clusters

        return cls(
            restore_clusters(state.inside("inner")), state.facts["quantile"], state.facts["min_samples"]
        )


@dataclass(frozen=True)
class VoteDecision:
    """Majority of several clusterings of the same embeddings.

    Attributes:
        members: The clusterings; the first names the clusters and decides ties.
    """

    members: tuple[Decides, ...]

    name: ClassVar[str] = "vote"
    transductive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.members:
            raise FingerprintsError("A vote has no members.", where="decision.members", fix="name some")
        _only_clusters(self.members)

    def answer(self, embeddings: NDArray[np.float32]) -> Answers:
        """Clusters of `(n, d)` embeddings.

        Raises:
            FingerprintsError: As the members.
        """
        return Answers(_renamed(vote([member.answer(embeddings).labels for member in self.members])), None)

    def state(self) -> FittedState:
        """What `from_state` needs."""
        inner = {f"member_{i}": member.state() for i, member in enumerate(self.members)}
        return FittedState(self.name, {"count": len(inner)}).holding(**inner)

    @classmethod
    def from_state(cls, state: FittedState) -> VoteDecision:
        """The decision that left this state."""
        from fingerprints.decisions.registry import restore_clusters

        count = state.facts["count"]
        return cls(tuple(restore_clusters(state.inside(f"member_{i}")) for i in range(count)))


def _renamed(labels: Labels) -> Labels:
    """The same clusters, named by first occurrence again: one may have vanished."""
    return cluster_names(np.unique(labels, return_inverse=True)[1])
