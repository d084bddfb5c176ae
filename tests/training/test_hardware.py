"""What a machine can do: resolved settings, or a message that names the key to change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from fingerprints.core.errors import FingerprintsError
from fingerprints.training import hardware
from fingerprints.training.hardware import describe, resolve
from fingerprints.training.settings import TrainerSettings


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`gpus(count, bf16=True)`: a machine with so many GPUs. Lightning is not asked: it knows better."""

    def pretend(count: int, *, bf16: bool = True) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bf16)
        if count:
            monkeypatch.setattr(hardware, "make_trainer", lambda *_, **__: None)

    return pretend


def test_machine_without_gpu_takes_the_cpu(gpus: Callable[..., None]) -> None:
    gpus(0)
    settings = TrainerSettings(accelerator="auto", devices=-1, precision="auto", max_epochs=7, accumulate=2)
    resolved = resolve(settings)
    assert resolved == replace(settings, accelerator="cpu", devices=1, precision="32-true")
    assert resolved.processes == 1
    assert describe(resolved).startswith("CPU, 32-true; ")
    assert resolve(resolved) == resolved


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"accelerator": "gpu", "devices": 1, "precision": "32-true"}),
        ({"devices": -1}, {"accelerator": "gpu", "devices": 4}),
        ({"devices": -1, "num_nodes": 2}, {"devices": 4, "num_nodes": 2}),
        ({"devices": 4}, {"accelerator": "gpu", "devices": 4}),
        ({"precision": "auto"}, {"precision": "bf16-mixed"}),
        ({"precision": "16-mixed"}, {"precision": "16-mixed"}),
        ({"accelerator": "cpu", "precision": "auto"}, {"accelerator": "cpu", "precision": "32-true"}),
        ({"accelerator": "cpu", "devices": -1}, {"accelerator": "cpu", "devices": 1}),
    ],
)
def test_machine_with_gpus(gpus: Callable[..., None], settings: dict, expected: dict) -> None:
    gpus(4)
    given = TrainerSettings(**settings)
    resolved = resolve(given)
    assert {name: getattr(resolved, name) for name in expected} == expected
    assert resolved.processes == resolved.devices * resolved.num_nodes


def test_gpu_without_bf16_computes_in_full_precision(gpus: Callable[..., None]) -> None:
    gpus(1, bf16=False)
    assert resolve(TrainerSettings(precision="auto")).precision == "32-true"
    with pytest.raises(FingerprintsError, match="bf16-mixed is not supported on this GPU") as error:
        resolve(TrainerSettings(precision="bf16-mixed"))
    assert "trainer.precision=16-mixed" in str(error.value.fix)


@pytest.mark.parametrize(
    ("count", "settings", "what", "where", "fix"),
    [
        (0, {"accelerator": "gpu"}, "no GPU", "trainer.accelerator=gpu", "trainer=cpu"),
        (
            2,
            {"accelerator": "gpu", "devices": 3},
            "3 GPUs .* has 2",
            "trainer.devices=3",
            "trainer.devices=2",
        ),
        (2, {"devices": 3}, "3 GPUs .* has 2", "trainer.devices=3", "trainer.devices=-1"),
        (0, {"devices": 0}, "needs a device", "trainer.devices=0", "trainer.devices=1"),
        (2, {"devices": 0}, "needs a device", "trainer.devices=0", "trainer.devices=1"),
        (0, {"precision": "16-mixed"}, "16-mixed .* CPU", "trainer.precision=16-mixed", "32-true"),
        (0, {"devices": 2}, "2 processes", "trainer.devices=2, trainer.strategy=auto", "trainer=ddp_cpu"),
        (0, {"num_nodes": 2}, "2 processes", "trainer.devices=1, trainer.strategy=auto", "trainer=ddp_cpu"),
    ],
)
def test_what_the_machine_cannot_do_is_told_with_the_key_to_change(
    gpus: Callable[..., None], count: int, settings: dict, what: str, where: str, fix: str
) -> None:
    gpus(count)
    with pytest.raises(FingerprintsError, match=what) as error:
        resolve(TrainerSettings(**settings))
    assert where in str(error.value.where)
    assert fix in str(error.value.fix)


def test_several_cpu_processes_are_fine_with_ddp(gpus: Callable[..., None]) -> None:
    gpus(0)
    settings = TrainerSettings(accelerator="cpu", devices=2, strategy="ddp")
    assert resolve(settings) == settings
    assert settings.processes == 2
    assert "2 CPU processes, 32-true" in describe(settings)
    assert "1/2 of every batch" in describe(settings)


def test_hardware_is_described_with_what_several_processes_change() -> None:
    assert describe(TrainerSettings(accelerator="cpu")) == "CPU, 32-true"
    two = describe(TrainerSettings(accelerator="cpu", devices=2, strategy="ddp", accumulate=3))
    assert "2 CPU processes" in two
    assert "1/2 of every batch" in two
    assert "3 parts" in two
    assert "batch norm" in two
    on_gpus = describe(TrainerSettings(accelerator="gpu", devices=2, num_nodes=2, precision="bf16-mixed"))
    assert "4 GPU processes, bf16-mixed" in on_gpus
    assert "batch norm" not in on_gpus  # synchronised
