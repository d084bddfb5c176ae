"""Learning-rate schedules and optimisers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fingerprints.training.optimise import OptimiserSettings, configure, rate


def rates(steps: int, schedule: str, warmup: float) -> list[float]:
    return [rate(step, steps=steps, schedule=schedule, warmup=warmup) for step in range(steps)]


def test_constant() -> None:
    assert rates(5, "constant", 0.0) == [1.0] * 5


def test_warmup_rises_linearly() -> None:
    assert rates(10, "constant", 0.4)[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


def test_cosine_falls_by_half_a_wave() -> None:
    values = rates(8, "cosine", 0.0)
    assert values == pytest.approx([0.5 * (1 + math.cos(math.pi * step / 8)) for step in range(8)])
    assert rate(8, steps=8, schedule="cosine", warmup=0.0) == pytest.approx(0)


def test_cosine_after_warmup() -> None:
    values = rates(12, "cosine", 0.25)
    assert values[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert values[3:] == sorted(values[3:], reverse=True)
    assert values[-1] < 0.05


@given(st.integers(1, 500), st.integers(0, 600), st.sampled_from(["constant", "cosine"]), st.floats(0, 1))
def test_rate_is_a_factor(steps: int, step: int, schedule: str, warmup: float) -> None:
    assert 0 <= rate(step, steps=steps, schedule=schedule, warmup=warmup) <= 1


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_optimiser_follows_the_schedule_step_by_step(name: str, kind: type) -> None:
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    settings = OptimiserSettings(name=name, lr=0.3, weight_decay=0.1, schedule="cosine", warmup=0.2)
    made = configure(layer.parameters(), settings, steps=10)
    optimiser, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    assert type(optimiser) is kind
    assert made["lr_scheduler"]["interval"] == "step"
    (group,) = optimiser.param_groups
    assert group["params"] == [layer.weight]
    assert group["weight_decay"] == 0.1
    assert group["fused"]
    seen = []
    for _ in range(10):
        seen.append(group["lr"])
        optimiser.step()
        scheduler.step()
    assert seen == pytest.approx([0.3 * factor for factor in rates(10, "cosine", 0.2)])
