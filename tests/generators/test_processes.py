"""Two processes train the generator that one trains; each sees its share of every batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fingerprints.core.errors import FingerprintsError
from fingerprints.core.options import build_option
from fingerprints.core.weights import read_weights
from fingerprints.generators.fit import TRAINED, WEIGHTS, Training, train_generator
from fingerprints.training.checkpoint import LAST
from fingerprints.training.hardware import TrainerSettings
from tests.pair import Pair, share

TWO = TrainerSettings(accelerator="cpu", devices=2, strategy="ddp")
SMALL: dict[str, dict[str, Any]] = {
    "diffusion": {"channels": [8, 8], "attention": False, "warmup": 0, "augment": {"enabled": True}},
}


def training(design: str, **options: Any) -> Training:
    images = np.random.default_rng(0).integers(0, 256, (12, 16, 16)).astype(np.uint8)
    settings = build_option(
        "generator", {"name": design, **SMALL.get(design, {}), "batch_size": 8, **options}
    )
    return Training(images, settings, 5, 0, "gen_a")


def test_two_processes_train_what_one_trains(tmp_path: Path, pair: Pair) -> None:
    design = "diffusion"
    given = training(design)
    one = train_generator(given, tmp_path / "one")
    folder = tmp_path / "two"
    given.write(folder, TWO)
    pair(share, "generator", folder)
    assert {TRAINED, WEIGHTS} <= {path.name for path in folder.iterdir()}
    assert not (folder / LAST).exists()
    two = train_generator(given, folder, hardware=TWO, report=lambda *_: pytest.fail("trained again"))
    assert [point["step"] for point in two.curve] == [5]
    for mine, other in zip(one.curve, two.curve, strict=True):
        assert other == pytest.approx(mine, rel=1e-4, abs=1e-5)
    weights, others = read_weights(tmp_path / "one" / WEIGHTS), read_weights(folder / WEIGHTS)
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        assert torch.allclose(others[name], tensor, rtol=1e-4, atol=2e-5), name
    # Else the weights would be alike however the batch were shared.
    half = train_generator(training(design, batch_size=4), tmp_path / "half").module.sampler.state_dict()
    assert not any(torch.allclose(half[name], weights[name], rtol=1e-4, atol=2e-5) for name in weights)


def test_processes_that_do_not_divide_the_batch_are_refused_before_any_is_started(tmp_path: Path) -> None:
    given = training("vae", batch_size=9)
    with pytest.raises(FingerprintsError, match="batch of 9 images cannot be shared evenly among 2 process"):
        train_generator(given, tmp_path, hardware=TWO)
    assert list(tmp_path.iterdir()) == []
