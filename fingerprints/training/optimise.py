"""Optimisers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from fingerprints.training.settings import OptimiserSettings


def rate(step: int, *, steps: int, schedule: str, warmup: float) -> float:
    """Factor of the learning rate in [0, 1] at a step `0..steps-1`."""
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
    """Optimiser and per-step schedule in the form that Lightning expects."""
    trained = [p for p in parameters if p.requires_grad]
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.name]
    # Fused: one pass over all weights instead of one for each arithmetic step.
    optimiser = kind(trained, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: rate(step, steps=steps, schedule=settings.schedule, warmup=settings.warmup),
    )
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
