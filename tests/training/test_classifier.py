from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from fingerprints.data.datamodule import StepDataModule
from fingerprints.data.labelled import LabelledImages
from fingerprints.data.pairs import PAD
from fingerprints.training.augment import Augmentation
from fingerprints.training.classifier import ClassifierModule
from fingerprints.training.fit import fit
from fingerprints.training.settings import OptimiserSettings, StoppingSettings, TrainerSettings
from tests.networks import build_network

ENCODER = {"name": "siamese_cnn", "channels": [8, 8], "embedding": 16, "final_relu": False}


@pytest.fixture
def data(model_root, prepared):
    index, store = prepared(model_root(per_class=20), "model", validation=0.25)

    def plan(split: str) -> LabelledImages:
        rows = index.select(split=split)
        classes = np.array([index.classes.index(label) for label in rows["label"]])
        return LabelledImages(rows.index.to_numpy(), classes, batch_size=7, seed=0)

    return StepDataModule(store, train=plan("train"), validation=plan("validation")), store


def make(lr: float = 1e-3) -> ClassifierModule:
    torch.manual_seed(0)
    return ClassifierModule(
        build_network(ENCODER, size=48, on_pairs=False),
        classes=3,
        optimiser=OptimiserSettings(lr=lr),
        augmentation=Augmentation(),
    )


def run(module, made, folder, epochs: int):
    return fit(
        module,
        made,
        trainer=TrainerSettings(accelerator="cpu", max_epochs=epochs),
        stopping=StoppingSettings(),
        folder=folder,
        title="training",
    )


def reference(module: ClassifierModule, plan: LabelledImages, store) -> tuple[float, float]:
    """Mean cross-entropy and accuracy, image by image."""
    losses, hits = [], []
    with torch.no_grad():
        for row, c in zip(plan.rows, plan.classes, strict=True):
            image = torch.from_numpy(np.array(store.images[row]))[None, None]
            logits = module.head(module.network(image))
            losses.append(functional.cross_entropy(logits, torch.tensor([c])).item())
            hits.append(float(logits.argmax() == c))
    return float(np.mean(losses)), float(np.mean(hits))


def test_figures_are_means_over_images(data, tmp_path):
    made, store = data
    module = make(lr=1e-30)
    result = run(module, made, tmp_path, epochs=1)
    loss, accuracy = reference(module, made.validation_strategy, store)
    row = result.history.iloc[0]
    assert row["val_loss"] == pytest.approx(loss, rel=1e-4)
    assert row["val_accuracy"] == pytest.approx(accuracy)
    assert row["train_loss"] == pytest.approx(reference(module, made.train_strategy, store)[0], rel=1e-4)
    assert result.images_encoded == made.train_strategy.images_per_epoch


def test_it_learns_what_can_be_learnt(data, tmp_path):
    made, _ = data
    history = run(make(lr=3e-3), made, tmp_path, epochs=12).history
    assert history["val_accuracy"].iloc[-1] > 0.8
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0] / 2


def test_fillers_do_not_count(data):
    made, _ = data
    batch = made.transfer_batch_to_device(
        type("Step", (), {"pairs": made.train_strategy.batch(0, 0), "aligned": False, "epoch": 0, "step": 0}),
        torch.device("cpu"),
        0,
    )
    module = make()
    module._trainer = type("Trainer", (), {"world_size": 1})()
    whole = module.training_step(batch, 0)["loss"].item()
    batch.left_classes[-1] = PAD
    with torch.no_grad():
        terms = functional.cross_entropy(
            module.head(module.network(batch.left)), batch.left_classes.clamp_min(0), reduction="none"
        )
    assert module.training_step(batch, 0)["loss"].item() == pytest.approx(
        terms[:-1].sum().item() / 7, rel=1e-4
    )
    assert whole == pytest.approx((terms[:-1].sum().item() + (whole * 7 - terms[:-1].sum().item())) / 7)
