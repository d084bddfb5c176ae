"""Distance to clusters of generated images, against scikit-learn and loops; one choice for all generators."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering, KMeans

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.contract import Fitting, Part
from fingerprints.decisions.registry import fit_decision, restore_decision
from fingerprints.decisions.scores.cluster_distance import DISTANCES, NUMBERS
from tests.decisions.parts import fitted, settings
from tests.decisions.scores.test_distance import part

CLASSES = (NOT_USED, USED)


def naive_scores(own: Part, codes: np.ndarray, distance: str) -> np.ndarray:
    """Minus the least or the mean distance of each real image to the mean of each cluster."""
    made = own.references.embeddings.astype(float)
    centroids = [made[codes == code].mean(axis=0) for code in sorted(set(codes))]
    away = [
        [float(np.sqrt(((image - centre) ** 2).sum())) for centre in centroids]
        for image in own.queries.embeddings.astype(float)
    ]
    return -np.array([min(row) if distance == "min" else sum(row) / len(row) for row in away])


def naive_f1(own: Part, k: int, distance: str) -> float:
    """F1 of calling the upper half used."""
    codes = AgglomerativeClustering(k).fit_predict(own.references.embeddings)
    scores = naive_scores(own, codes, distance)
    called = scores >= np.median(scores)
    used = own.queries.labels == USED
    right, wrong, missed = (called & used).sum(), (called & ~used).sum(), (~called & used).sum()
    return float(2 * right / (2 * right + wrong + missed))


def decided(own: Part, *others: Part, **options):
    made = settings("cluster_distance", **options)
    return fit_decision(made, Fitting(part=own, classes=CLASSES, others=others))


@pytest.mark.parametrize(("k", "distance"), [(1, "min"), (2, "avg"), (6, "min"), (6, "avg"), (15, "min")])
def test_scores_are_minus_the_distance_to_the_centroids(k: int, distance: str) -> None:
    own = part(3)
    found = fitted("cluster_distance", own, CLASSES, k=k, distance=distance).predict(own)
    codes = AgglomerativeClustering(k).fit_predict(own.references.embeddings)
    np.testing.assert_allclose(found.scores, naive_scores(own, codes, distance), atol=1e-6)
    assert (found.labels == USED).sum() == len(own.queries) / 2


def test_clusters_of_k_means() -> None:
    own = part(3)
    found = fitted("cluster_distance", own, CLASSES, seed=5, k=4, distance="avg", clustering="kmeans")
    codes = KMeans(4, random_state=5).fit_predict(own.references.embeddings)
    np.testing.assert_allclose(found.scores(own), naive_scores(own, codes, "avg"), atol=1e-6)


def test_one_choice_for_both_generators_is_that_of_a_loop() -> None:
    parts = [part(4, real=40, generated=30), part(9, real=24, generated=22)]
    numbers = [k for k in NUMBERS if k <= 22]
    pairs = list(itertools.product(numbers, DISTANCES))
    table = np.array([[naive_f1(own, *pair) for own in parts] for pair in pairs])
    best = pairs[int(np.argmax(table.mean(axis=1)))]
    alone = [pairs[int(np.argmax(column))] for column in table.T]
    assert best not in alone  # otherwise this test could not tell a choice for each from one for both
    for own, other in (parts, parts[::-1]):
        made = decided(own, other)
        assert (made.learned["k"][0], DISTANCES[made.learned["distance"][0]]) == best
    made = decided(*parts)
    np.testing.assert_allclose(made.learned["f1"].reshape(-1, 2), table)
    means = table.mean(axis=1)
    assert f"{best[1]} distance to {best[0]} clusters (hierarchical), chosen of {len(pairs)}" in (
        said := made.explain().note
    )
    assert f"{means.max():.4f} ({', '.join(f'{value:.4f}' for value in table[pairs.index(best)])}" in said
    codes = AgglomerativeClustering(best[0]).fit_predict(parts[1].references.embeddings)
    np.testing.assert_allclose(made.scores(parts[1]), naive_scores(parts[1], codes, best[1]), atol=1e-6)


@pytest.mark.parametrize("given", [{"k": 7}, {"distance": "avg"}])
def test_what_is_given_is_not_chosen(given) -> None:
    own = part(2)
    made = decided(own, **given)
    assert made.settings.one_for_all_generators
    k, distance = made.learned["k"][0], DISTANCES[made.learned["distance"][0]]
    assert {"k": k, "distance": distance}.items() >= given.items()
    options = [(k, name) for name in DISTANCES] if "k" in given else [(n, "avg") for n in NUMBERS if n <= 15]
    expected = [naive_f1(own, *pair) for pair in options]
    np.testing.assert_allclose(made.learned["f1"].ravel(), expected)
    assert f"by F1 on the training part: {max(expected):.4f}; best of" in made.explain().note
    assert (k, distance) == options[int(np.argmax(expected))]


def test_with_both_given_nothing_is_asked_of_other_generators() -> None:
    made = fitted("cluster_distance", part(2), CLASSES, k=3, distance="min")
    assert not made.settings.one_for_all_generators
    assert made.explain().note == "min distance to 3 clusters (hierarchical)"


def test_thirty_numbers_hold_those_that_are_printed() -> None:
    assert len(NUMBERS) == len(set(NUMBERS)) == 30
    assert {4, 8, 10, 20, 50, 60} <= set(NUMBERS)


def test_its_state_comes_back() -> None:
    own = part(2)
    made = decided(own, part(4))
    again = restore_decision(made.state())
    assert again.explain() == made.explain()
    np.testing.assert_array_equal(again.scores(own), made.scores(own))


@pytest.mark.parametrize("clustering", ["hierarchical", "kmeans"])
@pytest.mark.parametrize("generated", [1, 9])
def test_few_generated_images_are_a_cluster_each(clustering: str, generated: int) -> None:
    made = fitted("cluster_distance", part(2), CLASSES, k=10, distance="avg", clustering=clustering)
    few = part(3, generated=generated)
    expected = naive_scores(few, np.arange(generated), "avg")
    np.testing.assert_allclose(made.scores(few), expected, atol=1e-6)


def test_numbers_above_that_of_the_generated_images_are_no_choice() -> None:
    assert decided(part(2), part(2, generated=9)).learned["numbers"].tolist() == list(range(2, 10))
    assert decided(part(2), part(2, generated=1)).learned["numbers"].tolist() == [2]


def test_without_generated_images_it_says_so() -> None:
    made = fitted("cluster_distance", part(2), CLASSES, k=3, distance="min")
    with pytest.raises(FingerprintsError, match="at least 1 generated"):
        made.scores(part(2, generated=0))


def test_clusters_that_do_not_fit_into_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from fingerprints.core import memory
    from fingerprints.decisions.clusters import hierarchical

    monkeypatch.setattr(memory, "available_memory", lambda: 50_000_000)
    monkeypatch.setattr(hierarchical, "BLOCK_MB", 1_000)
    with pytest.raises(FingerprintsError, match="clustering 15 generated images needs") as error:
        decided(part(2))
    assert "decision.clustering=kmeans" in error.value.fix
