from __future__ import annotations

import numpy as np
import pytest

from fingerprints.core import memory
from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import build_option, part_of, settings_class
from fingerprints.decisions.classifiers.svm import SVM
from fingerprints.decisions.contract import Part, check_memory
from tests.decisions.parts import clustering, images

REAL = images(np.zeros((2, 3), np.float32), ["a", "b"])
MADE = images(np.ones((4, 3), np.float32))


def test_a_part_is_oriented_by_the_unit_of_the_task() -> None:
    about_real = Part.of(real=REAL, generated=MADE, unit="real")
    about_generated = Part.of(real=REAL, generated=MADE, unit="generated")
    assert (len(about_real.queries), len(about_generated.queries)) == (2, 4)
    for part in (about_real, about_generated, about_real.swapped()):
        assert (part.real, part.generated) == (REAL, MADE)
    assert about_real.swapped() == about_generated


def test_images_without_any_are_not_changed() -> None:
    nothing = images(np.empty((0, 3), np.float32))
    assert nothing.map(lambda embeddings: embeddings[:, :1]) is nothing
    assert MADE.map(lambda embeddings: embeddings[:, :1]).embeddings.shape == (4, 1)


def test_images_are_chosen_and_joined_with_their_groups() -> None:
    named = images(np.eye(3, dtype=np.float32), ["a", "b", "a"], ["p", "q", "p"])
    chosen = named.only(named.labels == "a")
    np.testing.assert_array_equal(chosen.embeddings, np.eye(3)[[0, 2]])
    assert (chosen.labels.tolist(), chosen.groups.tolist()) == (["a", "a"], ["p", "p"])
    joined = chosen.joined(named)
    np.testing.assert_array_equal(joined.embeddings, np.eye(3)[[0, 2, 0, 1, 2]])
    assert (len(joined.labels), joined.groups.tolist()) == (0, ["p", "p", "p", "q", "p"])
    assert len(named.joined(MADE).groups) == 0  # groups of some images only would be of the wrong rows
    assert images(np.empty((0, 0), np.float32)).joined(named).groups.tolist() == ["p", "q", "p"]


def test_a_decision_without_scores_cannot_decide_by_them() -> None:
    with pytest.raises(TypeError, match="'kmeans' gives no scores"):
        clustering("kmeans", 2).decide(np.zeros(3))


@pytest.mark.parametrize(
    ("name", "options", "needed", "fix"),
    [
        ("hierarchical", {}, 16 * 50_000 * 49_999 // 2, "decision=kmeans"),
        ("vote", {"voters": ["kmeans", "hierarchical"]}, 16 * 50_000 * 49_999 // 2, "decision.voters"),
        ("gmm", {"covariance": "full"}, 8 * 3 * 10 * 2048**2, "decision.covariance=diag"),
        ("dbscan_rerank", {"earlier": "hierarchical"}, 16 * 50_000 * 49_999 // 2, "decision.earlier"),
    ],
)
def test_a_decision_says_what_it_needs_before_it_starts(monkeypatch, name, options, needed, fix):
    settings = build_option("decision", {"name": name, **options})
    kind = part_of(settings)
    found = kind.memory(settings, images=50_000, width=2048, clusters=10)
    assert needed <= found <= 1.6 * needed + 3e9
    monkeypatch.setattr(memory, "available_memory", lambda: found)
    check_memory(kind, settings, images=50_000, width=2048, clusters=10)
    monkeypatch.setattr(memory, "available_memory", lambda: found - 1)
    with pytest.raises(FingerprintsError, match=f"^decision={name} on 50,000 images needs about") as error:
        check_memory(kind, settings, images=50_000, width=2048, clusters=10)
    assert fix in str(error.value)


@pytest.mark.parametrize("name", ["kmeans", "hierarchical", "gmm", "svm", "logistic", "distance"])
def test_memory_of_the_challenge_is_no_obstacle(name):
    settings = settings_class("decision", name)()
    assert part_of(settings).memory(settings, images=10_000, width=512, clusters=10) < 4e9


def test_the_kernel_matrix_grows_until_libsvm_keeps_none():
    settings = build_option("decision", {"name": "svm", "C": 1.0})
    sizes = [SVM.memory(settings, images=n, width=8, clusters=2) for n in (10_000, 20_000, 20_001)]
    assert sizes == [1_200_000_000, 4_800_000_000, 0]
