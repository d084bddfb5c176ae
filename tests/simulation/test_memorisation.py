from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from fingerprints.simulation.memorisation import memorisation, memorisation_words, nearest_generated

TPR = "tpr_at_fpr_0.01"
GROUPS = [f"p{number // 10:02d}" for number in range(480)]
SAME, OTHER = np.arange(0, 240, 2), np.arange(240, 480)  # members, and groups that have none


def noise(seed, count):
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16), dtype=np.uint8)


@pytest.fixture(scope="module")
def real():
    return noise(0, 480)


def figures(real, generated, members=SAME, groups=GROUPS, **options):
    return memorisation(generated, real, members, groups, **{"seed": 0, **options})


def by_hand(real, generated, members, others):
    """AUC and TPR at 1 % FPR by scikit-learn, from distances in double precision."""
    rows = np.concatenate([members, others])
    flat, made = (images.reshape(len(images), -1) / 255 for images in (real[rows], generated))
    scores = -np.sqrt(((flat[:, None] - made[None]) ** 2).sum(axis=-1)).min(axis=1)
    truth = np.repeat([1, 0], [len(members), len(others)])
    fpr, tpr, _ = roc_curve(truth, scores, drop_intermediate=False)
    return roc_auc_score(truth, scores), tpr[fpr <= 0.01].max()


def test_a_distance_is_to_the_nearest_generated_image():
    real = np.zeros((3, 16, 16), dtype=np.uint8)
    real[1], real[2] = 255, 51
    found = nearest_generated(real, np.stack([real[0], real[1]]))
    np.testing.assert_allclose(found, [0, 0, 16 * 51 / 255], atol=1e-3)


def test_exact_copies_of_all_members_tell_them_from_all_others(real):
    found = figures(real, real[SAME])
    for kind, rest in (("same_groups", 120), ("other_groups", 240)):
        assert found[kind]["auc"]["value"] == 1
        assert found[kind][TPR]["value"] == 1
        assert (found[kind]["members"], found[kind]["nonmembers"], found[kind]["generated"]) == (
            120,
            rest,
            120,
        )
    assert found["other_groups"]["auc"]["p"] <= 0.01


def test_copies_of_some_members_give_what_scikit_learn_finds(real):
    blurred = np.clip(real[SAME[:30]].astype(int) + noise(3, 30) // 64, 0, 255).astype(np.uint8)
    generated = np.concatenate([blurred, noise(1, 60)])
    found = figures(real, generated)
    for kind, others in (("same_groups", np.arange(1, 240, 2)), ("other_groups", OTHER)):
        auc, tpr = by_hand(real, generated, SAME, others)
        assert found[kind]["auc"]["value"] == pytest.approx(auc, abs=1e-3)
        assert found[kind][TPR]["value"] == pytest.approx(tpr, abs=0.01)
        assert 0.55 < auc < 0.9
        assert 0.25 <= tpr < 0.35
        assert found[kind]["auc"]["low"] <= found[kind]["auc"]["value"] <= found[kind]["auc"]["high"]


def test_images_that_have_nothing_to_do_with_members_tell_nothing(real):
    generated = noise(1, 200)
    found = figures(real, generated)
    for kind, others in (("same_groups", np.arange(1, 240, 2)), ("other_groups", OTHER)):
        auc, _ = by_hand(real, generated, SAME, others)
        assert found[kind]["auc"]["value"] == pytest.approx(auc, abs=1e-3)
        assert found[kind]["auc"]["value"] == pytest.approx(0.5, abs=0.08)
        assert found[kind][TPR]["value"] < 0.1


def test_more_copies_tell_more(real):
    aucs = [
        figures(real, np.concatenate([noise(1, 50), real[SAME[:count]]]))["same_groups"]["auc"]["value"]
        for count in (0, 30, 60, 120)
    ]
    assert aucs == sorted(aucs)
    assert aucs[0] < 0.6
    assert aucs[-1] == 1


def test_too_few_images_give_no_figure_but_a_reason(real):
    everything = figures(real, noise(1, 20), members=np.arange(240), groups=GROUPS)
    for name in ("auc", TPR):
        assert everything["same_groups"][name]["value"] is None
        assert everything["same_groups"][name]["reason"] == "needs at least 10 members and 10 non-members"
        assert everything["other_groups"][name]["value"] is not None
    nine = figures(real, noise(1, 20), members=np.arange(9))
    assert nine["other_groups"]["auc"]["value"] is None
    few = figures(real, noise(1, 20), members=np.arange(0, 60, 2))
    assert few["same_groups"]["auc"]["value"] is not None  # 30 others are enough for the AUC alone
    assert few["same_groups"][TPR]["value"] is None
    assert "100 needed" in few["same_groups"][TPR]["reason"]


def test_the_console_names_what_there_is_an_estimate_of(real):
    found = figures(real, real[:240], members=np.arange(240))
    assert memorisation_words(found).endswith("AUC: other groups 1.00 (0.86 to 1.00)")
    nothing = figures(real, real[:9], members=np.arange(9))
    assert memorisation_words(nothing).endswith("AUC: no estimate")


def test_figures_are_functions_of_the_seed(real, monkeypatch):
    monkeypatch.setattr("fingerprints.simulation.memorisation.LIMIT", 40)
    generated = np.concatenate([real[SAME[:60]], noise(1, 20)])
    one, again, other = (figures(real, generated, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one["same_groups"]["members"] == one["other_groups"]["nonmembers"] == 40
    assert one["same_groups"]["auc"] != other["same_groups"]["auc"]
