"""Words of the command line, before Hydra sees them."""

from __future__ import annotations

import pytest

from fingerprints.config import overrides
from fingerprints.config.overrides import check_overrides
from fingerprints.core.errors import FingerprintsError


@pytest.mark.parametrize(
    ("word", "extra"),
    [
        ("sweep=optuna", "sweep"),
        ("sweep=[seeds,side_by_side]", "sweep"),
        ("hydra/launcher=joblib", "sweep"),
        ("sweep=slurm", "slurm"),
        ("hydra/launcher=submitit_local", "slurm"),
    ],
)
def test_an_extra_that_is_not_installed_is_named(word, extra, monkeypatch):
    monkeypatch.setattr(overrides, "find_spec", lambda name: None)
    with pytest.raises(FingerprintsError, match="not installed") as caught:
        check_overrides(["seed=1", word], "train")
    assert f"gan-fingerprints[{extra}]" in caught.value.fix

    def no_package_above(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(overrides, "find_spec", no_package_above)
    with pytest.raises(FingerprintsError, match="not installed"):
        check_overrides([word], "train")
    check_overrides(["sweep=seeds", "sweep=[seeds,folds]", "hydra/launcher=basic"], "train")


@pytest.mark.parametrize(
    ("word", "fix"),
    [("sweep=seeds,folds", "sweep=[seeds,folds]"), ("sweep=[seeds,fold]", "sweep=folds")],
)
def test_a_wrong_combination_of_sweeps_is_put_right(word, fix):
    with pytest.raises(FingerprintsError) as caught:
        check_overrides([word], "train")
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("word", "nearest"),
    [
        ("data.siez=3", "data.size"),
        ("+data.rot=x", "data.root"),
        ("traner=cpu", "trainer"),
        ("training.optimizer.lr=1", "training.optimiser.lr"),
        ("max_epochs=3", "trainer.max_epochs"),
        ("experiment=siamese_subtsk2", "siamese_subtask2"),
        ("pairing=al", "pairing=all"),
        ("sweep=seed", "sweep=seeds"),
        ("data.flod=1", "data.fold"),
    ],
)
def test_misspelt_words_name_the_nearest(word, nearest):
    with pytest.raises(FingerprintsError) as caught:
        check_overrides([word], "train")
    assert nearest in str(caught.value)


def test_valid_words_pass():
    words = [
        "experiment=siamese_subtask2",
        "data.root=/a=b",
        "--multirun",
        "-m",
        "seed=1,2",
        "pairing=all,random",
        "experiment=glob(*)",
        "hydra.sweep.dir=x",
        "hydra/launcher=basic",
        "hydra.sweep.subdir=${name}/${seed}",
        "hydra.sweeper.params.seed=range(3)",
        "data.root=B/${task}",
        "sweep=seeds",
        "hydra.sweeper.params.decision=svm,knn",
        "decision.k=3",
        "sweep=[seeds,folds]",
        "~callbacks",
    ]
    check_overrides(words, "train")
    with pytest.raises(FingerprintsError, match="sede"):  # all of them were read
        check_overrides([*words, "sede=1"], "train")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["decision.kernel=rbf"], "Decision 'centroid' has no key 'decision.kernel'; svm has it"),
        (
            ["decision=knn", "decision.C=1"],
            "'knn' has no key 'decision.C'; logan, logistic, svm have it",
        ),
        (["training=frozen", "training.rounds=1"], "Training 'frozen' has no key 'training.rounds'"),
        (["pairing=all", "pairing.batch_size=8"], "nearest, random have it"),
        (
            ["encoder=lbp", "encoder.side=8"],
            "Encoder 'lbp' has no key 'encoder.side'; autoencoder, pixels, pixels64 have it",
        ),
        (["reduction=pca90", "reduction.latent=3"], "Reduction 'pca90' has no key"),
        (["decision=svm,knn", "decision.init=random"], "Decision 'svm, knn' has no key"),
        (["region=full", "region.crop=false"], "lung, outer have it"),
        (["hydra.sweeper.params.decision=svm", "decision.k=3"], "Decision 'svm' has no key 'decision.k'"),
    ],
)
def test_a_key_of_a_sibling_option_does_not_pass(words, said):
    with pytest.raises(FingerprintsError) as caught:
        check_overrides(["experiment=siamese_subtask2", *words], "train")
    assert said in str(caught.value)
    assert caught.value.fix.startswith("leave it out, or ")


