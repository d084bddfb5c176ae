"""Early stopping and choice of weights in one line."""

from __future__ import annotations

from fingerprints.training.settings import (
    CheckpointSettings,
    EarlyStoppingSettings,
    Monitor,
    StoppingSettings,
)


def stopping(
    *, early: bool = False, patience: int = 5, best: bool = False, best_monitor: Monitor = "val_loss"
) -> StoppingSettings:
    return StoppingSettings(
        early_stopping=EarlyStoppingSettings(enabled=early, patience=patience),
        checkpoint=CheckpointSettings(best=best, monitor=best_monitor),
    )
