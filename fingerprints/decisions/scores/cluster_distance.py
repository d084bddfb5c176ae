"""Distance from a real image to clusters of generated images (AI Multimedia Lab [A24]).

One distance and one number of clusters serve all generators of a run. The source says neither what a
distance to a cluster is (here: Euclidean, to the centroid) nor where the threshold lies; its printed figures
have equal precision and recall, as the median of the scores gives. A part with fewer generated images than
clusters has a cluster for each image.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import f1_score
from sklearn.metrics.pairwise import euclidean_distances

from fingerprints.core.memory import require_memory
from fingerprints.core.tasks import USED
from fingerprints.decisions.clusters.hierarchical import Hierarchical, cut_tree, merge_tree
from fingerprints.decisions.contract import Embeddings, Fitting, Part
from fingerprints.decisions.cuts import threshold_of
from fingerprints.decisions.scores.needed import needed
from fingerprints.decisions.scores.settings import ClusterDistanceSettings

DISTANCES = ("min", "avg")
NUMBERS = (*range(2, 11), *range(12, 21, 2), *range(25, 101, 5))  # numbers of clusters to choose from

Codes = NDArray[np.integer]


def learn(settings: ClusterDistanceSettings, fitting: Fitting) -> dict[str, NDArray[Any]]:
    """The distance and the number of clusters with the highest mean F1 on all generators' training parts.

    F1 is that of the training part's real images, half of which are called used, as published. Of equal
    pairs, the one with fewer clusters is chosen, then `min`. Numbers of clusters above a part's number of
    generated images are left out.

    Returns:
        `distance` (1,), place in `DISTANCES`; `k` (1,); `seed` (1,) of k-means; if there was a choice, also
        `numbers` (m,) of clusters, `distances` (q,), places in `DISTANCES`, and `f1` (m, q, g) for g
        generators, the run's own one first.

    Raises:
        FingerprintsError: If a training part has no generated images, or memory is short.
    """
    parts = (fitting.part, *fitting.others)
    numbers = NUMBERS if settings.k is None else (settings.k,)
    fewest = min(len(part.generated) for part in parts)
    numbers = tuple(k for k in numbers if k <= fewest) or numbers[:1]
    distances = DISTANCES if settings.distance is None else (settings.distance,)
    places = np.array([DISTANCES.index(name) for name in distances])
    row, column, table = 0, 0, {}
    if len(numbers) * len(distances) > 1:
        found = [_training_f1(settings, part, numbers, distances, seed=fitting.seed) for part in parts]
        f1 = np.stack(found, axis=-1)
        # Sorted, so that rounding is the same whichever generator comes first.
        row, column = divmod(int(np.argmax(np.sort(f1, axis=-1).mean(axis=-1))), len(distances))
        table = {"numbers": np.array(numbers), "distances": places, "f1": f1}
    chosen = {"k": numbers[row], "distance": places[column], "seed": fitting.seed}
    return {name: np.array([value]) for name, value in chosen.items()} | table


def score(
    settings: ClusterDistanceSettings, part: Part, learned: Mapping[str, NDArray[Any]]
) -> NDArray[np.float64]:
    """`(n,)` minus the distance of each query to the centroids of the clusters of the generated images.

    Raises:
        FingerprintsError: If there are no generated images, or memory is short.
    """
    k, distance = int(learned["k"][0]), DISTANCES[int(learned["distance"][0])]
    made = part.references.embeddings
    codes = _clusters(settings, made, seed=int(learned["seed"][0]))(k)
    return -_away(part.queries.embeddings, _centroids(made, codes))[distance]


def tell(settings: ClusterDistanceSettings, learned: Mapping[str, NDArray[Any]]) -> str:
    """The chosen distance and number of clusters, and the best figures of each distance."""
    k, distance = int(learned["k"][0]), DISTANCES[int(learned["distance"][0])]
    chosen = f"{distance} distance to {k} clusters ({settings.clustering})"
    if "f1" not in learned:
        return chosen
    means = learned["f1"].mean(axis=-1)
    places, numbers = learned["distances"], learned["numbers"]
    best = [
        f"{DISTANCES[place]} {means[row, column]:.4f} with {numbers[row]}"
        for column, place in enumerate(places)
        for row in [int(means[:, column].argmax())]
    ]
    own = learned["f1"][list(numbers).index(k), list(places).index(learned["distance"][0])]
    figures = f"F1 on the training part: {own[0]:.4f}"
    if len(own) > 1:
        each = ", ".join(f"{value:.4f}" for value in own)
        figures = f"mean F1 on the training parts: {own.mean():.4f} ({each}, this generator first)"
    return f"{chosen}, chosen of {means.size} by {figures}; best of each distance: {'; '.join(best)}"


def _training_f1(
    settings: ClusterDistanceSettings,
    part: Part,
    numbers: Sequence[int],
    distances: Sequence[str],
    *,
    seed: int,
) -> NDArray[np.float64]:
    """`(m, q)` F1 of a training part's real images for each number of clusters and each distance."""
    made, used = part.generated.embeddings, part.real.labels == USED
    clusters = _clusters(settings, made, seed=seed)
    out = np.empty((len(numbers), len(distances)))
    for row, k in enumerate(numbers):
        away = _away(part.real.embeddings, _centroids(made, clusters(k)))
        for column, name in enumerate(distances):
            called = -away[name] >= threshold_of("half", -away[name], known=np.nan)
            out[row, column] = f1_score(used, called, zero_division=0.0)
    return out


def _clusters(settings: ClusterDistanceSettings, made: Embeddings, *, seed: int) -> Callable[[int], Codes]:
    """Function from a number of clusters to `(n,)` codes of the generated images `(n, d)`."""
    needed(made, least=1, kind="generated")
    if settings.clustering == "kmeans":
        return lambda k: KMeans(min(k, len(made)), random_state=seed).fit_predict(made)
    require_memory(
        Hierarchical.memory(settings, images=len(made), width=made.shape[1], clusters=max(NUMBERS)),
        purpose=f"clustering {len(made):,} generated images",
        where="decision.clustering",
        fix="decision.clustering=kmeans, or use fewer generated images",
    )
    if len(made) == 1:
        return lambda k: np.zeros(1, dtype=np.int64)
    merges = merge_tree(made)  # one tree serves all numbers of clusters
    return lambda k: cut_tree(merges, clusters=min(k, len(made)))


def _centroids(made: Embeddings, codes: Codes) -> NDArray[np.float64]:
    """`(k, d)` mean of each cluster of images `(n, d)` with codes `(n,)`."""
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(codes.max() + 2))
    return np.stack(
        [made[order[start:end]].mean(axis=0, dtype=np.float64) for start, end in itertools.pairwise(bounds)]
    )


def _away(queries: Embeddings, centroids: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """`(n,)` distances of queries `(n, d)` to the nearest centroid, and mean over all centroids."""
    distances = euclidean_distances(queries.astype(np.float64), centroids)
    return {"min": distances.min(axis=1), "avg": distances.mean(axis=1)}