@pytest.mark.parametrize(
    ("chosen", "key", "advice"),
    [
        ("decision=knn", "decision.C", "decision=logistic"),  # logan, of another task, comes first
        ("decision=distance", "decision.C", "decision=logan"),
        ("decision=kmeans", "decision.C", "decision=logistic"),
        ("training=frozen", "training.rounds", "training=classifier"),
    ],
)
def test_the_option_that_is_advised_answers_the_same_task(chosen, key, advice):
    with pytest.raises(FingerprintsError) as caught:
        check_overrides([chosen, f"{key}=1"], "train")
    assert caught.value.fix == f"leave it out, or choose {advice}"


@pytest.mark.parametrize("word", ["decision=null", "sweep=null", "trainer=null", "decision=svm,null"])
def test_a_group_is_not_null(word):
    with pytest.raises(FingerprintsError, match="'null'"):
        check_overrides(["experiment=features_subtask2", word], "train")


def test_advice_is_a_key_of_the_chosen_option():
    words = ["experiment=features_subtask2", "decision.K=3"]
    with pytest.raises(FingerprintsError) as caught:
        check_overrides(words, "train")
    assert caught.value.fix == "did you mean 'decision.C'?"
    with pytest.raises(FingerprintsError) as caught:
        check_overrides(["decision=knn", *words], "train")
    assert caught.value.fix == "did you mean 'decision.k'?"


@pytest.mark.parametrize(
    "words",
    [
        ["experiment=features_subtask2", "decision.kernel=rbf"],  # the experiment chooses svm
        ["experiment=features_subtask2", "encoder=dinov2", "encoder.input_size=98"],
        ["experiment=features_subtask2", "decision=svm,knn", "decision.k=3,5"],  # one of the two has it
        ["experiment=siamese_subtask2,features_subtask2", "decision.C=1"],
        ["experiment=glob(*)", "decision.C=1"],  # nobody knows yet
        ["experiment=siamese_subtask2", "sweep=grid", "pairing.neighbours=2"],  # the sweep varies pairings
        ["experiment=metric_subtask1", "decision.reference_k=3"],
    ],
)
def test_keys_of_chosen_options_pass(words):
    check_overrides(words, "train")
    with pytest.raises(FingerprintsError, match=r"pairing\.nieghbours"):
        check_overrides([*words, "pairing.nieghbours=2"], "train")


def test_a_generator_has_its_own_keys():
    check_overrides(["generator=vae", "generator.augment.enabled=true", "generator.beta=2"], "simulate")
    check_overrides(["dial=training", "generator.lr=1e-3"], "simulate")
    with pytest.raises(
        FingerprintsError, match=r"'vae' has no key 'generator\.beta1'; gan, stylegan have it"
    ):
        check_overrides(["generator=vae", "generator.beta1=0"], "simulate")


@pytest.mark.parametrize(
    ("word", "nearest"),
    [
        ("dial=plantde", "dial=planted"),
        ("dial=[training,plantde]", "dial=planted"),
        ("diel=planted", "dial"),
    ],
)
def test_misspelt_dials_name_the_nearest(word, nearest):
    with pytest.raises(FingerprintsError) as caught:
        check_overrides([word], "simulate")
    assert nearest in str(caught.value)


def test_dials_are_combined_as_a_list():
    with pytest.raises(FingerprintsError) as caught:
        check_overrides(["dial=training,planted"], "simulate")
    assert "'dial=[training,planted]'" in caught.value.fix
