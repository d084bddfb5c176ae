"""Clustering in which each dense region gets one label (Csmorgan in [O24]).

The paper names DBSCAN re-ranking of earlier submissions but does not describe it; the rule here is our
interpretation. The earlier answers are those of a finished run, or of another clustering.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN
from sklearn.neighbors import NearestNeighbors

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.fitted_state import FittedState
from fingerprints.core.tasks import Task
from fingerprints.data.runfiles import read_labels
from fingerprints.decisions.clusters.clustering import Clustering
from fingerprints.decisions.clusters.labels import Labels, align, renamed
from fingerprints.decisions.clusters.member import member, member_memory
from fingerprints.decisions.contract import Embeddings, Fitting
from fingerprints.decisions.settings import DbscanRerankSettings, DecisionSettings
from fingerprints.runs.folder import PREDICTIONS, read_run
from fingerprints.runs.status import FINISHED


def dense_regions(
    embeddings: NDArray[np.floating], *, quantile: float = 0.5, min_samples: int = 5
) -> NDArray[np.int64]:
    """`(n,)` region of each image by DBSCAN (Ester et al. 1996), -1 for noise.

    The radius is a quantile of the distances from each image to its neighbour number `min_samples - 1`. So
    this share of images are core points of a region, whatever the scale of the features.

    Args:
        embeddings: `(n, d)`.
        quantile: In (0, 1].
        min_samples: Number of images within the radius, itself included, that make an image a core point;
            2 to n.

    Raises:
        FingerprintsError: If an option is out of range.
    """
    n = len(embeddings)
    if not 0 < quantile <= 1 or not 2 <= min_samples <= n:
        raise FingerprintsError(
            f"DBSCAN cannot use quantile={quantile} and min_samples={min_samples} on {n} images.",
            where="decision.quantile, decision.min_samples",
            fix=f"give a quantile above 0 and at most 1, and min_samples from 2 to {n}",
        )
    search = NearestNeighbors(n_neighbors=min_samples - 1, algorithm="brute").fit(embeddings)
    reach = search.kneighbors()[0][:, -1]  # without arguments, an image is not its own neighbour
    # Slightly more: DBSCAN computes the distances again, and rounding may differ.
    radius = float(np.quantile(reach, quantile)) * (1 + 1e-6)
    # Copies of an image have distance 0, but DBSCAN needs a radius above 0.
    model = DBSCAN(eps=max(radius, 1e-12), min_samples=min_samples, algorithm="brute")
    return model.fit_predict(embeddings).astype(np.int64)


def rerank(labels: Labels, regions: NDArray[np.int64]) -> Labels:
    """`(n,)` labels: each region gets its majority label; noise (-1) keeps its own labels.

    If labels are equally frequent in a region, the first in sorted order wins.
    """
    out = np.array(labels)
    for region in np.unique(regions[regions >= 0]):
        names, counts = np.unique(labels[regions == region], return_counts=True)
        out[regions == region] = names[counts.argmax()]
    return out


@dataclass(frozen=True, kw_only=True)
class DbscanRerank(Clustering):
    """Earlier answers; each dense region then gets its majority label.

    Attributes:
        answers: The label that the earlier run gives to each id; `None` without such a run. Other images get
            the cluster of `settings.earlier` (with its default settings), under the run's label that it
            agrees with best.
    """

    settings: DbscanRerankSettings
    answers: Mapping[str, str] | None = None
    smaller: ClassVar[str] = "choose a smaller decision.earlier, such as kmeans, or use fewer images"

    @classmethod
    def memory(cls, settings: Any, *, images: int, width: int, clusters: int) -> int:
        """That of the earlier clustering."""
        return member_memory(settings.earlier, images=images, width=width, clusters=clusters)

    @classmethod
    def check(
        cls, settings: DecisionSettings, *, task: Task, asked: Collection[str], known: Collection[str]
    ) -> None:
        """Refuse an earlier run of another task, or about other images."""
        assert isinstance(settings, DbscanRerankSettings)
        if settings.run is None:
            return
        where = f"decision.run={settings.run}"
        answers = earlier_answers(settings.run, task)
        if settings.cluster_on == "real":
            raise FingerprintsError(
                "The earlier run answers about generated images, but only real images are clustered.",
                where=f"{where}, decision.cluster_on=real",
                fix="decision.cluster_on=generated",
            )
        if asked and answers.keys().isdisjoint(asked):
            raise FingerprintsError(
                "The earlier run has none of the test part's images: it has "
                f"{_some(answers)}, and the test part has {_some(asked)}.",
                where=where,
                fix="give a run on the same data",
            )
        if both := answers.keys() & set(known):
            raise FingerprintsError(
                f"{len(both):,} image(s) of the training part have the ids of images that the earlier run "
                f"answers about: {_some(both)}.",
                where=where,
                fix="rename the images of one part, so that an id names one image",
            )

    @classmethod
    def fit(cls, settings: DecisionSettings, fitting: Fitting) -> Self:
        """As other clusterings; the answers of the earlier run are read and kept.

        Raises:
            FingerprintsError: If the run is missing or has no answers.
        """
        assert isinstance(settings, DbscanRerankSettings)
        answers = None if settings.run is None else earlier_answers(settings.run)
        return replace(super().fit(settings, fitting), answers=answers)

    def cluster(self, embeddings: Embeddings) -> Labels:
        """Clusters of `(n, d)` embeddings of images without ids; see `cluster_images`."""
        return self.cluster_images(embeddings, np.empty(0, dtype=str))

    def cluster_images(self, embeddings: Embeddings, ids: Labels) -> Labels:
        """Clusters of `(n, d)` embeddings with ids `(n,)`, or `(0,)` if these are unknown.

        Raises:
            FingerprintsError: If the earlier clustering or `dense_regions` raises it.
        """
        settings = self.settings
        regions = dense_regions(embeddings, quantile=settings.quantile, min_samples=settings.min_samples)
        return renamed(rerank(self._earlier(embeddings, ids), regions))

    def _earlier(self, embeddings: Embeddings, ids: Labels) -> Labels:
        """`(n,)` labels of the earlier run where it has them, else of the earlier clustering."""
        answers = self.answers or {}
        given = np.array([answers.get(name, "") for name in ids.tolist()] or [""] * len(embeddings))
        known = given != ""
        if known.all():
            return given
        clusters = member(self.settings.earlier, clusters=self.clusters, seed=self.seed).cluster(embeddings)
        if not known.any():
            return clusters
        names = dict(zip(clusters[known], align(clusters[known], given[known]), strict=True))
        alike = [names.get(cluster, f"{cluster} of {self.settings.earlier}") for cluster in clusters]
        return np.where(known, given, alike)

    def _facts(self) -> dict[str, Any]:
        facts = super()._facts()
        return facts if self.answers is None else {**facts, "answers": dict(self.answers)}

    @classmethod
    def from_state(cls, state: FittedState) -> Self:
        """Restore the decision; the earlier run itself is not needed again."""
        return replace(super().from_state(state), answers=state.facts.get("answers"))


def earlier_answers(folder: Path, task: Task | None = None) -> dict[str, str]:
    """The label of each id in the `predictions.csv` of a finished run.

    Args:
        folder: The run folder.
        task: The task that it must have.

    Raises:
        FingerprintsError: If there is no such run, it has another task, or it has no predictions.
    """
    where = f"decision.run={folder}"
    try:
        record = read_run(folder)
    except FingerprintsError as error:
        raise FingerprintsError(error.what, where=where, fix=error.fix) from None
    if task is not None and record.task_name != task.name:
        raise FingerprintsError(
            f"The earlier run has task '{record.task_name}', and this one '{task.name}'.",
            where=where,
            fix=f"give a run of task '{task.name}'",
        )
    if record.state != FINISHED or not (folder / PREDICTIONS).is_file():
        raise FingerprintsError(
            f"The earlier run has no predictions of a test part (its state: {record.state}).",
            where=where,
            fix="give a finished run on data with a test part",
        )
    table = read_labels(folder / PREDICTIONS, record.task, kind="run file", header=True)
    return dict(zip(table.ids, table.labels, strict=True))


def _some(ids: Collection[str]) -> str:
    first = sorted(ids)[:3]
    return ", ".join(first) + (", ..." if len(ids) > len(first) else "")
