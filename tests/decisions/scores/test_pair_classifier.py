"""A classifier of pairs, against scikit-learn's network on pairs that are all formed."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.tasks import NOT_USED, USED
from fingerprints.decisions.registry import restore_decision
from fingerprints.decisions.scores import pair_classifier
from fingerprints.decisions.scores.pair_classifier import drawn_pairs, joined
from tests.decisions.parts import about_real, fitted, images
from tests.decisions.scores.test_distance import part

CLASSES = (NOT_USED, USED)
JOINS = ("concatenated", "products")


@pytest.mark.parametrize("join", JOINS)
def test_a_score_is_the_mean_log_odds_of_the_network_on_all_pairs(join, monkeypatch) -> None:
    training, own = part(1), part(2, real=7, generated=9)
    seen = []

    def kept(*args, **options):
        seen.append(MLPClassifier(*args, **options))
        return seen[-1]

    monkeypatch.setattr(pair_classifier, "MLPClassifier", kept)
    found = fitted("pair_classifier", training, CLASSES, join=join, hidden=5).scores(own)
    (network,) = seen

    def scaled(side, of):
        return (side.embeddings - of.embeddings.mean(axis=0)) / of.embeddings.std(axis=0)

    real, made = scaled(own.queries, training.queries), scaled(own.references, training.references)
    for image, score in zip(real, found, strict=True):
        table = np.array([[*other, *image, *(other * image if join == "products" else ())] for other in made])
        odds = [np.log(p / (1 - p)) for p in network.predict_proba(table)[:, 1]]
        assert score == pytest.approx(np.mean(odds), abs=1e-4)


def test_every_generated_image_meets_so_many_different_ones_of_each_label(monkeypatch) -> None:
    monkeypatch.setattr(pair_classifier, "BLOCK", 12)
    labels = np.array([USED] * 6 + [NOT_USED] * 3)
    blocks = list(drawn_pairs(np.random.default_rng(0), 10, labels, count=2))
    assert max(len(left) for left, _ in blocks) == 12
    left, right = (np.concatenate(side) for side in zip(*blocks, strict=True))
    for number in range(10):
        met = right[left == number]
        assert len(set(met)) == len(met) == 4
        assert (labels[met] == USED).sum() == 2
    assert len({tuple(sorted(right[left == number])) for number in range(10)}) > 5
    few = list(drawn_pairs(np.random.default_rng(0), 10, labels, count=5))
    assert [(labels[right] == NOT_USED).sum() for _, right in few] == [3 * len(set(left)) for left, _ in few]


def test_no_more_than_a_block_of_pairs_is_formed_at_once(monkeypatch) -> None:
    sizes = []

    def counted(own, made, real):
        sizes.append(len(made))
        return joined(own, made, real)

    monkeypatch.setattr(pair_classifier, "joined", counted)
    monkeypatch.setattr(pair_classifier, "BLOCK", 40)
    fitted("pair_classifier", part(1, generated=30), CLASSES, pairs_per_image=4, passes=2)
    assert sum(sizes) == 2 * 30 * 2 * 4
    assert max(sizes) == 40


def test_it_comes_back_from_its_state_and_depends_on_the_seed() -> None:
    training, own = part(1), part(2)
    decision = fitted("pair_classifier", training, CLASSES)
    again = restore_decision(decision.state())
    np.testing.assert_array_equal(again.scores(own), decision.scores(own))
    np.testing.assert_array_equal(fitted("pair_classifier", training, CLASSES).scores(own), again.scores(own))
    other = fitted("pair_classifier", training, CLASSES, seed=1)
    assert np.abs(other.scores(own) - again.scores(own)).max() > 1e-3
    found = decision.predict(own)
    assert found.labels.tolist() == np.where(found.scores >= 0, USED, NOT_USED).tolist()


def test_what_is_missing_is_said() -> None:
    own = part()
    alone = about_real(own.queries, images(np.empty((0, 8), np.float32)))
    used = about_real(images(own.queries.embeddings, [USED] * 20), own.references)
    for given, said in ((alone, "no generated images"), (used, "labelled not_used")):
        with pytest.raises(FingerprintsError, match=said):
            fitted("pair_classifier", given, CLASSES)
    with pytest.raises(FingerprintsError, match="no generated images"):
        fitted("pair_classifier", own, CLASSES).scores(alone)
