from __future__ import annotations

import numpy as np
import pytest
import torch

from fingerprints.data.datamodule import StepDataModule
from fingerprints.data.labelled import LabelledImages
from fingerprints.data.pairs import PAD
from fingerprints.training.augment import Augmentation
from fingerprints.training.fit import fit
from fingerprints.training.reconstruction import ReconstructionModule
from fingerprints.training.settings import OptimiserSettings, StoppingSettings, TrainerSettings
from tests.networks import build_network

ENCODER = {"name": "autoencoder", "side": 16, "channels": [4, 8], "latent": 8}


@pytest.fixture
def data(usage_root, prepared):
    index, store = prepared(usage_root(), "usage", folds_below=0, validation=0.25)

    def plan(split: str) -> LabelledImages:
        rows = index.select(split=split, domain="generated").index.to_numpy()
        return LabelledImages(rows, np.zeros(len(rows), dtype=np.int64), batch_size=5, seed=0)

    return StepDataModule(store, train=plan("train"), validation=plan("validation")), store


def make(lr: float, accumulate: int = 1) -> ReconstructionModule:
    torch.manual_seed(0)
    return ReconstructionModule(
        build_network(ENCODER, size=48, on_pairs=False),
        optimiser=OptimiserSettings(lr=lr),
        augmentation=Augmentation(),
        accumulate=accumulate,
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


def mean_error(module: ReconstructionModule, plan: LabelledImages, store) -> float:
    """Mean squared error, image by image."""
    found = []
    with torch.no_grad():
        for row in plan.rows:
            image = torch.from_numpy(np.array(store.images[row]))[None, None] / 255
            small = torch.nn.functional.interpolate(image, size=(16, 16), mode="bilinear", antialias=True)
            made = module.network.encoder.reconstruct(small)
            found.append(torch.nn.functional.mse_loss(made, small).item())
    return float(np.mean(found))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_losses_are_mean_squared_errors(data, tmp_path, accumulate):
    made, store = data
    module = make(1e-30, accumulate)
    result = run(module, made, tmp_path, epochs=1)
    row = result.history.iloc[0]
    assert row["val_loss"] == pytest.approx(mean_error(module, made.validation_strategy, store), rel=1e-4)
    assert row["train_loss"] == pytest.approx(mean_error(module, made.train_strategy, store), rel=1e-4)
    assert result.images_encoded == made.train_strategy.images_per_epoch == len(made.train_strategy.rows)


def test_it_learns(data, tmp_path):
    made, store = data
    module = make(3e-3)
    before = mean_error(module, made.train_strategy, store)
    history = run(module, made, tmp_path, epochs=6).history
    assert mean_error(module, made.train_strategy, store) < 0.95 * before
    assert history["val_loss"].iloc[-1] == pytest.approx(
        mean_error(module, made.validation_strategy, store), rel=1e-4
    )


def test_fillers_do_not_count(data):
    made, _ = data
    step = type(
        "Step", (), {"pairs": made.train_strategy.batch(0, 0), "aligned": False, "epoch": 0, "step": 0}
    )
    batch = made.transfer_batch_to_device(step, torch.device("cpu"), 0)
    module = make(1e-3)
    module._trainer = type("Trainer", (), {"world_size": 1})()
    with torch.no_grad():
        errors = module.network(batch.left).mean(dim=1)
    assert module.training_step(batch, 0)["loss"].item() == pytest.approx(errors.mean().item(), rel=1e-4)
    batch.left_classes[-1] = PAD
    expected = errors[:-1].sum().item() / batch.images
    assert module.training_step(batch, 0)["loss"].item() == pytest.approx(expected, rel=1e-4)
    module.validation_step(batch, 0)
    assert module.val_loss.compute().item() == pytest.approx(errors[:-1].mean().item(), rel=1e-4)
