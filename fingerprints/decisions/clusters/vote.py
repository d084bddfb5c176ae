"""Majority of several clusterings (SDVAHCS/UCSD and Csmorgan in [O24])."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fingerprints.decisions.clusters.clustering import Clustering
from fingerprints.decisions.clusters.labels import Labels, renamed, vote
from fingerprints.decisions.clusters.member import member, member_memory
from fingerprints.decisions.contract import Embeddings
from fingerprints.decisions.settings import VoteSettings


@dataclass(frozen=True, kw_only=True)
class Vote(Clustering):
    """Majority of several clusterings of the same embeddings, with their default settings.

    The first voter names the clusters and decides ties.
    """

    settings: VoteSettings
    smaller: ClassVar[str] = "leave the largest clustering out of decision.voters, or use fewer images"

    @classmethod
    def memory(cls, settings: Any, *, images: int, width: int, clusters: int) -> int:
        """That of the largest voter; they work one after another."""
        return max(member_memory(n, images=images, width=width, clusters=clusters) for n in settings.voters)

    def cluster(self, embeddings: Embeddings) -> Labels:
        """Clusters of `(n, d)` embeddings.

        Raises:
            FingerprintsError: If a voter raises it.
        """
        voters = [member(name, clusters=self.clusters, seed=self.seed) for name in self.settings.voters]
        return renamed(vote([voter.cluster(embeddings) for voter in voters]))
