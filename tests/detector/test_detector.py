from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.pairs import RandomPairs
from fingerprints.data.splits import fewest_groups, k_folds
from fingerprints.decisions.cuts import best_threshold
from fingerprints.decisions.registry import fit_decision
from fingerprints.decisions.scores.settings import ClusterDistanceSettings, DistanceSettings
from fingerprints.decisions.settings import CentroidSettings
from fingerprints.detector.detector import Detector, Recipe
from fingerprints.embeddings import sources as encoding
from fingerprints.embeddings.sources import Frozen, OnPairs
from fingerprints.evidence.estimates import EPOCHS, THRESHOLD
from fingerprints.reductions.registry import fit_reduction
from fingerprints.reductions.settings import NoReductionSettings
from fingerprints.training.augment import Augmentation
from fingerprints.training.fit import FitResult, fit
from fingerprints.training.settings import (
    OptimiserSettings,
    PairTrainingSettings,
    StoppingSettings,
    TrainerSettings,
)
from fingerprints.training.siamese import SiameseModule
from tests.networks import build_network
from tests.training.stopping import stopping as stopping_of

ENCODER = {"name": "siamese_cnn", "channels": [4, 8], "embedding": 16}


@pytest.fixture
def recipe():
    def make(decision, *, stopping: StoppingSettings | None = None, epochs: int = 1) -> Recipe:
        return Recipe(
            encoder=OnPairs(
                lambda: SiameseModule(
                    build_network(ENCODER, size=48),
                    settings=PairTrainingSettings(),
                    optimiser=OptimiserSettings(lr=1e-3),
                    augmentation=Augmentation(),
                ),
                lambda pools, store: RandomPairs(pools, batch_size=16, seed=0),
            ),
            reduction=lambda embeddings: fit_reduction(NoReductionSettings(), embeddings, seed=0),
            decision=functools.partial(fit_decision, decision),
            trainer=TrainerSettings(accelerator="cpu", max_epochs=epochs),
            stopping=stopping or StoppingSettings(),
            seed=0,
        )

    return make


@pytest.fixture
def trained_on(monkeypatch):
    """Records the store rows that each training draws from, and how long it is."""
    seen: list[tuple[set[int], int]] = []

    def spy(module, data, **options) -> FitResult:
        pools = data.train_strategy.pools
        rows = set(pools.left.tolist()) | set(pools.right.tolist())
        seen.append((rows, options["trainer"].max_epochs))
        return fit(module, data, **options)

    monkeypatch.setattr(encoding, "fit", spy)
    return seen


def test_out_of_fold_scores_come_from_networks_that_did_not_see_the_image(
    recipe, trained_on, usage_root, prepared, tmp_path
):
    index, store = prepared(usage_root(), "usage", folds=3)
    found = Detector(index, store, recipe(DistanceSettings()), folder=tmp_path / "c").run("")
    real = index.select(domain="real", split="train")
    assert found.validation.rows.index.tolist() == real.index.tolist()
    assert len(trained_on) == 4
    folds = ["fold_0", "fold_1", "fold_2"]
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["fit.json", *folds, "last.ckpt"]
    for fold, (rows, _) in enumerate(trained_on[:3]):
        assert not rows & set(real.index[real["fold"] == fold])
        assert rows >= set(real.index[real["fold"] != fold])
    assert trained_on[3][0] >= set(real.index)
    expected = best_threshold(found.validation.scores, real["label"].tolist())
    assert found.decision.explain().threshold == expected
    assert found.decision.explain().source == "out_of_fold"
    called = np.where(found.test.scores >= expected, "used", "not_used")
    assert found.test.labels.tolist() == called.tolist()


def test_unseen_images_are_judged_by_a_threshold_of_other_patients(recipe, usage_root, prepared, tmp_path):
    index, store = prepared(usage_root(), "usage", folds=3)
    found = Detector(index, store, recipe(DistanceSettings()), folder=tmp_path / "c").run("").validation
    truth, groups = (found.rows[column].tolist() for column in ("label", "group"))
    parts = k_folds(truth, groups, k=min(5, fewest_groups(truth, groups)), seed=0)
    assert len(set(parts)) > 1
    assert found.chosen_on == ()
    for part in set(parts):
        cut = best_threshold(found.scores[parts != part], np.array(truth)[parts != part].tolist())
        called = np.where(found.scores[parts == part] >= cut, "used", "not_used")
        assert found.labels[parts == part].tolist() == called.tolist()


def test_references_of_a_fold_leave_its_images_out(recipe, usage_root, prepared, tmp_path):
    fitted = []

    def decision(fitting):
        made = fit_decision(DistanceSettings(scaled_by="training"), fitting)
        fitted.append(len(made.learned["references"]))
        return made

    index, store = prepared(usage_root(), "usage", folds=2)
    own = dataclasses.replace(recipe(DistanceSettings()), decision=decision)
    Detector(index, store, own, folder=tmp_path / "c").run("")
    fold = index.select(domain="real", split="train")["fold"]
    assert fitted == [int((fold != 0).sum()), int((fold != 1).sum()), len(fold)]


