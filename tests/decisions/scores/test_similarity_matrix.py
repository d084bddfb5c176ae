"""Rules on similarity matrices, against the words of their source in loops."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.registry import restore_decision
from fingerprints.decisions.scores import similarity_matrix
from tests.decisions.parts import about_real, fitted, images, settings

CLASSES = (NOT_USED, USED)
SIDE = 8
ALIKE = {
    "ssim": lambda a, b: structural_similarity(
        a.reshape(SIDE, SIDE), b.reshape(SIDE, SIDE), data_range=1.0, win_size=7
    ),
    "mse": lambda a, b: 1 - ((a - b) ** 2).mean(),
}
RULES = ("threshold_max", "threshold_avg", "retrieval", "ranking", "clustering", "ensemble")


def part(seed: int = 0, *, real: int = 12, generated: int = 30, spread: float = 0.1):
    """Generated images are near some of the real ones; the order of the real images is random."""
    rng = np.random.default_rng(seed)
    points = rng.random((real, SIDE**2)).astype(np.float32)
    members = rng.permutation(real)[: real // 2]
    noise = spread * rng.normal(size=(generated, SIDE**2))
    made = (points[rng.choice(members, generated)] + noise).clip(0, 1).astype(np.float32)
    labels = np.where(np.isin(np.arange(real), members), USED, NOT_USED)
    return about_real(images(points, labels.tolist()), images(made))


def decision(own, **options):
    return fitted("similarity_matrix", own, CLASSES, **options)


def matrix(left, right, alike):
    return np.array([[alike(a.astype(float), b.astype(float)) for b in right] for a in left])


def with_row_means(square):
    out = square.copy()
    for i in range(len(out)):
        out[i, i] = np.mean(square[i])
    return out


def places(row):
    """What the script takes for a ranking: for a row of n similarities, n - argsort + 1."""
    return len(row) - np.argsort(row) + 1


@functools.cache
def drawn(seed: int, metric: str):
    """A part; similarities of real with real, real with generated, generated with generated images."""
    own = part(seed, spread=(0.05, 0.2, 0.6)[seed], generated=(8, 21, 17)[seed])
    real, made = own.queries.embeddings, own.references.embeddings
    alike = ALIKE[metric]
    among, between = (with_row_means(matrix(side, side, alike)) for side in (real, made))
    return own, among, matrix(real, made, alike), between


def literal(rule: str, among, crossed, between) -> list[bool]:
    n, m = crossed.shape
    if rule == "threshold_max":
        return [max(crossed[i]) > among.max() for i in range(n)]
    if rule == "threshold_avg":
        return [max(crossed[i]) > np.mean(among) + 3 * np.std(among) for i in range(n)]
    if rule == "retrieval":
        return [i in {int(np.argmax(crossed[:, j])) for j in range(m)} for i in range(n)]
    if rule == "ranking":
        of_generated = [places(crossed[:, j]) for j in range(m)]
        of_real = [places(row) for row in among]
        middle = round(np.mean([np.mean([row[i] for row in of_real]) for i in range(n)]), 9)
        return [np.mean([row[i] for row in of_generated]) < middle for i in range(n)]
    if rule == "clustering":
        whole = np.block([[among, crossed], [crossed.T, between]])
        return [max(whole[i]) >= np.mean(whole) + 3 * np.std(whole) for i in range(n)]
    answer = literal("ranking", among, crossed, between)
    for i, forced in enumerate(literal("threshold_max", among, crossed, between)):
        answer[i] = True if forced else answer[i]
    for i, kept in enumerate(literal("retrieval", among, crossed, between)):
        answer[i] = answer[i] if kept else False
    return answer


@pytest.mark.parametrize("metric", ALIKE)
@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_what_its_source_says(rule, metric, monkeypatch) -> None:
    monkeypatch.setattr(similarity_matrix, "BLOCK", 7)  # blocks do not matter
    seen = set()
    for seed in range(3):
        own, *tables = drawn(seed, metric)
        expected = np.where(literal(rule, *tables), USED, NOT_USED)
        found = decision(own, rule=rule, metric=metric).predict(own)
        assert found.labels.tolist() == expected.tolist()
        assert np.isfinite(found.scores).all()
        seen |= set(expected)
    assert seen == {USED, NOT_USED}


def test_what_must_be_exceeded_is_not_reached_by_a_tie() -> None:
    same = np.ones((3, 4), np.float32)
    equal = about_real(images(same), images(same))
    for rule in ("threshold_max", "threshold_avg", "ranking"):
        found = decision(equal, rule=rule, metric="mse", places="rank").predict(equal)
        assert set(found.labels) == {NOT_USED}
        assert set(found.scores.astype(np.float32) < 0) == {True}
    for rule in ("retrieval", "clustering"):
        assert set(decision(equal, rule=rule, metric="mse").predict(equal).labels) == {USED}


def test_a_ranking_by_argsort_depends_on_the_order_and_one_by_rank_does_not() -> None:
    own = part(3)
    order = np.random.default_rng(0).permutation(12)
    moved = about_real(images(own.queries.embeddings[order]), own.references)
    by_rank, by_place = (decision(own, rule="ranking", metric="mse", places=p) for p in ("rank", "argsort"))
    np.testing.assert_allclose(by_rank.scores(moved), by_rank.scores(own)[order])
    assert not np.allclose(by_place.scores(moved), by_place.scores(own)[order])
    assert "depend on the order" in by_place.explain().note
    assert by_rank.explain().note == ""
    crossed = matrix(own.queries.embeddings, own.references.embeddings, ALIKE["mse"])
    ranks = [[sum(other < value for other in column) for value in column] for column in crossed.T]
    np.testing.assert_allclose(by_rank.scores(own), np.mean(ranks, axis=0) - 5.5)


def test_a_copy_is_used_wherever_the_threshold_is() -> None:
    own = part(generated=12, spread=0.0)
    for rule in ("threshold_max", "threshold_avg", "retrieval"):
        labels = decision(own, rule=rule).predict(own).labels
        members = [(own.references.embeddings == image).all(axis=1).any() for image in own.queries.embeddings]
        assert labels.tolist() == np.where(members, USED, NOT_USED).tolist()


def test_neither_labels_nor_reference_enter_unless_asked_and_it_comes_back_from_its_state() -> None:
    own = part()
    plain = decision(own, rule="retrieval")
    assert len(plain.reference) == 0
    assert settings("similarity_matrix").blind_to_labels
    assert not settings("similarity_matrix", reference="not_used").blind_to_labels
    assert len(decision(own, reference="not_used", cut="reference").reference) == 6
    again = restore_decision(plain.state())
    np.testing.assert_array_equal(again.scores(own), plain.scores(own))


def test_too_few_images_or_too_much_work_are_refused(monkeypatch) -> None:
    own = part()
    alone = about_real(images(own.queries.embeddings[:1]), own.references)
    with pytest.raises(FingerprintsError, match="at least 2 real images"):
        decision(own).scores(alone)
    monkeypatch.setattr(similarity_matrix, "MOST_WORK", 10_000)
    with pytest.raises(FingerprintsError, match="more than five hours"):
        decision(own).scores(own)
    assert len(decision(own, metric="mse").scores(own)) == 12
