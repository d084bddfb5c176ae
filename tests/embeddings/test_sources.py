"""Where encoders come from: frozen ones once for all, classifiers in rounds. Pairs: see test_detection.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fingerprints.core.errors import FingerprintsError
from fingerprints.embeddings import sources
from fingerprints.embeddings.sources import (
    Frozen,
    OnGenerated,
    OnLabels,
    TrainingContext,
    TrainingRows,
    surest,
)
from fingerprints.training.augment import Augmentation
from fingerprints.training.classifier import ClassifierModule
from fingerprints.training.fit import fit
from fingerprints.training.reconstruction import ReconstructionModule
from fingerprints.training.settings import OptimiserSettings, StoppingSettings, TrainerSettings
from tests.networks import build_network

ENCODER = {"name": "siamese_cnn", "channels": [8, 8], "embedding": 16, "final_relu": False}


@pytest.fixture
def context(model_root, prepared, tmp_path):
    index, store = prepared(model_root(per_class=16, test=16), "model", validation=0.25)

    def make(epochs: int = 1) -> TrainingContext:
        return TrainingContext(
            index=index,
            store=store,
            trainer=TrainerSettings(accelerator="cpu", max_epochs=epochs),
            stopping=StoppingSettings(),
            seed=0,
            folder=tmp_path / "checkpoints",
        )

    return make


def rows_of(context: TrainingContext) -> TrainingRows:
    return TrainingRows(*(context.index.select(split=split) for split in ("train", "validation", "test")))


def classifier(rounds: int, *, fit_on: str = "generated") -> OnLabels:
    return OnLabels(
        lambda classes: ClassifierModule(
            build_network(ENCODER, size=48, on_pairs=False),
            classes=classes,
            optimiser=OptimiserSettings(lr=3e-3),
            augmentation=Augmentation(),
        ),
        batch_size=8,
        fit_on=fit_on,
        rounds=rounds,
        pseudo_labels=6,
    )


def test_a_frozen_encoder_is_made_once_and_its_network_runs_once(context, monkeypatch):
    passes = []
    plain = torch.nn.Module.__call__

    def counted(self, *args, **kwargs):
        if type(self).__name__ == "EmbeddingNetwork":
            passes.append(len(args[0]))
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(torch.nn.Module, "__call__", counted)
    here = context()
    source = Frozen(lambda: build_network(ENCODER, size=48, on_pairs=False), batch_size=10)
    encoder = source.make(here, rows_of(here), Path(), "training")
    assert sum(passes) == len(here.store.images) == encoder.features.encoded
    assert source.make(here, rows_of(here), Path("fold_0"), "again") is encoder
    passes.clear()
    found = Frozen(source.network).make(here, rows_of(here), Path(), "training")
    assert passes == []
    assert found.features.encoded == 0
    rows = np.array([5, 0, 5])
    np.testing.assert_array_equal(found.encode(rows), encoder.features.values[rows])
    with torch.no_grad():
        image = torch.from_numpy(np.array(here.store.images[5]))[None, None]
        expected = source.make(here, rows_of(here), Path(), "").network(image)[0]
    np.testing.assert_allclose(found.encode(rows)[0], expected, rtol=1e-4, atol=1e-6)
    assert not found.fits
    assert found.head is None


def test_features_that_are_no_numbers_name_the_image(context):
    here = context()

    def broken():
        network = build_network(ENCODER, size=48, on_pairs=False)
        plain, bright = network.encoder.forward, here.store.images[3].mean() / 255

        def forward(images):
            out = plain(images)
            out[(images.mean((1, 2, 3)) - bright).abs() < 1e-6] = float("nan")
            return out

        network.encoder.forward = forward
        return network

    with pytest.raises(FingerprintsError, match=here.index.table["path"].iloc[3]):
        Frozen(broken).make(here, rows_of(here), Path(), "training")


def test_a_classifier_learns_and_its_head_belongs_to_its_embeddings(context):
    here = context(epochs=10)
    rows = rows_of(here)
    encoder = classifier(0).make(here, rows, Path(), "training")
    assert list(encoder.fits) == ["training"]
    logits = encoder.head.logits(encoder.encode(rows.held.index.to_numpy()))
    found = np.array(encoder.head.classes)[logits.argmax(axis=1)]
    assert np.mean(found == rows.held["label"].to_numpy()) > 0.8
    assert encoder.head.classes == here.index.classes


def test_rounds_go_on_from_the_weights_with_the_surest_test_images(context, caplog):
    here = context(epochs=2)
    rows = rows_of(here)
    first = classifier(0).make(here, rows, Path(), "training")
    second = classifier(1).make(here, rows, Path(), "training")
    assert list(second.fits) == ["training", "training round 1"]
    # The first training is taken from its folder, the round adds six images an epoch.
    images = [result.images_encoded for result in second.fits.values()]
    assert images == [2 * len(rows.train), 2 * (len(rows.train) + 6)]
    assert (here.folder / "round_1" / "last.ckpt").is_file()
    moved = np.abs(second.head.weight - first.head.weight).max()
    fresh = classifier(0).module(3).head.weight.detach().numpy()
    assert 0 < moved < np.abs(second.head.weight - fresh).max()


def test_the_surest_are_those_with_the_highest_probability():
    logits = np.array([[0, 1, 0], [9, 0, 0], [0, 0, 0.5], [3, 3, 8]], np.float32)
    chosen, called = surest(logits, 2)
    assert chosen.tolist() == [1, 3]
    assert called.tolist() == [0, 2]
    assert len(surest(logits, 10)[0]) == 4


def test_labels_that_are_not_there_are_said(context):
    here = context()
    with pytest.raises(FingerprintsError, match="has none"):
        classifier(0, fit_on="real").make(here, rows_of(here), Path(), "training")


def test_stages_go_on_from_the_network_with_a_new_head(usage_root, prepared, tmp_path):
    index, store = prepared(usage_root(generators=("a", "b")), "usage_2024", folds=2)
    here = TrainingContext(
        index=index,
        store=store,
        trainer=TrainerSettings(accelerator="cpu", max_epochs=1),
        stopping=StoppingSettings(),
        seed=0,
        folder=tmp_path / "checkpoints",
    )
    train = index.select(split="train", generator="a")
    rows = TrainingRows(train, train.iloc[:0], train.iloc[:0])
    source = replace(classifier(0, fit_on="real"), targets=("generators", "labels"))
    encoder = source.make(here, rows, Path("a"), "a")
    assert list(encoder.fits) == ["a stage 1", "a"]
    assert (here.folder / "a" / "stage_1" / "last.ckpt").is_file()
    generated, real = ((train["domain"] == domain).sum() for domain in ("generated", "real"))
    assert [result.images_encoded for result in encoder.fits.values()] == [2 * generated, real]
    assert encoder.head.classes == ("not_used", "used")

    def weights(made: torch.nn.Module) -> torch.Tensor:
        return torch.cat([p.detach().flatten() for p in made.parameters()])

    first = replace(source, targets=("generators",)).make(here, rows, Path("first"), "first")
    alone = replace(source, targets=("labels",)).make(here, rows, Path("alone"), "alone")
    last = weights(encoder.network)
    # One epoch more moves a network less far than another start does.
    moved = (last - weights(first.network)).norm()
    assert 0 < moved < (last - weights(alone.network)).norm()


def autoencoders(*, own_part: bool = False) -> OnGenerated:
    values = {"name": "autoencoder", "side": 12, "channels": [4], "latent": 4}
    return OnGenerated(
        lambda: ReconstructionModule(
            build_network(values, size=48, on_pairs=False),
            optimiser=OptimiserSettings(lr=3e-3),
            augmentation=Augmentation(),
        ),
        batch_size=8,
        own_part=own_part,
    )


@pytest.fixture
def usage_context(usage_root, prepared, tmp_path):
    index, store = prepared(usage_root(generators=("a", "b")), "usage_2024", folds=2)
    return TrainingContext(
        index=index,
        store=store,
        trainer=TrainerSettings(accelerator="cpu", max_epochs=2),
        stopping=StoppingSettings(),
        seed=0,
        folder=tmp_path / "checkpoints",
    )


@pytest.fixture
def drawn(monkeypatch):
    """Store rows that each training draws from."""
    seen: list[list[int]] = []

    def spy(module, data, **options):
        seen.append(data.train_strategy.rows.tolist())
        return fit(module, data, **options)

    monkeypatch.setattr(sources, "fit", spy)
    return seen


def test_an_autoencoder_sees_each_generators_training_images_once_for_all_folds(usage_context, drawn):
    source = autoencoders()
    for generator in ("a", "b"):
        rows = usage_context.index.select(generator=generator)
        train, test = rows[rows["split"] == "train"], rows[rows["split"] == "test"]
        made = []
        for fold in (0, 1):
            inside, outside = train[train["fold"] != fold], train[train["fold"] == fold]
            given = TrainingRows(inside, outside, train.iloc[:0])
            made.append(source.make(usage_context, given, Path(generator) / f"fold_{fold}", "a fold"))
        last = source.make(usage_context, TrainingRows(train, train.iloc[:0], test), Path(generator), "last")
        assert made == [last, last]
        assert list(last.fits) == [generator]
        assert sorted(drawn[-1]) == sorted(train.index[train["domain"] == "generated"])
    assert len(drawn) == 2


def test_with_own_part_the_test_images_get_an_autoencoder_of_their_generated_images(usage_context, drawn):
    rows = usage_context.index.select(generator="a")
    train, test = rows[rows["split"] == "train"], rows[rows["split"] == "test"]
    given = TrainingRows(train, train.iloc[:0], test)
    alone = autoencoders().make(usage_context, given, Path("a"), "a")
    both = autoencoders(own_part=True).make(usage_context, given, Path("a"), "a")
    assert list(both.fits) == ["a", "a, test part"]
    assert sorted(drawn[-1]) == sorted(test.index[test["domain"] == "generated"])
    asked = np.array([test.index[0], train.index[0], test.index[1]])
    mixed = both.encode(asked)
    np.testing.assert_allclose(mixed[1], alone.encode(asked)[1], rtol=1e-4, atol=1e-6)
    assert np.abs(mixed - alone.encode(asked))[[0, 2]].max() > 1e-4
    with torch.no_grad():
        pixels = torch.from_numpy(np.array(usage_context.store.images[asked[[0, 2]]]))[:, None]
        np.testing.assert_allclose(mixed[[0, 2]], both.network(pixels), rtol=1e-4, atol=1e-6)


def test_held_out_generated_images_only_validate(usage_root, prepared, usage_context, drawn):
    index, store = prepared(usage_root(name="large"), "usage", folds_below=0, validation=0.3)
    context = replace(usage_context, index=index, store=store)
    parts = [index.select(split=split) for split in ("train", "validation", "test")]
    encoder = autoencoders().make(context, TrainingRows(*parts), Path(), "training")
    assert sorted(drawn[-1]) == sorted(parts[0].index[parts[0]["domain"] == "generated"])
    assert "val_loss" in encoder.fits["training"].history