def test_a_choice_for_all_generators_sees_their_training_parts_but_no_held_out_patient(
    usage_root, prepared, tmp_path
):
    index, store = prepared(usage_root(generators=("a", "b")), "usage_2024", folds=2)
    own, other = (index.select(generator=name, split="train", domain="real") for name in "ab")
    # A patient of one generator's data is also a patient of the other's.
    index.table.loc[other.index[:4], "group"] = own["group"].iloc[0]
    settings, fitted = ClusterDistanceSettings(), []

    def decision(fitting):
        fitted.append(fitting)
        return fit_decision(settings, fitting)

    made = Recipe(
        encoder=Frozen(lambda: build_network({"name": "lbp"}, size=48, on_pairs=False)),
        reduction=lambda embeddings: fit_reduction(NoReductionSettings(), embeddings, seed=0),
        decision=decision,
        trainer=TrainerSettings(accelerator="cpu"),
        stopping=StoppingSettings(),
        seed=0,
        one_for_all_generators=settings.one_for_all_generators,
    )
    detector = Detector(index, store, made, folder=tmp_path / "c")
    found = [detector.run(name) for name in index.generators]
    assert [len(fitting.others) for fitting in fitted] == [1] * 6
    shared = own["fold"].iloc[0]
    expected = [len(other) - 4 * (fold == shared) for fold in (0, 1)]
    assert [len(fitting.others[0].real) for fitting in fitted[:3]] == [*expected, len(other)]
    for last, rows in ((fitted[2], other), (fitted[5], own)):
        assert last.others[0].real.labels.tolist() == rows["label"].tolist()
        assert len(last.others[0].generated) == 16
    chosen = [(int(d.decision.learned["k"][0]), int(d.decision.learned["distance"][0])) for d in found]
    assert chosen[0] == chosen[1]
    detector.recipe = dataclasses.replace(made, one_for_all_generators=False)
    detector.run("a")
    assert [fitting.others for fitting in fitted[6:]] == [()] * 3


def test_large_usage_parts_are_split_once(recipe, usage_root, prepared, tmp_path):
    index, store = prepared(usage_root(), "usage", folds_below=0, validation=0.3)
    found = Detector(index, store, recipe(DistanceSettings()), folder=tmp_path / "c").run("")
    held = index.select(domain="real", split="validation")
    assert 0 < len(held) < len(index.select(domain="real", split="train"))
    assert found.validation.rows.index.tolist() == held.index.tolist()
    assert found.decision.explain().source == "validation"
    assert len(found.fits) == 1
    assert found.validation.chosen_on == ()


def test_early_stopped_folds_set_the_length_of_the_last_training(
    recipe, trained_on, usage_root, prepared, tmp_path
):
    index, store = prepared(usage_root(), "usage", folds=2)
    made = recipe(DistanceSettings(), stopping=stopping_of(best=True), epochs=3)
    found = Detector(index, store, made, folder=tmp_path / "c").run("")
    chosen = [result.chosen_epoch for result in list(found.fits.values())[:2]]
    assert trained_on[-1][1] == round(float(np.median(chosen)))
    assert found.validation.chosen_on == (EPOCHS,)
    assert found.test.chosen_on == ()


def test_subset_controls_and_pair_distances(recipe, subset_root, prepared, tmp_path):
    index, store = prepared(subset_root(), "subset", validation=0.3)
    made = recipe(CentroidSettings(), stopping=stopping_of(best=True))
    found = Detector(index, store, made, folder=tmp_path / "c").run("")
    held_real = index.select(domain="real", split="validation")
    held_generated = index.select(domain="generated", split="validation")
    assert found.held_out_real.rows.index.tolist() == held_real.index.tolist()
    assert found.validation.rows.index.tolist() == held_generated.index.tolist()
    assert found.held_out_real.chosen_on == found.validation.chosen_on == (EPOCHS,)
    positive, negative = found.pair_distances
    assert len(positive) + len(negative) == len(held_real) * len(held_generated)
    same = sum((held_generated["label"] == label).sum() for label in held_real["label"])
    assert len(positive) == same
    assert found.images_encoded == sum(result.images_encoded for result in found.fits.values()) > 0


def test_a_threshold_without_unseen_images_is_an_error(recipe, subset_root, prepared, tmp_path):
    index, store = prepared(subset_root(), "subset", validation=0.3)
    table = index.table.assign(split=index.table["split"].replace("validation", "train"))
    nothing_held = dataclasses.replace(index, table=table)
    made = recipe(CentroidSettings(open_set=True))
    with pytest.raises(FingerprintsError, match=r"'centroid' takes its threshold(.|\n)*data.validation"):
        Detector(nothing_held, store, made, folder=tmp_path / "c").run("")


def test_an_open_set_is_calibrated_on_held_out_images(recipe, subset_root, prepared, tmp_path):
    index, store = prepared(subset_root(), "subset", validation=0.3)
    made = recipe(CentroidSettings(open_set=True, share_known=0.5))
    found = Detector(index, store, made, folder=tmp_path / "c").run("")
    assert found.validation.scores.shape[1] == len(index.classes) + 1
    best = found.validation.scores[:, :-1].max(axis=1)
    assert (found.validation.labels == "none").tolist() == (best < found.decision.none_below).tolist()
    assert (found.validation.labels == "none").sum() == len(best) - math.ceil((len(best) + 1) / 2)
    assert found.validation.chosen_on == (THRESHOLD,)
