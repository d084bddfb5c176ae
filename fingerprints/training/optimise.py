"""Optimisers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn


@dataclass(frozen=True)
class OptimiserSettings:
    """Adam or AdamW, with an optional warm-up and decay.

    Attributes:
        name: `adam` or `adamw`.
        lr: Learning rate at its highest.
        weight_decay: Decay of all parameters; decoupled in `adamw`.
        schedule: `constant`, or `cosine` to zero at the last step.
        warmup: Share of all steps over which the rate rises linearly from zero.
    """

    name: Literal["adam", "adamw"] = "adam"
    lr: float = 1e-4
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: float = 0.0


def rate(step: int, *, steps: int, schedule: str, warmup: float) -> float:
    """The learning rate's factor in [0, 1] at a step `0..steps-1`."""
    rising = warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    if schedule == "constant":
        return 1.0
    done = (step - rising) / max(1.0, steps - rising)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))


def configure(
    parameters: Iterable[nn.Parameter], settings: OptimiserSettings, *, steps: int
) -> dict[str, Any]:
    """Optimiser and per-step schedule in the form that Lightning takes."""
    trained = [p for p in parameters if p.requires_grad]
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.name]
    optimiser = kind(trained, lr=settings.lr, weight_decay=settings.weight_decay)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: rate(step, steps=steps, schedule=settings.schedule, warmup=settings.warmup),
    )
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
