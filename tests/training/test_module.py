"""What trainings of an encoder share; test_siamese.py and test_classifier.py have the losses."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from fingerprints.training.augment import Augmentation
from fingerprints.training.module import EncoderModule
from fingerprints.training.settings import OptimiserSettings
from tests.networks import build_network


def module(**optimiser: object) -> EncoderModule:
    network = build_network({"name": "siamese_cnn", "channels": [4, 8], "embedding": 8}, size=16)
    settings = OptimiserSettings(**{"lr": 0.5, **optimiser})  # type: ignore[arg-type]
    return EncoderModule(network, optimiser=settings, augmentation=Augmentation())


@pytest.mark.parametrize(("epochs", "steps"), [(1, 8), (3, 4), (None, 8)])
def test_the_schedule_ends_with_the_last_epoch(
    epochs: int | None, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = SimpleNamespace(train_strategy=SimpleNamespace(steps=steps))
    monkeypatch.setattr(EncoderModule, "trainer", SimpleNamespace(datamodule=data, max_epochs=epochs))
    made = module(schedule="cosine").configure_optimizers()
    optimiser, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    total = steps * (epochs or 1)
    rates = []
    for _ in range(total + 1):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    assert rates[0] == 0.5
    assert rates[total // 2] == pytest.approx(0.25)
    assert rates[total - 1] > rates[total] == pytest.approx(0.0, abs=1e-9)


def test_everything_in_the_network_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    data = SimpleNamespace(train_strategy=SimpleNamespace(steps=1))
    monkeypatch.setattr(EncoderModule, "trainer", SimpleNamespace(datamodule=data, max_epochs=1))
    made = module()
    groups = made.configure_optimizers()["optimizer"].param_groups
    trained = [id(p) for group in groups for p in group["params"]]
    assert trained == [id(p) for p in made.network.parameters()]
    assert len(trained) >= 6


def test_the_budget_goes_with_the_checkpoint() -> None:
    one, other = module(), module()
    assert int(one.images_encoded) == 0
    one.images_encoded += 2**40  # more than 32 bits
    other.load_state_dict(one.state_dict())
    assert int(other.images_encoded) == 2**40
    assert other.images_encoded.dtype == torch.int64
